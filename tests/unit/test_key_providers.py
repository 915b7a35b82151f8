"""Keys that a PKCS#11 token wraps: what is taken, what is refused with which words, and what goes on without the token."""

from __future__ import annotations

import base64
import os
import threading

import pytest

from config.key_lines import KeyLines, key_lines
from config.keys import (
    FollowedKeys,
    add_key,
    create_key_file,
    drop_keys,
    key_id_of,
    load_key_ring,
    new_key,
    parse_keys,
    refuse_guessable,
    wrap_keys,
)
from config.pkcs11 import Pkcs11, ProviderAway
from config.settings import ConfigError, Settings
from tests.brokers.servers import wait_until
from tests.softhsm import PIN, make_token

EXAMPLE = "pkcs11:token=t;object=o?module-path=/m.so&pin-source=file:/p"


@pytest.fixture
def token(tmp_path, monkeypatch):
    """A token with one wrapping key."""
    return make_token(tmp_path / "hsm", monkeypatch)


@pytest.fixture
def file(tmp_path):
    """Where the key file is, or will be."""
    return tmp_path / "keys"


def lines_of(file) -> list[str]:
    return [line for line in file.read_text().splitlines() if not line.startswith("#")]


def settings_of(token, file, **others) -> Settings:
    return Settings(keys_file=file, keys_provider=token.address(), **others)


def test_a_key_file_made_with_a_provider_holds_no_key_and_is_opened_by_it(token, file):
    """Who has the file alone has nothing."""
    settings = settings_of(token, file)
    create_key_file(file, key_lines(settings))
    (line,) = lines_of(file)
    current, key = load_key_ring(settings, {}).current
    assert key_id_of(key) == current
    assert line.startswith("pkcs11:v1:wrap%201:")
    assert base64.urlsafe_b64encode(key).decode() not in file.read_text()
    assert key not in base64.urlsafe_b64decode(line.split(":")[-1])
    refuse_guessable(settings)


def test_wrapped_keys_in_the_environment_are_opened_as_well(token):
    """In the order in which they stand there."""
    form = key_lines(Settings(keys_provider=token.address()))
    first, second = form.again(new_key()), form.again(new_key())
    ring = load_key_ring(Settings(keys=f"{first},{second}", keys_provider=token.address()), {})
    assert ring.order == tuple(key_id_of(form.read(line)) for line in (first, second))


def test_keys_are_rotated_as_before_and_each_new_one_is_wrapped(token, file):
    """A plain key from before stays until it is retired."""
    create_key_file(file)
    settings = settings_of(token, file)
    form = key_lines(settings)
    plain = load_key_ring(settings, {}).order[0]
    wrapped = add_key(file, form)
    assert load_key_ring(settings, {}).order == (wrapped, plain)
    newest = add_key(file, key_lines(settings))
    assert load_key_ring(settings, {}).order == (newest, wrapped, plain)
    drop_keys(file, frozenset({plain, wrapped}), key_lines(settings))
    assert load_key_ring(settings, {}).order == (newest,)
    assert [line.partition(":")[0] for line in lines_of(file)] == ["pkcs11"]


def test_plain_keys_are_wrapped_in_place_and_stay_the_same_keys(token, file):
    """Comments stay, and nothing is wrapped twice."""
    create_key_file(file)
    add_key(file)
    settings = settings_of(token, file)
    before = load_key_ring(settings, {})
    plain = lines_of(file)
    assert wrap_keys(file, key_lines(settings)) == 2
    after = load_key_ring(settings, {})
    assert [after.get(key_id) for key_id in before.order] == [before.get(key_id) for key_id in before.order]
    assert after.order == before.order
    assert not [line for line in plain if line in file.read_text()]
    assert file.read_text().startswith("# Afterword keys")
    assert file.stat().st_mode & 0o777 == 0o600
    assert wrap_keys(file, key_lines(settings)) == 0


def test_another_wrapping_key_takes_over_and_the_old_one_may_go(token, file):
    """The token's own rotation."""
    create_key_file(file, key_lines(settings_of(token, file)))
    token.make_key("wrap 2")
    moved = Settings(keys_file=file, keys_provider=token.address("wrap 2"))
    before = load_key_ring(moved, {}).order
    assert wrap_keys(file, key_lines(moved)) == 1
    token.remove_key("wrap 1")
    assert load_key_ring(moved, {}).order == before


def test_a_weak_key_is_refused_wrapped_too(token):
    """Wrapping doesn't make it better."""
    form = key_lines(Settings(keys_provider=token.address()))
    with pytest.raises(ConfigError, match="line 1 is a constant"):
        parse_keys([form.write(b"\x01\x02" * 16)], "it", form)


