"""No message ends a worker: what passes the check, Celery can take; everything else is named and set aside."""

from __future__ import annotations

import base64
import copy
import json
import os
import sys
import zlib
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import yaml
from celery import Celery, chain, chord, group
from celery.worker.request import Request
from celery.worker.strategy import default
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kombu import compression as kombu_compression
from kombu import serialization
from kombu.compression import compress, decompress
from kombu.transport.virtual.base import Channel, Message

from worker.broker.envelope import UNREADABLE, fault_of, trouble_of_entry, wrapped
from worker.broker.guard import bound_compression, envelope_of, raw_of

TASK = "file_an_incident"  # none of ours: apps of one process share tasks by name
TASKS = {TASK}


class Codecs:
    """What kombu's message asks of its channel."""

    codecs = Channel.codecs
    decode_body = Channel.decode_body
    no_ack_consumers = None


def nothing(*args, **kwargs):
    """What the task does here."""


def client(protocol: int = 2) -> Celery:
    app = Celery("somebody", broker="memory://", set_as_current=False)
    app.conf.task_protocol = protocol
    return app


def sent(protocol: int = 2, serializer: str = "json", **options) -> dict:
    """The envelope that a real Celery client puts into a list."""
    app = client(protocol)
    task = app.task(name=TASK, shared=False)(nothing)
    hanging = {
        "link": [task.s("a")],
        "link_error": [chain(task.s("b"), group(task.s("c"), task.s("d")))],
        "chord": chord([task.s("e")], task.s("f")),
    }
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        name = os.urandom(8).hex()
        task.apply_async(
            args=["inc-1"],
            kwargs={"config": {"severity": "P2"}},
            queue=name,
            connection=connection,
            serializer=serializer,
            countdown=5,
            expires=86_400,
            time_limit=10,
            **hanging,
            **options,
        )
        raw = channel._get(name)
    return json.loads(json.dumps(raw))


def message_of(entry: dict) -> Message:
    message = Message(copy.deepcopy(entry), channel=Codecs())
    message.accept = {"application/json"}
    return message


def check(entry: dict):
    return fault_of(envelope_of(message_of(entry)), TASKS)


def with_body(entry: dict, body: object) -> dict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {**entry, "body": base64.b64encode(raw).decode()}


def body_of(entry: dict) -> object:
    return json.loads(base64.b64decode(entry["body"]))


def take(message: Message) -> None:
    """What a worker does with a message before a pool runs it: Celery's own strategy and request, with its events."""
    app = client()
    task = app.task(name=TASK, shared=False)(nothing)
    consumer = MagicMock()
    consumer.hostname = "worker@here"
    consumer.disable_rate_limits = True
    consumer.app = app
    consumer.controller = SimpleNamespace(state=SimpleNamespace(revoked=set()))
    taken = []
    consumer.on_task_request = taken.append
    consumer.timer.call_at = lambda _at, _what, args, **_: taken.append(args[0])
    handler = default(task, app, consumer)
    body = None if "task" in message.headers else message.decode()
    handler(message, body, MagicMock(), MagicMock(), [])
    for request in taken:
        assert isinstance(request, Request)
        _ = request.info(safe=True), request.delivery_info, request.time_limits, repr(request), str(request)
        context = request._context
        _ = context.as_execution_options(), context.get("id"), hash(request.id)
        for hanging in (*(context.callbacks or []), *(context.errbacks or []), *(context.chain or [])):
            app.signature(hanging)
        if context.chord:
            app.signature(context.chord)


ENTRIES = {1: sent(1), 2: sent(2)}


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_real_clients_message_with_everything_that_can_hang_on_it_passes(protocol):
    entry = ENTRIES[protocol]
    assert trouble_of_entry(json.dumps(entry).encode()) == ""
    assert check(entry) is None
    take(message_of(entry))


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma"])
def test_packed_messages_pass(protocol, compression):
    bound_compression()
    assert check(sent(protocol, compression=compression)) is None


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma"])
def test_a_small_message_that_stands_for_gigabytes_is_not_unpacked(compression):
    bound_compression()
    packed = serialization.dumps("0" * 20_000_000, "json")[2]
    body, kind = compress(packed, compression)
    entry = with_body(ENTRIES[2], body)
    entry["headers"] = {**entry["headers"], "compression": kind}
    message = message_of(entry)
    assert message.errors, "kombu met the bound, and hands the message to on_decode_error"


