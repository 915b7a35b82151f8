"""A trail that was changed in any way is never called complete, whatever was changed and however often."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.state.audit.checkpoint import Checkpoint
from tasks.state.audit.entries import Event, sign
from tasks.state.audit.opening import Standing, opened
from tasks.state.audit.verification import AuditReport, Verification
from tasks.state.vault import Vault

START_MS = 1_767_225_600_000
FIELDS = (b"chain", b"seq", b"at", b"event", b"data", b"key", b"mac")
Rows = list[tuple[bytes, dict[bytes, bytes]]]


class OneKey:
    """A key ring of one key."""

    current = ("k1", b"0123456789abcdef0123456789abcdef")

    def get(self, key_id: str) -> bytes | None:
        """The key, by its id."""
        return self.current[1] if key_id == "k1" else None


VAULT = Vault(OneKey())


def trail(writers: list[int]) -> tuple[Rows, dict[str, str], Checkpoint]:
    """The entries that these writers make in turn, their heads, and a checkpoint after them, as Redis and the store hold them."""
    rows: Rows = []
    heads: dict[str, str] = {}
    for number, writer in enumerate(writers):
        chain, identifier = f"chain{writer}", f"{START_MS + number}-0"
        seq, _, mac = heads.get(chain, "0:").partition(":")
        data = json.dumps({"job": f"j{number}"})
        if seq == "0":
            last_id = f"{START_MS + number - 1}-0" if rows else "0-0"
            data = opened(data, Standing(START_MS + number, last_id, dict(heads), {}), None)
        fields = sign(VAULT, chain, int(seq) + 1, START_MS + number, Event.DELIVERY_OK, data, previous=mac)
        rows.append((identifier.encode(), {name.encode(): value.encode() for name, value in fields.items()}))
        heads[chain] = f"{fields['seq']}:{fields['mac']}"
    stand = Standing(START_MS + len(rows), rows[-1][0].decode(), heads, {})
    point = Checkpoint(at_ms=stand.at_ms, last_id=stand.last_id, heads={}, total=stand.total(), key="k1").signed(VAULT)
    return rows, heads, point


def verified(rows: Rows, heads: dict[str, str], *points: Checkpoint) -> AuditReport:
    """What a verification says of them."""
    walk = Verification(VAULT, points)
    for identifier, fields in rows:
        walk.take(identifier, fields)
    walk.heads(heads, heads)
    return walk.report(START_MS)


def honest_heads(rows: Rows) -> dict[str, str]:
    """Heads that fit what is there, as an attacker would leave them."""
    return {
        fields.get(b"chain", b"").decode(
            "utf-8", "replace"
        ): f"{fields.get(b'seq', b'').decode()}:{fields[b'mac'].decode()}"
        for _, fields in rows
        if b"mac" in fields
    }


def by_chain(rows: Rows) -> dict[bytes, list[dict[bytes, bytes]]]:
    """What each chain says, in its order."""
    found: dict[bytes, list[dict[bytes, bytes]]] = {}
    for _, fields in rows:
        found.setdefault(fields.get(b"chain", b""), []).append(fields)
    return found


WRITERS = st.lists(st.integers(0, 4), min_size=2, max_size=12)


@given(writers=WRITERS)
@settings(max_examples=60, deadline=None)
def test_an_untouched_trail_is_complete(writers):
    """Any number of writers, in any order."""
    rows, heads, point = trail(writers)
    report = verified(rows, heads, point)
    assert (report.verdict, report.problems) == ("complete", ())
    assert verified(rows, heads).verdict == "unknown"


@given(writers=WRITERS, data=st.data(), rewritten=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_mutated_trail_is_never_complete(writers, data, rewritten):
    """Entries removed, doubled, swapped or moved, and any byte of any field changed; with heads as they were or rewritten."""
    rows, heads, point = trail(writers)
    changed = [(identifier, dict(fields)) for identifier, fields in rows]
    index = data.draw(st.integers(0, len(changed) - 1))
    kind = data.draw(st.sampled_from(["remove", "cut", "empty", "swap", "double", "field", "byte", "chain"]))
    if kind == "remove":
        del changed[index]
    elif kind == "cut":
        del changed[index:]
    elif kind == "empty":
        changed = []
    elif kind == "swap":
        other = data.draw(st.integers(0, len(changed) - 1))
        (a, x), (b, y) = changed[index], changed[other]
        changed[index], changed[other] = (a, y), (b, x)
    elif kind == "double":
        changed.insert(index + 1, (changed[index][0][:-1] + b"1", dict(changed[index][1])))
    elif kind == "field":
        del changed[index][1][data.draw(st.sampled_from(FIELDS))]
    elif kind == "byte":
        name = data.draw(st.sampled_from(FIELDS))
        value = bytearray(changed[index][1][name])
        at = data.draw(st.integers(0, len(value) - 1))
        value[at] ^= data.draw(st.integers(1, 255))
        changed[index][1][name] = bytes(value)
    else:
        gone = changed[index][1][b"chain"]
        changed = [row for row in changed if row[1][b"chain"] != gone]
    if by_chain(changed) == by_chain(rows) or (rewritten and kind == "byte"):
        return  # no chain changed: only the ids that Redis gave did, and they are not signed
    report = verified(changed, honest_heads(changed) if rewritten else heads, point)
    assert report.verdict == "broken", kind
    assert report.problems


@given(writers=WRITERS, data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_mutated_checkpoint_is_never_a_witness(writers, data):
    """Whoever can write to the store and has no key can remove checkpoints, not make them."""
    rows, heads, point = trail(writers)
    total = point.total
    assert total
    change = data.draw(
        st.sampled_from(
            [
                {"total": total.model_copy(update={"entries": total.entries - 1})},
                {"total": total.model_copy(update={"chains": total.chains + 1})},
                {"total": total.model_copy(update={"digest": "0" * 64})},
                {"total": None},
                {"last_id": f"{START_MS}-0"},
                {"at_ms": point.at_ms + 1},
                {"heads": {"chain9": "1:00"}},
            ]
        )
    )
    forged = point.model_copy(update=change)
    if forged == point:
        return
    assert verified(rows, heads, forged).verdict == "broken"
