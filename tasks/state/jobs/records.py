"""How a job's record is written and read: what a command sets by itself is sealed, whoever looks into Redis or a list.

The record's `command` keeps the names of those fields, in a form that older versions leave alone rather than deliver the
job without them. Records of older versions have the fields in clear; they are read as they are, and shown by name as well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tasks.errors import Refused
from tasks.model import Command, Job, LastError, PublishToConfluence, Receipt, field_names, parse_command, with_fields
from tasks.state.stored import texts
from tasks.state.vault import Vault

log = logging.getLogger(__name__)

PURPOSE = "fields"


def command_fields(command: Command, vault: Vault, job_id: str) -> dict[str, str]:
    """The fields of a record that hold the command."""
    names = field_names(command)
    if isinstance(command, PublishToConfluence) or not names:
        return {"command": command.model_dump_json(exclude_none=True)}
    stored = with_fields(command, {}).model_dump(mode="json", exclude_none=True)
    stored["config"]["fields"] = list(names)
    sealed = vault.seal(json.dumps(command.config.fields), purpose=PURPOSE, owner=job_id)
    return {"command": json.dumps(stored), "sealed_fields": sealed}


def opened(job: Job, vault: Vault) -> Command:
    """The job's command with the fields that it sets; raises `KeyTrouble` where they can't be opened."""
    if job.sealed_fields is None:
        return job.command
    return with_fields(job.command, json.loads(vault.open(job.sealed_fields, purpose=PURPOSE, owner=job.id)))


def sealed_origin(origin: Mapping[str, object], vault: Vault, job_id: str) -> str:
    """What hangs on a producer's message (callbacks, the rest of a chain, a chord), as the job's record holds it."""
    return vault.seal(json.dumps(origin), purpose="origin", owner=job_id)


def opened_origin(job: Job, vault: Vault) -> dict[str, Any]:
    """The same, opened; empty where nothing hangs on it or it was told already. Raises `KeyTrouble`."""
    if job.origin is None:
        return {}
    return dict(json.loads(vault.open(job.origin, purpose="origin", owner=job.id)))


def job_of(stored: Mapping[Any, Any]) -> Job:
    """A job from its stored record, also one that a neighbouring version wrote: what it has besides is ignored.

    Raises `Refused` for a record that needs more than that, such as an unknown state.
    """
    raw, fields = texts(stored), Job.model_fields
    known: dict[str, Any] = {k: v for k, v in raw.items() if k in fields}
    try:
        for name, model in (("last_error", LastError), ("receipt", Receipt)):
            if name in known:
                known[name] = model.model_validate_json(known[name], extra="ignore")
        command, withheld = _command_of(json.loads(raw["command"]))
        return Job.model_validate(known | {"command": command, "withheld": withheld})
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, Refused):
        raise Refused(
            f"The record of job {raw.get('id', '')[:80]!r} can't be read.",
            code="unreadable_record",
            advice="A newer version of Afterword may have written it: upgrade this one. The record is left as it is.",
        ) from None


def _command_of(stored: dict[str, Any]) -> tuple[Command, tuple[str, ...]]:
    """The command, and the names of the fields that are sealed beside it."""
    config = stored.get("config")
    names = config.get("fields") if isinstance(config, dict) else None
    if not isinstance(names, list):
        return parse_command(stored, stored=True), ()
    plain = stored | {"config": {name: value for name, value in (config or {}).items() if name != "fields"}}
    return parse_command(plain, stored=True), tuple(map(str, names))


def readable(stored: Mapping[Any, Any]) -> Job | None:
    """The job, or None for a record that only a newer version can read."""
    try:
        return job_of(stored)
    except Refused as unreadable:
        log.warning("%s", unreadable)
        return None


def about(job: Job) -> dict[str, str]:
    """What people look for a job's audit entries by, beside its id."""
    kind, identifier = content_name(job.command).split(":", 1)
    return {"destination": job.destination, kind: identifier}


def content_name(command: Command) -> str:
    """The key of the document or issue that a command is about."""
    if isinstance(command, PublishToConfluence):
        return f"document:{command.doc_id}"
    return f"issue:{command.issue_id}"