def changed(line: str, at: int) -> str:
    head, _, text = line.rpartition(":")
    raw = bytearray(base64.urlsafe_b64decode(text))
    raw[at] ^= 1
    return f"{head}:{base64.urlsafe_b64encode(bytes(raw)).decode()}"


@pytest.mark.parametrize("at", [0, 12, 43, 44, 59], ids=["nonce", "first", "last", "tag", "end"])
def test_a_line_with_one_bit_changed_opens_nothing(token, at):
    """In nonce, key or tag."""
    form = key_lines(Settings(keys_provider=token.address()))
    line = form.again(new_key())
    with pytest.raises(ConfigError, match="the line was changed"):
        parse_keys([changed(line, at)], "it", form)
    assert parse_keys([line], "it", key_lines(Settings(keys_provider=token.address()))).order


@pytest.mark.parametrize(
    "line",
    ["pkcs11:v1:wrap%201:", "pkcs11:v2:wrap%201:AAAA", "pkcs11:v1:wrap%201:not base64", "pkcs11:", "pkcs11:v1:w:ä"],
)
def test_a_line_that_is_cut_off_or_of_another_form_is_refused_in_words(line):
    """Nothing is asked of the token."""
    with pytest.raises(ConfigError, match="cut off or changed"):
        Pkcs11(EXAMPLE).unwrap(line)


def test_a_line_under_another_wrapping_key_of_that_label_opens_nothing(token, file):
    """A key that was made anew under the old label."""
    settings = settings_of(token, file)
    create_key_file(file, key_lines(settings))
    token.remove_key("wrap 1")
    token.make_key("wrap 1")
    with pytest.raises(ConfigError, match="another one"):
        load_key_ring(settings, {})


def test_a_wrapped_line_without_its_provider_says_which_setting_is_missing(token, file):
    """Or that it is another one."""
    create_key_file(file, key_lines(settings_of(token, file)))
    with pytest.raises(ConfigError, match="set AFTERWORD_KEYS_PROVIDER"):
        load_key_ring(Settings(keys_file=file), {})
    with pytest.raises(ConfigError, match="names another provider"):
        parse_keys(["vault:v1:abc"], "it", key_lines(settings_of(token, file)))


def refused(settings) -> str:
    with pytest.raises(ConfigError) as refusal:
        load_key_ring(settings, {})
    assert PIN not in str(refusal.value)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_each_trouble_with_the_token_is_one_sentence_with_what_to_do(token, file):
    """Not there, wrong PIN, no PIN, an open PIN file, no such key, two of them, no module."""
    settings = settings_of(token, file)
    create_key_file(file, key_lines(settings))

    def at(old: str, new: str) -> str:
        return refused(Settings(keys_file=file, keys_provider=token.address().replace(old, new)))

    token.unplug()
    assert "See that its device or service runs" in refused(settings)
    token.plug_in()
    assert "token 'other' is not there" in at("token=afterword", "token=other")
    assert "can't be loaded; correct `module-path`" in at(token.module, "/no/such.so")
    assert "add `pin-source=file:/PATH`" in at(f"&pin-source=file:{token.pin_file}", "")
    token.pin_file.write_text("0000\n")
    assert f"refuses the PIN in file:{token.pin_file}" in refused(settings)
    token.pin_file.write_text(PIN)
    token.pin_file.chmod(0o644)
    assert "chmod 600" in refused(settings)
    token.pin_file.unlink()
    assert "There is no PIN file" in refused(settings)
    token.pin_file.touch(0o600)
    token.pin_file.write_text(PIN)
    token.make_key("wrap 1")
    assert "several AES keys 'wrap 1'" in refused(settings)


def test_a_wrapping_key_that_is_gone_is_named_with_what_it_means(token, file):
    """It is the only thing that can't be made again."""
    settings = settings_of(token, file)
    create_key_file(file, key_lines(settings))
    token.remove_key("wrap 1")
    assert "has no AES key 'wrap 1'. Restore it" in refused(settings)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("vault:secret", "no provider that is known"),
        ("https://vault.example", "no provider that is known"),
        ("pkcs11:", "lacks module-path, object"),
        ("pkcs11:token=t;object=o", "lacks module-path"),
        ("pkcs11:object=o?module-path=/m.so", "lacks token"),
        ("pkcs11:token=t;object=o?module-path=/m.so&pin-value=1234-planted", "holds the PIN itself"),
        ("pkcs11:token=t;object=o;id=7?module-path=/m.so", "'id' is unknown"),
        ("pkcs11:token=t;object=?module-path=/m.so", "'object' is unknown or empty"),
        ("pkcs11:token=t;object=o?module-path=/m.so&pin-source=%7Cget-pin", "the whole path of a file"),
    ],
)
def test_an_address_of_another_form_is_refused_and_no_pin_is_quoted(address, words):
    """What it lacks is named."""
    with pytest.raises(ConfigError, match=words) as refusal:
        key_lines(Settings(keys_provider=address)).again(new_key())
    assert "planted" not in str(refusal.value)


