"""A destination's record: what it says in the clear, and whether a stored credential still belongs to new settings. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.credentials.kinds import Renewable
from tasks.credentials.secret import parts_for
from tasks.destinations import AnySettings, parse_settings
from tasks.errors import Refused
from tasks.state.stored import number


def check_same_place(name: str, before: AnySettings, settings: AnySettings) -> None:
    """Raise `Refused` where a stored secret would go elsewhere than it was given for, or as something else."""
    if _logging_in(before) != _logging_in(settings):
        raise Refused(
            f"The way in which {name} logs in changes, and its stored secret belongs to the old one.",
            code="credential_bound",
            advice="Give the secret again.",
        )
    if before.origin != settings.origin:
        raise Refused(
            f"The address of {name} changes, and its stored credential belongs to the old one.",
            code="credential_bound",
            advice="Give the secret again.",
        )


def _logging_in(settings: AnySettings) -> object:
    """What decides where a secret goes and as what."""
    auth = settings.auth
    if not isinstance(auth, Renewable):
        return parts_for(auth), auth and auth.type
    return auth.type, auth.client_id, settings.endpoints.token_url


def state_of(raw: Mapping[str, str]) -> dict[str, Any]:
    """What the scripts keep of a destination. It isn't signed: whoever writes it can stop the work, and no more."""
    state = raw.get("state", "ready")
    return {
        "state": state if state in ("ready", "paused", "suspended") else "suspended",
        "reason": raw.get("reason", ""),
        "not_before_ms": number(raw.get("not_before_ms")),
        "last_success_ms": number(raw.get("last_success_ms")) or None,
    }


def parsed(text: str) -> AnySettings:
    """Settings as stored; raises `ValueError` for what is none, and `Refused` for bad ones."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return parse_settings(found if isinstance(found, dict) else {}, stored=True)
