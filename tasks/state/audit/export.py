"""The audit trail outside Redis: JSON lines behind a checkpoint, verified like the stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.errors import Refused
from tasks.state.audit.checkpoint import Checkpoint
from tasks.state.audit.heads import head_of, order, packed
from tasks.state.audit.ocsf import api_activity, is_copy, line_of, stored_entry
from tasks.state.audit.trail import Audit
from tasks.state.audit.verification import AuditReport, Verification
from tasks.state.vault import Vault


async def lines(
    audit: Audit, vault: Vault, product_version: str, *, after: str = "-", before_ms: int | None = None
) -> AsyncIterator[str]:
    """The trail, an event a line, between two signed statements: where each chain stood before it, and after it.

    The last one carries a keyed digest of all lines before it.
    """
    heads = await _heads_at(audit, after)
    last_id, written = "0-0" if after == "-" else after, _Lines()
    if heads:
        yield written.add(
            line_of({"checkpoint": (await _signed(audit, vault, "base", last_id, heads)).model_dump(exclude_none=True)})
        )
    async for identifier, fields in audit.rows(after, before_ms):
        yield written.add(line_of(api_activity(identifier, fields, product_version)))
        heads[fields["chain"]] = head_of(fields)
        last_id = identifier
    end = await _signed(audit, vault, "checkpoint", last_id, heads)
    yield line_of(
        {"checkpoint": end.model_dump(exclude_none=True), "lines": vault.digest("export", written.message(end))}
    )


@dataclass
class _Lines:
    """What the lines of an export come to, as they were written."""

    _sum: Any = field(default_factory=hashlib.sha256)

    def add(self, line: str) -> str:
        """Count this line in, and return it."""
        self._sum.update(line.encode("utf-8", "surrogatepass") + b"\n")
        return line

    def message(self, end: Checkpoint) -> bytes:
        """What is signed: these lines and the statement that closes them."""
        return packed(self._sum.hexdigest(), end.mac)


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
    at_ms = (await audit.standing()).at_ms
    return Checkpoint(kind=kind, at_ms=at_ms, last_id=last_id, heads=heads, key=vault.key_id).signed(vault)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def verify_export(vault: Vault, exported: Iterable[str]) -> AuditReport:
    """Check an export as the stream is checked, also after the stream was trimmed, and every field made from an entry.

    Raises `Refused` for another file.
    """
    walk: Verification | None = None
    base: Checkpoint | None = None
    end: Checkpoint | None = None
    read, whole, changed = _Lines(), None, []
    for number, line in enumerate(exported, 1):
        try:
            content: Any = json.loads(line)
            if "checkpoint" not in content:
                walk = walk or Verification(vault, (), base)
                identifier, fields = stored_entry(content)
                walk.take(_bytes(identifier), {_bytes(name): _bytes(value) for name, value in fields.items()})
                if not is_copy(content):
                    changed.append(f"line {number}: its fields are not those of its entry")
                read.add(line)
                continue
            statement = Checkpoint.model_validate(content["checkpoint"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refused(
                f"Line {number} is no exported audit entry.",
                code="bad_export",
                advice="Use a file that `afterword audit export` wrote.",
            ) from None
        if statement.kind == "checkpoint" and "lines" in content:
            whole = vault.matches(str(content["lines"]), "export", read.message(statement))
        base, end = (statement, end) if statement.kind == "base" else (base, statement)
        read.add(line)
    walk = walk or Verification(vault, (), base)
    walk.ends_at(end)
    if whole is False and not (changed or walk.problems):
        changed.append("the export's lines are not those that were written")
    # Lines that are signed as a whole are right, whatever version made them; those of older exports are made again.
    walk.problems += [] if whole else changed
    return walk.report()
