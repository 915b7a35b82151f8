"""The key ring: which sources are taken, which keys are refused, and that no refusal shows a key."""

from __future__ import annotations

import base64
import hashlib
import os
import stat

import pytest

from config.guessable import is_guessable
from config.keys import (
    FollowedKeys,
    KeyRing,
    add_key,
    create_key_file,
    key_id_of,
    load_key_ring,
    new_key,
    parse_keys,
    refuse_guessable,
)
from config.settings import ConfigError, Settings


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def key_file(path, *lines, mode=0o600):
    path.write_text("\n".join(lines) + "\n")
    path.chmod(mode)
    return path


@pytest.fixture
def data(tmp_path, monkeypatch):
    for name in ("AFTERWORD_KEYS", "AFTERWORD_KEYS_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


def ring(data, environ=None, **settings) -> KeyRing:
    return load_key_ring(Settings(data=data, **settings), environ or {})


def test_the_first_key_of_a_file_is_current_and_the_others_are_found_by_id(data, tmp_path):
    new, old = os.urandom(32), os.urandom(32)
    found = ring(data, keys_file=key_file(tmp_path / "k", "# ours", encoded(new), "", encoded(old)))
    assert found.current == (key_id_of(new), new)
    assert found.get(key_id_of(old)) == old
    assert found.get("00000000") is None


def test_each_source_alone_is_taken(data, tmp_path):
    one = new_key()
    identifier = parse_keys([one], "x").order[0]
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key_file(credentials / "afterword-keys", one, mode=0o400)
    data.mkdir()
    assert ring(data, keys=one).order == (identifier,)
    assert ring(data, keys_file=key_file(tmp_path / "k", one)).order == (identifier,)
    assert ring(data, {"CREDENTIALS_DIRECTORY": str(credentials)}).order == (identifier,)
    key_file(data / "keys", one)
    assert ring(data).order == (identifier,)


def test_the_file_that_a_running_instance_names_is_used_where_nothing_else_is_named(data, tmp_path):
    data.mkdir()
    named = key_file(tmp_path / "elsewhere", new_key())
    (data / "instance.json").write_text(f'{{"keys_file": "{named}"}}')
    assert ring(data).order == ring(data, keys_file=named).order


def test_several_keys_in_the_environment_keep_their_order(data):
    first, second = new_key(), new_key()
    assert len(ring(data, keys=f"{first},{second}").order) == 2
    assert ring(data, keys=f"{first}, {second}").order[0] == ring(data, keys=first).order[0]


def test_keys_in_the_environment_give_a_warning_without_the_key(data, caplog):
    one = new_key()
    ring(data, keys=one)
    assert "AFTERWORD_KEYS_FILE" in caplog.text
    assert one not in caplog.text


@pytest.mark.parametrize("others", [{"keys"}, {"systemd"}, {"keys", "systemd"}])
def test_two_sources_at_once_are_refused_by_name(data, tmp_path, others):
    given = {"keys_file": key_file(tmp_path / "k", new_key())}
    environ = {}
    if "keys" in others:
        given["keys"] = new_key()
    if "systemd" in others:
        key_file(tmp_path / "afterword-keys", new_key())
        environ["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    with pytest.raises(ConfigError, match=r"AFTERWORD_KEYS_FILE.*keep one"):
        ring(data, environ, **given)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602])