@pytest.fixture
def zlib_as(monkeypatch):
    """zlib in the place of a compression that isn't installed everywhere."""

    def register(kind: str, name: str) -> None:
        for kept in ("_encoders", "_decoders", "_aliases"):
            monkeypatch.setattr(kombu_compression, kept, {**getattr(kombu_compression, kept)})
        kombu_compression.register(zlib.compress, zlib.decompress, kind, aliases=[name])

    return register


def test_zstd_is_bounded_too_where_it_can_be_unpacked(zlib_as, monkeypatch):
    zlib_as("application/zstd", "zstd")
    unpacking = SimpleNamespace(compress=zlib.compress, ZstdDecompressor=zlib.decompressobj)
    monkeypatch.setattr("worker.broker.guard.ZSTD", "packed_here")
    monkeypatch.setitem(sys.modules, "packed_here", unpacking)
    bound_compression()
    assert decompress(*compress("1", "zstd")) == b"1"
    with pytest.raises(ValueError, match="too long"):
        decompress(*compress("0" * 20_000_000, "zstd"))


def test_a_compression_that_cant_be_bounded_is_refused(zlib_as):
    zlib_as("application/x-brotli", "brotli")
    bound_compression()
    with pytest.raises(ValueError, match="can't be bounded"):
        decompress(*compress("1", "brotli"))


SECRET = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"  # of a shape that screening knows


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_fault_quotes_nothing_that_the_producer_sent(protocol):
    plain = "hunter" + "Plain77"
    changes = [
        {"task": plain},
        {"task": plain * 100},
        {plain: 1, "eta": plain},
        {"stamps": {plain: 1}, "retries": plain},
    ]
    entry = ENTRIES[protocol]
    for change in changes:
        where = entry["headers"] if protocol == 2 else body_of(entry)
        changed = where | change
        fault = check({**entry, "headers": changed} if protocol == 2 else with_body(entry, changed))
        assert fault is not None
        assert plain not in fault.words


def test_a_mistyped_task_is_answered_with_the_one_that_was_meant():
    fault = check(ENTRIES[2] | {"headers": ENTRIES[2]["headers"] | {"task": TASK[:-1]}})
    assert f"did you mean {TASK}?" in fault.words


@pytest.mark.parametrize("name", ["id", "root_id", "parent_id", "group", "shadow"])
def test_a_secret_is_no_name_that_everybody_sees(name):
    fault = check(ENTRIES[2] | {"headers": ENTRIES[2]["headers"] | {name: SECRET}})
    assert fault.kind == "secret"
    assert SECRET not in repr(fault)
    assert check(ENTRIES[2] | {"headers": ENTRIES[2]["headers"] | {name: "incident-4711:2026-11-28"}}) is None


def test_a_secret_in_the_place_of_an_id_is_told_to_nobody():
    fault = check(
        ENTRIES[2]
        | {
            "headers": ENTRIES[2]["headers"] | {"id": SECRET, "task": "x"},
            "properties": ENTRIES[2]["properties"] | {"correlation_id": SECRET},
        }
    )
    assert fault.task_id is None


