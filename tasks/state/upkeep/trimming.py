"""Trimming the audit trail, once what goes was exported."""

from __future__ import annotations

from tasks.errors import Refused
from tasks.state.audit.checkpoint import Checkpoint, Gone
from tasks.state.audit.entries import Event
from tasks.state.audit.heads import HeadSum, head_of
from tasks.state.audit.trail import Audit
from tasks.state.journal import Journal
from tasks.state.vault import Vault


async def trim(audit: Audit, journal: Journal, vault: Vault, *, before_ms: int, actor: str) -> int:
    """Drop every entry older than `before_ms` (the server's clock); returns how many. Export them first.

    Where each chain was cut is signed and kept, so that the rest still verifies. Raises `Refused` where the trail
    doesn't hold as it is: what is wrong must not be trimmed away.
    """
    report = await audit.verify()
    if report.verdict == "broken":
        raise Refused(
            "The audit trail is not intact; nothing was deleted.",
            code="audit_broken",
            advice="See `afterword audit verify`.",
        )
    statement, before, gone_before = await audit.standing(), await audit.base(), await audit.gone()
    cut = {chain: head for chain, head in (before.heads if before else {}).items() if chain in statement.heads}
    count = submitted = 0
    async for _, fields in audit.rows(before_ms=before_ms):
        cut[fields["chain"]] = head_of(fields)
        count += 1
        submitted += fields["event"] == Event.SUBMITTED
    keep_from = f"{before_ms}-0"
    base = Checkpoint(kind="base", at_ms=statement.at_ms, last_id=keep_from, heads=cut, key=vault.key_id).signed(vault)
    gone = [{"chain": chain, "head": head} for chain, head in cut.items() if statement.heads.get(chain) == head]
    # The chains that this trim ends are named by its base; those of the trim before it are not named any more.
    summed = gone_before.sum() if gone_before else HeadSum()
    for chain, head in (before.heads if before else {}).items():
        if chain not in statement.heads:
            summed.add(chain, head)
    kept = Gone(
        base=base.mac,
        entries=summed.entries,
        chains=summed.chains,
        value=f"{summed.value:x}",
        submitted=submitted + (gone_before.submitted if gone_before else 0),
        key=vault.key_id,
    ).signed(vault)
    args = {"keep_from": keep_from, "base": base.line(), "gone": gone, "kept": kept.model_dump_json()}
    args["before"] = before.mac if before else ""
    facts = {"entries": count, "before": before_ms, "actor": actor}
    reply = await journal.commit("upkeep/trim_audit", args, Event.AUDIT_TRIMMED, **facts)
    if not reply.ok:
        raise Refused("Somebody else trimmed the audit meanwhile.", code="audit_trimmed", advice="Export it again.")
    return count