def test_a_file_that_others_may_open_is_refused_with_the_command_that_mends_it(data, tmp_path, mode):
    file = key_file(tmp_path / "k", new_key(), mode=mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        ring(data, keys_file=file)


def test_a_symbolic_link_is_refused(data, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(key_file(tmp_path / "k", new_key()))
    with pytest.raises(ConfigError, match="symbolic link"):
        ring(data, keys_file=link)


def test_a_missing_file_and_a_folder_are_refused_with_what_to_do(data, tmp_path):
    with pytest.raises(ConfigError, match="afterword key new"):
        ring(data, keys_file=tmp_path / "absent")
    with pytest.raises(ConfigError, match="can't be read"):
        ring(data, keys_file=tmp_path)


WEAK = {
    "zeros": encoded(bytes(32)),
    "ones": encoded(b"\xff" * 32),
    "one byte again and again": encoded(b"\x5a" * 32),
    "two bytes in turn": encoded(b"\x01\x02" * 16),
    "counting up": encoded(bytes(range(32))),
    "counting by seven": encoded(bytes((7 * i) % 256 for i in range(32))),
    "a sentence": encoded(b"correct horse battery staple, ok"),
    "a sentence and the end of its line": encoded(b"Quick brown fox jumps over lazy\n"),
    "a sentence, padded with zeros": encoded(b"Quick brown fox jumps ov".ljust(32, b"\0")),
    "a sentence in Greek": encoded("Ξέρω δυο μπλζχ123999".encode()),
    "words in UTF-16": encoded("pqrstuvwxyzABCDE".encode("utf-16-le")),
    "SHA-1 of something, padded": encoded(hashlib.sha1(b"anything").digest().ljust(32, b"\0")),
    "a word and a year, again and again": "Summer2024Summer2024Summer2024Summer2024Sum=",
    "the Fernet specification's": "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
}


@pytest.mark.parametrize("key", WEAK.values(), ids=WEAK.keys())
def test_constant_and_sample_keys_are_refused_without_being_shown(data, key):
    with pytest.raises(ConfigError, match=r"AFTERWORD_KEYS: the key in line 1 .*afterword key new") as refusal:
        ring(data, keys=key)
    assert key not in str(refusal.value)


GUESSABLE = {
    "sha256 of password": hashlib.sha256(b"password").digest(),
    "sha512 of letmein, cut": hashlib.sha512(b"letmein").digest()[:32],
    "blake2b of our own name": hashlib.blake2b(b"afterword", digest_size=32).digest(),
    "md5 of qwerty, twice": hashlib.md5(b"qwerty").digest() * 2,
    "sha256 of nothing": hashlib.sha256(b"").digest(),
    "sha256 of password as echo writes it": hashlib.sha256(b"password\n").digest(),
    "sha256 of Dragon": hashlib.sha256(b"Dragon").digest(),
    "sha3 of monkey": hashlib.sha3_256(b"monkey").digest(),
    "sha384 of letmein, cut": hashlib.sha384(b"letmein").digest()[:32],
}


@pytest.mark.parametrize("key", GUESSABLE.values(), ids=GUESSABLE.keys())
def test_the_digest_of_a_common_password_is_no_key_for_a_process_that_stays(key):
    """Whoever tries the common passwords has it; a worker, the API and `up` refuse to start, also where it is an older key."""
    fresh = new_key()
    refuse_guessable(Settings(keys=fresh))
    for keys in (encoded(key), f"{fresh},{encoded(key)}"):
        with pytest.raises(ConfigError, match="common password") as refusal:
            refuse_guessable(Settings(keys=keys))
        assert encoded(key) not in str(refusal.value)


TYPED = [
    "correcthorsebatterystaplecorrecthorsebatter=",
    "MySecretAfterwordKeyForProduction2024Server=",
    "QWERTYUIOPASDFGHJKLZXCVBNMqwertyuiopasdfghj=",
    "TheQuickBrownFoxJumpsOverTheLazyDogAgain123=",
]


@pytest.mark.parametrize("line", TYPED)
def test_words_that_happen_to_be_base64_are_no_key(line):
    """Decoded they look random; their writer drew no random bytes."""
    with pytest.raises(ConfigError, match="words or patterns") as refusal:
        refuse_guessable(Settings(keys=line))
    assert line not in str(refusal.value)


def test_sixteen_bytes_written_twice_are_no_key():
    """Half a key."""
    with pytest.raises(ConfigError, match="written twice"):
        refuse_guessable(Settings(keys=encoded(bytes.fromhex("9ac4f01273d85b6e0fb1a7e24c8d3596" * 2))))


def test_random_keys_are_never_taken_for_words():
    """A worker that wouldn't start with a good key would be the worse fault."""
    assert is_guessable([os.urandom(32) for _ in range(100)]) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (encoded(os.urandom(16)), "16 bytes, not 32"),
        (encoded(os.urandom(33)), "33 bytes, not 32"),
        ("not a key at all", "urlsafe base64"),
        ("ключ", "urlsafe base64"),
        (encoded(os.urandom(32))[:-1], "urlsafe base64"),
        ("# only a comment", "holds no key"),
    ],
    ids=["too short", "too long", "words", "not ASCII", "cut off", "empty"],
)
def test_malformed_keys_are_refused_without_being_shown(data, tmp_path, text, words):
    with pytest.raises(ConfigError, match=words) as refusal:
        ring(data, keys_file=key_file(tmp_path / "k", text))
    assert text not in str(refusal.value)


def test_a_bad_key_behind_a_good_one_is_named_by_its_line(tmp_path, data):
    with pytest.raises(ConfigError, match="line 3"):
        ring(data, keys_file=key_file(tmp_path / "k", "# first", new_key(), "short"))


def test_random_keys_are_never_taken_for_weak():
    for _ in range(500):
        assert parse_keys([new_key()], "x").order


def test_a_ring_shows_ids_only(data):
    one = new_key()
    shown = repr(ring(data, keys=one))
    assert one not in shown
    assert repr(base64.urlsafe_b64decode(one)) not in shown
    assert parse_keys([one], "x").order[0] in shown


def test_a_new_key_file_is_the_owners_alone_and_is_never_overwritten(tmp_path, data):
    path = tmp_path / "deep" / "keys"
    old = os.umask(0)
    try:
        create_key_file(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        create_key_file(path)
    assert path.read_bytes() == before
    assert ring(data, keys_file=path).order


def test_a_key_file_is_looked_at_once_a_second_and_at_once_for_a_key_that_is_not_on_the_ring(tmp_path, monkeypatch):
    monkeypatch.setattr("config.keys.LOOK_EVERY_S", 1.0)
    create_key_file(tmp_path / "keys")
    clock = [0.0]
    ring = FollowedKeys(tmp_path / "keys", lambda: clock[0])
    old, _ = ring.current
    new = add_key(tmp_path / "keys")
    clock[0] = 0.9
    assert ring.current[0] == old
    clock[0] = 1.0
    assert ring.current[0] == new
    newest = add_key(tmp_path / "keys")
    assert ring.get(newest) is not None
    assert ring.current[0] == newest
