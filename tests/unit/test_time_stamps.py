"""Time stamps from an authority after RFC 3161 (`openssl ts` behind HTTP): what is taken, and what is no evidence."""

from __future__ import annotations

import threading
import time

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from tasks.errors import Refused
from tasks.state.audit.checkpoint import Checkpoint
from tasks.state.audit.heads import HeadSum
from tasks.state.audit.notary import MOST_BYTES, NotStamped, TimeStampAuthority, time_stamp_authority
from tasks.state.audit.outside import DAY_MS, outside
from tests.time_stamps import Authority, certificates, openssl, serving

CONTENT = b'{"kind":"checkpoint"}\n'
REPLY = "application/timestamp-reply"
NOW_MS = 1_767_225_600_000
POINT = Checkpoint(at_ms=NOW_MS, last_id="1-0", heads={}, total=HeadSum().total(), key="k1", mac="00")


@pytest.fixture
def authority(tmp_path):
    """An honest one."""
    openssl()
    certificates(tmp_path / "tsa")
    with serving(Authority(tmp_path / "tsa")) as found:
        yield found


def asked(authority: Authority, **more) -> TimeStampAuthority:
    found = time_stamp_authority(authority.url, authority.ca_file)
    assert found is not None
    return TimeStampAuthority(authority.url, found._roots, **more)


async def test_a_stamp_says_when_the_content_was_there_and_openssl_agrees(authority, tmp_path):
    """What is kept can be checked without us; only a digest left."""
    before_ms = int(time.time()) * 1000
    notary = asked(authority)
    stamp = await notary.stamp(CONTENT)
    assert before_ms <= notary.seen_ms(stamp, CONTENT) <= time.time() * 1000 + 1000
    assert CONTENT.strip() not in authority.queries[0]
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "other").write_bytes(b"something else")
    (tmp_path / "stamp").write_bytes(stamp)
    assert authority.accepts(tmp_path / "content", tmp_path / "stamp")
    assert not authority.accepts(tmp_path / "other", tmp_path / "stamp")


async def test_a_stamp_is_for_its_content_alone(authority):
    """Not for another checkpoint."""
    notary = asked(authority)
    stamp = await notary.stamp(CONTENT)
    with pytest.raises(NotStamped, match="another content"):
        notary.seen_ms(stamp, CONTENT + b" ")


async def test_a_stamp_for_another_content_is_not_taken_from_the_authority(authority):
    """A proxy that answers with what it has."""
    other = TimestampRequestBuilder().data(b"other").hash_algorithm(HashAlgorithm.SHA256).build()
    authority.answer = lambda _: (200, REPLY, authority.reply(other.as_bytes()))
    with pytest.raises(NotStamped, match="can't be believed"):
        await asked(authority).stamp(CONTENT)


async def test_an_answer_to_another_request_is_not_taken(authority):
    """The same content, an older nonce: a replayed answer would put the content into an earlier time."""
    old = TimestampRequestBuilder().data(CONTENT).hash_algorithm(HashAlgorithm.SHA256).build()
    replayed = authority.reply(old.as_bytes())
    authority.answer = lambda _: (200, REPLY, replayed)
    with pytest.raises(NotStamped, match="another request"):
        await asked(authority).stamp(CONTENT)
    assert asked(authority).seen_ms(replayed, CONTENT), "only the nonce was wrong"


async def test_a_stamp_by_somebody_else_is_no_evidence(authority, tmp_path):
    """Who can write beside the checkpoints can run an authority of his own."""
    certificates(tmp_path / "stranger")
    with serving(Authority(tmp_path / "stranger")) as stranger:
        stamp = await asked(stranger).stamp(CONTENT)
        with pytest.raises(NotStamped, match="issued its certificate"):
            asked(authority).seen_ms(stamp, CONTENT)
        foreign = TimeStampAuthority(stranger.url, asked(authority)._roots)
        with pytest.raises(NotStamped, match="AFTERWORD_TIMESTAMP_CA_FILE"):
            await foreign.stamp(CONTENT)


async def test_a_certificate_that_had_ended_is_refused(tmp_path):
    """What counts is the time of the stamp, not of the check."""
    openssl()
    certificates(tmp_path / "tsa", days_left=-1)
    with serving(Authority(tmp_path / "tsa")) as authority, pytest.raises(NotStamped, match="valid at its time"):
        await asked(authority).stamp(CONTENT)


async def test_certificates_in_any_order_are_read(tmp_path):
    """OpenSSL sends them as they come to hand."""
    openssl()
    for number in range(6):
        certificates(tmp_path / f"tsa{number}")
        with serving(Authority(tmp_path / f"tsa{number}")) as authority:
            assert await asked(authority).stamp(CONTENT)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, "text/html", b"<html>log in</html>"), "answers 200 with text/html"),
        ((302, "text/html", b""), "answers 302"),
        ((503, "text/plain", b"busy"), "answers 503"),
        ((200, REPLY, b"<html>log in</html>"), "is no time stamp"),
        ((200, REPLY, b""), "is no time stamp"),
        ((200, REPLY, bytes.fromhex("3005300302010 2".replace(" ", ""))), "grants no time stamp"),
        ((200, REPLY, bytes(MOST_BYTES + 1)), "more than"),
    ],
    ids=["a page", "elsewhere", "busy", "a page in disguise", "nothing", "a refusal", "too much"],
)
async def test_what_is_no_time_stamp_is_told_as_what_it_is(authority, answer, words):
    """A portal's page, a redirection, an error, a refusal in RFC 3161's own form."""
    authority.answer = lambda _: answer
    with pytest.raises(NotStamped, match=words):
        await asked(authority).stamp(CONTENT)