class Counting:
    """A provider that counts what it is asked."""

    scheme = "pkcs11"

    def __init__(self, token) -> None:
        self.real, self.opened = Pkcs11(token.address()), 0

    def wrap(self, key: bytes) -> str:
        return self.real.wrap(key)

    def unwrap(self, line: str) -> bytes:
        self.opened += 1
        return self.real.unwrap(line)

    def is_current(self, line: str) -> bool:
        return self.real.is_current(line)


def test_a_process_opens_each_line_once_and_goes_on_while_the_token_is_away(token, file, caplog):
    """A new key counts when the token is back: it is asked again, and that is logged once."""
    form = key_lines(settings_of(token, file))
    create_key_file(file, form)
    provider, clock = Counting(token), [0.0]
    ring = FollowedKeys(file, lambda: clock[0], KeyLines(provider), patience_s=60)
    old = ring.current
    new = add_key(file, form)
    token.unplug()
    for _ in range(3):
        clock[0] += 2
        assert ring.current == old
        assert ring.get(new) is None
    assert provider.opened == 2, "the first line at the start, the new one once: nobody hammers a token that is away"
    assert caplog.text.count("The keys read before stay in use") == 1
    token.plug_in()
    clock[0] += 30
    assert ring.current[0] == new
    assert provider.opened == 3


def test_a_refused_pin_is_not_tried_again_by_itself(token, file):
    """A token locks itself after a few wrong ones."""
    form = key_lines(settings_of(token, file))
    create_key_file(file, form)
    provider, clock = Counting(token), [0.0]
    ring = FollowedKeys(file, lambda: clock[0], KeyLines(provider), patience_s=60)
    add_key(file, form)
    token.pin_file.write_text("0000\n")
    for _ in range(3):
        clock[0] += 60
        assert ring.current
    assert provider.opened == 2


def test_a_token_that_hangs_is_given_up_in_one_sentence(tmp_path):
    """A module on a device that doesn't answer blocks before it says anything, as reading this pipe does."""
    os.mkfifo(tmp_path / "module.so")
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "pin").chmod(0o600)
    address = f"pkcs11:token=t;object=o?module-path={tmp_path / 'module.so'}&pin-source=file:{tmp_path / 'pin'}"
    with pytest.raises(ProviderAway, match=r"token 't' gave no answer in 0\.5 s\. See that its device") as told:
        Pkcs11(address, limit_s=0.5).wrap(os.urandom(32))
    assert PIN not in str(told.value)


class Hanging(Counting):
    """A token that answers only when the test lets it."""

    def __init__(self, token) -> None:
        super().__init__(token)
        self.goes_on = threading.Event()
        self.goes_on.set()

    def unwrap(self, line: str) -> bytes:
        assert self.goes_on.wait(60)
        return super().unwrap(line)


def test_a_process_does_not_stand_still_while_its_token_hangs(token, file):
    """It works on with the keys that it has; the new one counts when the token has opened it."""
    form = key_lines(settings_of(token, file))
    create_key_file(file, form)
    provider, clock = Hanging(token), [0.0]
    ring = FollowedKeys(file, lambda: clock[0], KeyLines(provider), patience_s=0.01)
    old = ring.current
    new = add_key(file, form)
    provider.goes_on.clear()
    for _ in range(3):
        clock[0] += 2
        assert ring.current == old
    provider.goes_on.set()
    wait_until(lambda: ring.current[0] == new, "the new key counts")
    assert provider.opened == 2


def test_a_module_that_crashes_ends_its_own_process_only(token, file, monkeypatch):
    """What is left of it is a sentence."""
    monkeypatch.setattr("config.pkcs11.SESSION", "-cimport os; os.abort()")
    with pytest.raises(ProviderAway, match=r"ended its process \(-6\)"):
        create_key_file(file, key_lines(settings_of(token, file)))


def test_several_threads_may_open_keys_at_once(token):
    """Each has a session of its own."""
    provider = Pkcs11(token.address())
    keys = [os.urandom(32) for _ in range(8)]
    opened: dict[int, bytes] = {}

    def there_and_back(number: int) -> None:
        opened[number] = provider.unwrap(provider.wrap(keys[number]))

    threads = [threading.Thread(target=there_and_back, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [opened.get(number) for number in range(8)] == keys
