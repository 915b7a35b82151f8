"""The audit trail outside Redis: JSON lines behind a checkpoint, verified like the stream, and trimming what was exported."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Literal

from tasks.errors import Refused
from tasks.state.audit import Audit, Event
from tasks.state.checkpoint import Checkpoint, head_of, order
from tasks.state.journal import Journal
from tasks.state.ocsf import api_activity, stored_entry
from tasks.state.vault import Vault
from tasks.state.verification import AuditReport, Verification


async def lines(
    audit: Audit, vault: Vault, product_version: str, *, after: str = "-", before_ms: int | None = None
) -> AsyncIterator[str]:
    """The trail, an event a line, between two signed statements: where each chain stood before it, and after it."""
    heads = await _heads_at(audit, after)
    last_id = "0-0" if after == "-" else after
    if heads:
        yield _statement(await _signed(audit, vault, "base", last_id, heads))
    async for identifier, fields in audit.rows(after, before_ms):
        yield json.dumps(api_activity(identifier, fields, product_version), ensure_ascii=False, separators=(",", ":"))
        heads[fields["chain"]] = head_of(fields)
        last_id = identifier
    yield _statement(await _signed(audit, vault, "checkpoint", last_id, heads))


async def _heads_at(audit: Audit, place: str) -> dict[str, str]:
    """Where each chain stood at the entry of id `place`; `-` is the trail's beginning."""
    base = await audit.base()
    heads = dict(base.heads) if base else {}
    if place != "-":
        async for identifier, fields in audit.rows():
            if order(identifier) > order(place):
                break
            heads[fields["chain"]] = head_of(fields)
    return heads


async def _signed(
    audit: Audit, vault: Vault, kind: Literal["checkpoint", "base"], last_id: str, heads: Mapping[str, str]
) -> Checkpoint:
    at_ms = (await audit.checkpoint()).at_ms
    return Checkpoint(kind=kind, at_ms=at_ms, last_id=last_id, heads=heads, key=vault.key_id).signed(vault)


def _statement(checkpoint: Checkpoint) -> str:
    return json.dumps({"checkpoint": checkpoint.model_dump(mode="json")}, ensure_ascii=False, separators=(",", ":"))


def verify_export(vault: Vault, exported: Iterable[str]) -> AuditReport:
    """Check an export as the stream is checked, also after the stream was trimmed. Raises `Refused` for another file."""
    walk: Verification | None = None
    base: Checkpoint | None = None
    end: Checkpoint | None = None
    for number, line in enumerate(exported, 1):
        try:
            content: Any = json.loads(line)
            if "checkpoint" not in content:
                walk = walk or Verification(vault, (), base)
                walk.take(*stored_entry(content))
                continue
            statement = Checkpoint.model_validate(content["checkpoint"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refused(
                f"Line {number} is no exported audit entry.",
                code="bad_export",
                advice="Use a file that `afterword audit export` wrote.",
            ) from None
        base, end = (statement, end) if statement.kind == "base" else (base, statement)
    walk = walk or Verification(vault, (), base)
    walk.ends_at(end)
    return walk.report()


async def trim(audit: Audit, journal: Journal, vault: Vault, *, before_ms: int, actor: str) -> int:
    """Drop every entry older than `before_ms` (the server's clock); returns how many. Export them first.

    Where each chain was cut is signed and kept, so that the rest still verifies. Raises `Refused` where the trail
    doesn't hold as it is: what is wrong must not be trimmed away.
    """
    report = await audit.verify()
    if not report.ok:
        raise Refused(
            "The audit trail does not hold; nothing was trimmed.",
            code="audit_broken",
            advice="See `afterword audit verify`.",
        )
    statement, before = await audit.checkpoint(), await audit.base()
    cut = {chain: head for chain, head in (before.heads if before else {}).items() if chain in statement.heads}
    count = 0
    async for _, fields in audit.rows(before_ms=before_ms):
        cut[fields["chain"]] = head_of(fields)
        count += 1
    keep_from = f"{before_ms}-0"
    base = Checkpoint(kind="base", at_ms=statement.at_ms, last_id=keep_from, heads=cut, key=vault.key_id).signed(vault)
    gone = [{"chain": chain, "head": head} for chain, head in cut.items() if statement.heads.get(chain) == head]
    args = {"keep_from": keep_from, "base": base.model_dump_json(), "gone": gone}
    await journal.commit("trim_audit", args, Event.AUDIT_TRIMMED, entries=count, before=before_ms, actor=actor)
    return count
