"""Trimming the audit trail, once what goes was exported."""

from __future__ import annotations

from tasks.errors import Refused
from tasks.state.audit.checkpoint import Checkpoint, head_of
from tasks.state.audit.entries import Event
from tasks.state.audit.trail import Audit
from tasks.state.journal import Journal
from tasks.state.vault import Vault


async def trim(audit: Audit, journal: Journal, vault: Vault, *, before_ms: int, actor: str) -> int:
    """Drop every entry older than `before_ms` (the server's clock); returns how many. Export them first.

    Where each chain was cut is signed and kept, so that the rest still verifies. Raises `Refused` where the trail
    doesn't hold as it is: what is wrong must not be trimmed away.
    """
    report = await audit.verify()
    if not report.ok:
        raise Refused(
            "The audit trail is not intact; nothing was deleted.",
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
    await journal.commit("upkeep/trim_audit", args, Event.AUDIT_TRIMMED, entries=count, before=before_ms, actor=actor)
    return count