async def test_an_answer_that_is_cut_off_anywhere_is_refused(authority):
    """No damaged byte gets further than a refusal."""
    notary = asked(authority)
    stamp = await notary.stamp(CONTENT)
    for end in range(0, len(stamp), 37):
        with pytest.raises(NotStamped):
            notary.seen_ms(stamp[:end], CONTENT)


async def test_one_changed_bit_never_gives_another_time(authority):
    """What isn't signed may change, such as the order of certificates; the time and the content may not."""
    notary = asked(authority)
    stamp = await notary.stamp(CONTENT)
    told_ms = notary.seen_ms(stamp, CONTENT)
    refused = 0
    for at in range(0, len(stamp), 5):
        changed = bytearray(stamp)
        changed[at] ^= 1 << at % 8
        try:
            assert notary.seen_ms(bytes(changed), CONTENT) == told_ms
        except NotStamped:
            refused += 1
    assert refused > len(stamp) // 10


async def test_an_authority_that_is_silent_or_away_costs_no_more_than_its_time(authority):
    """It holds the connection, then it is gone."""
    done = threading.Event()

    def silent(_: bytes) -> tuple[int, str, bytes]:
        done.wait()
        return 200, REPLY, b""

    authority.answer = silent
    try:
        with pytest.raises(NotStamped, match=r"no whole answer in 0\.2 s"):
            await asked(authority, limit_s=0.2).stamp(CONTENT)
    finally:
        done.set()
    gone = TimeStampAuthority("http://127.0.0.1:1/", asked(authority)._roots)
    with pytest.raises(NotStamped, match="can't be reached"):
        await gone.stamp(CONTENT)


async def test_an_authority_behind_a_proxy_is_asked_through_it(authority):
    """Its name needn't lead anywhere from here; a proxy that refuses is named, and its login is not."""
    proxy = f"http://ops:planted-login@127.0.0.1:{authority.port}"
    behind = TimeStampAuthority("http://tsa.invalid/stamp", asked(authority)._roots, proxy_url=proxy)
    stamp = await behind.stamp(CONTENT)
    assert behind.seen_ms(stamp, CONTENT)
    authority.answer = lambda _: (407, "text/html", b"login")
    gone = TimeStampAuthority("https://tsa.invalid/", asked(authority)._roots, proxy_url="http://o:planted@127.0.0.1:1")
    for notary, words in ((behind, "answers 407"), (gone, "can't be reached")):
        with pytest.raises(NotStamped, match=f"proxy 127.0.0.1 {words}") as told:
            await notary.stamp(CONTENT)
        assert "planted" not in str(told.value)


def test_settings_that_can_not_be_used_are_refused_at_the_start(tmp_path):
    """An address without certificates, a file that has none."""
    openssl()
    assert time_stamp_authority(None, None) is None
    with pytest.raises(Refused, match="AFTERWORD_TIMESTAMP_CA_FILE"):
        time_stamp_authority("http://tsa.example", None)
    (tmp_path / "empty.pem").write_text("nothing")
    for name, said in (("empty.pem", "holds no certificates"), ("none.pem", "No such file")):
        with pytest.raises(Refused, match=said):
            time_stamp_authority(None, tmp_path / name)


@pytest.mark.parametrize("where", [None, "memory://bucket/stamps"], ids=["a folder", "an object store"])
def test_a_stamp_lies_beside_its_checkpoint_and_goes_with_it(tmp_path, where):
    """A stamped checkpoint isn't thinned away for one without a stamp."""
    place = outside(where, tmp_path, str(tmp_path))
    older = POINT.model_copy(update={"at_ms": NOW_MS - 40 * DAY_MS})
    later = older.model_copy(update={"at_ms": older.at_ms + 1000})
    for point in (older, later):
        place.write(point)
        if point is older:
            place.keep_stamp(place.unstamped()[0], b"a stamp")
            assert place.unstamped() is None
    assert place.unstamped()[1] == f"{later.line()}\n".encode()
    assert [(point.at_ms, stamp) for point, _, stamp in place.evidence()[1]] == [(older.at_ms, b"a stamp")]
    place.keep_stamp(place.unstamped()[0], b"another")
    place.write(POINT)
    assert [(point.at_ms, stamp) for point, _, stamp in place.evidence()[1]] == [(later.at_ms, b"another")]
    assert [point.at_ms for point in place.read()] == [later.at_ms, NOW_MS]