@pytest.mark.parametrize("protocol", [1, 2])
def test_an_id_that_no_redis_can_hold_is_no_results(protocol):
    """Half of a pair of surrogates passes as JSON, and can't be sent in UTF-8: asking for its job ended the worker."""
    entry = changed(protocol, id="inc-\ud800")
    entry["properties"]["correlation_id"] = "inc-\ud800"
    fault = check(entry)
    assert fault is not None
    assert fault.task_id is None


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["", "args", "task", TASK, "2026-11-28", "9999-12-31T23:59:59", "0001-01-01T00:00:00+14:00", "\ud800", "a\x00b"]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["task", "tasks", "__type__", "__value__"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
PLACES = ("", "body", "headers", "properties", "parts", "embed")
FIELDS = st.sampled_from(
    [
        "task", "id", "root_id", "parent_id", "group", "group_index", "shadow", "lang", "eta", "expires", "retries", "timelimit",
        "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamped_headers", "stamps", "headers",
        "args", "kwargs", "callbacks", "errbacks", "chain", "chord", "taskset", "utc", "meth", "get", "update", "hostname",
        "reply_to", "correlation_id", "priority", "delivery_info", "delivery_tag", "body_encoding", "content-type",
        "content-encoding", "properties", "body", "compression", "afterword_wakes", "called_directly", "self",
    ]
)  # fmt: skip


@st.composite
def mutated(draw) -> dict:
    """A valid message of either protocol with one to three places changed, dropped, or filled with anything."""
    entry = copy.deepcopy(ENTRIES[draw(st.sampled_from([1, 2]))])
    for _ in range(draw(st.integers(1, 3))):
        place, field, junk, drop = draw(st.sampled_from(PLACES)), draw(FIELDS), draw(JUNK), draw(st.booleans())
        target = {"": entry, "headers": entry.get("headers"), "properties": entry.get("properties")}.get(place)
        if place == "body":
            entry["body"] = draw(st.sampled_from([junk, "%%%", base64.b64encode(json.dumps(junk).encode()).decode()]))
            continue
        if place in ("parts", "embed"):
            entry = _inside(entry, place, field, junk, drop, draw(st.integers(0, 3)))
            continue
        if isinstance(target, dict):
            target.pop(field, None) if drop else target.update({field: junk})
    return entry


def _inside(entry: dict, place: str, field: str, junk: object, drop: bool, index: int) -> dict:
    try:
        body = body_of(entry)
    except (ValueError, TypeError, KeyError):
        return entry
    if isinstance(body, dict):
        body.pop(field, None) if drop else body.update({field: junk})
    elif isinstance(body, list) and place == "parts":
        body[index : index + 1] = [] if drop else [junk]
    elif isinstance(body, list) and len(body) == 3 and isinstance(body[2], dict):
        body[2].pop(field, None) if drop else body[2].update({field: junk})
    return with_body(entry, body)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(entry=mutated())
def test_a_mutated_message_is_refused_or_taken_by_celery_without_an_error(entry):
    raw = json.dumps(entry).encode()
    if trouble_of_entry(raw):
        entry = json.loads(wrapped(raw, "a-tag"))
    message = message_of(entry)
    if message.errors:
        return  # kombu hands it to on_decode_error
    if fault_of(envelope_of(message), TASKS):
        assert isinstance(raw_of(message), bytes)
    else:
        take(message)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=60) | JUNK.map(lambda junk: json.dumps(junk).encode()))
@example(raw=b"[" * 200_000)
@example(raw=b"9" * 6000)
@example(raw=b'{"properties": {"delivery_info": {}, "delivery_tag": 1}, "headers": {}, "body": ""}')
def test_any_entry_of_a_list_becomes_a_message_that_kombu_can_hold(raw):
    if trouble_of_entry(raw):
        message = message_of(json.loads(wrapped(raw, "a-tag")))
        assert message.content_type == UNREADABLE
        assert raw_of(message) == raw[:1_000_000]
        fault = fault_of(envelope_of(message), TASKS)
        assert fault is not None
        assert fault.kind == "unreadable"


@pytest.mark.parametrize("place", ["headers", "properties"])
@pytest.mark.parametrize(
    "odd", [{"__type__": "datetime", "__value__": "x"}, {"__type__": "uuid", "__value__": {"hex": "zz"}}]
)
def test_an_entry_that_kombu_cant_make_its_own_types_of_is_unreadable(place, odd):
    """Kombu reads the whole entry with its own decoder, in the worker's thread, before anything of Celery's sees it."""
    entry = copy.deepcopy(ENTRIES[2])
    entry[place]["x"] = odd
    assert trouble_of_entry(json.dumps(entry).encode()) == "not JSON"


@pytest.mark.parametrize("lost", ["id", "correlation_id", None])
def test_the_producer_of_an_unreadable_entry_is_told_by_the_id_that_it_names(lost):
    entry = copy.deepcopy(ENTRIES[2])
    entry["properties"]["delivery_info"] = None
    named = entry["headers"]["id"]
    entry["headers" if lost == "id" else "properties"].pop(lost, None)
    raw = json.dumps(entry).encode()
    assert trouble_of_entry(raw)
    message = message_of(json.loads(wrapped(raw, "a-tag")))
    assert fault_of(envelope_of(message), TASKS).task_id == named


def packed(data: object) -> dict[str, tuple[str, bytes]]:
    return {
        "msgpack": ("application/x-msgpack", b"\x81\xa4task\xa1x"),
        "yaml": ("application/x-yaml", yaml.safe_dump(data).encode()),
        "pickle": ("application/x-python-serialize", b"\x80\x04N."),
        "raw": ("application/data", b"anything"),
    }


@pytest.mark.parametrize("serializer", ["msgpack", "yaml", "pickle", "raw"])
@pytest.mark.parametrize("protocol", [1, 2])
def test_another_serializer_is_refused_in_a_line_and_its_producer_can_be_told(protocol, serializer):
    entry = ENTRIES[protocol]
    kind, body = packed(body_of(entry))[serializer]
    fault = check({**with_body(entry, body), "content-type": kind, "content-encoding": "binary"})
    assert fault is not None
    assert (fault.kind, fault.task_id) == ("serializer", entry["properties"]["correlation_id"])
    assert "JSON" in fault.words


def changed(protocol: int, **facts) -> dict:
    entry = copy.deepcopy(ENTRIES[protocol])
    if protocol == 2:
        entry["headers"].update(facts)
        return entry
    return with_body(entry, {**body_of(entry), **facts})


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", ["a", "list"]),
        ("task", "no_such_task"),
        ("id", {"an": "object"}),
        ("id", ""),
        ("eta", 5),
        ("eta", "soon"),
        ("expires", []),
        ("expires", "9999-12-31T23:59:59.999999"),
        ("retries", "three"),
        ("retries", -1),
        ("timelimit", "ten"),
        ("timelimit", [1]),
        ("timelimit", [float("nan"), None]),
        ("stamps", [1]),
        ("stamped_headers", "x"),
        ("group", 5),
        ("root_id", ["x"]),
        ("get", "a method's name"),
    ],
)
def test_a_part_of_a_wrong_type_is_refused_by_its_name_and_never_by_its_value(protocol, field, value):
    fault = check(changed(protocol, **{field: value}))
    assert fault is not None
    assert "9999" not in fault.words
    assert field in fault.words or fault.kind == "task"


@pytest.mark.parametrize(
    "body",
    [
        {"doc_id": "x"},
        [[], {}],
        [[], {}, {}, {}],
        5,
        None,
        "text",
        [5, {}, {}],
        [[], [], {}],
        [[], {}, []],
        [[], {}, {"id": "x"}],
    ],
)
def test_a_body_that_is_not_the_three_parts_is_refused(body):
    assert check(with_body(ENTRIES[2], body)) is not None


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_message_that_names_no_encoding_is_utf_8(protocol):
    """A producer that speaks to the broker by itself need not know Celery's habits."""
    entry = {**ENTRIES[protocol], "content-encoding": None}
    assert check(entry) is None
    take(message_of(entry))


@pytest.mark.parametrize("encoding", [5, "", "rot13", "utf-16"])
def test_an_odd_content_encoding_is_refused(encoding):
    assert check({**ENTRIES[2], "content-encoding": encoding}) is not None


@pytest.mark.parametrize(
    "signature",
    [
        5,
        {},
        {"task": 5},
        {"task": TASK, "subtask_type": "nothing"},
        {"task": TASK, "subtask_type": "chain", "kwargs": {"tasks": [5]}},
    ],
)
def test_what_hangs_on_a_task_must_be_whole(signature):
    args, kwargs, embed = body_of(ENTRIES[2])
    assert check(with_body(ENTRIES[2], [args, kwargs, {**embed, "callbacks": [signature]}])) is not None
