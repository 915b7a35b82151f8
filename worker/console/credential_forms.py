"""The part of a destination's form that says how it logs in, and how what was filled in becomes settings and a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tasks.credentials.kinds import WORDS, AnyAuth
from tasks.credentials.secret import SECRET, parts_for
from tasks.destinations import AnySettings
from tasks.model import Frozen

SECRET_FIELDS = ("secret", "account_password", "private_key", "proxy_password")
_PLACES = {"client_secret": "secret", "password": "account_password", "private_key": "private_key"}
_TEXT_FIELDS = ("client_id", "tenant", "token_url", "subject", "key_id", "token_file")


class LoginField(Frozen):
    """A field that some ways to log in need."""

    name: str
    label: str
    hint: str = ""


CLIENT = LoginField(name="client_id", label="Client ID")
TENANT = LoginField(name="tenant", label="Tenant", hint="The Entra directory of the client: its id or its domain.")
SCOPES = LoginField(name="scopes", label="Scopes", hint="Separated by blanks. Empty for the usual ones.")
TOKEN_URL = LoginField(name="token_url", label="Token endpoint", hint="Empty for the vendor's own.")
SUBJECT = LoginField(name="subject", label="Account of the JWT", hint="The user that the client speaks for.")
KEY_ID = LoginField(name="key_id", label="Key ID of the JWT")
TOKEN_FILE = LoginField(
    name="token_file", label="Token file", hint="Workload identity: where the platform keeps its token."
)

# For each kind of destination: what its secret is by default, the other ways to log in, and the fields that those need.
DEFAULT_WAY = {
    "confluence": "Email and API token, or a token alone",
    "servicenow": "Username and password",
    "azure_devops": "Personal access token",
    "jira": "Email and API token, or a token alone",
}
WAYS: Mapping[str, tuple[str, ...]] = {
    "confluence": ("basic", "token", "client-credentials", "login"),
    "servicenow": ("basic", "token", "api-key", "client-credentials", "password", "jwt", "login"),
    "azure_devops": ("token", "client-credentials", "certificate", "workload-identity", "login"),
    "jira": ("basic", "token", "client-credentials", "login"),
}
FIELDS: Mapping[str, tuple[LoginField, ...]] = {
    "confluence": (CLIENT, SCOPES, TOKEN_URL),
    "servicenow": (CLIENT, SCOPES, TOKEN_URL, SUBJECT, KEY_ID),
    "azure_devops": (CLIENT, TENANT, SCOPES, TOKEN_URL, TOKEN_FILE),
    "jira": (CLIENT, SCOPES, TOKEN_URL),
}


def ways_of(kind: str) -> list[tuple[str, str]]:
    """The choices of a kind of destination, with the words for them."""
    named = [(way, WORDS[way][0].upper() + WORDS[way][1:]) for way in WAYS[kind]]
    return [("", DEFAULT_WAY[kind]), *named]


def auth_values(settings: AnySettings) -> dict[str, str]:
    """What the form of a stored destination shows of its way to log in."""
    auth = settings.auth.model_dump(mode="json", exclude_none=True) if settings.auth else {}
    shown = {name: str(auth.get(name, "")) for name in _TEXT_FIELDS}
    ends = settings.credential_expires
    return shown | {
        "auth": str(auth.get("type", "")),
        "scopes": " ".join(auth.get("scopes", ())),
        "credential_expires": ends.isoformat() if ends else "",
    }


def auth_given(values: Mapping[str, str]) -> dict[str, Any]:
    """The settings that the form means; none where it doesn't hold that part."""
    if "auth" not in values:
        return {}
    way, ends = values["auth"], values.get("credential_expires") or None
    if not way:
        return {"auth": None, "credential_expires": ends}
    fields: dict[str, Any] = {}
    if way not in ("basic", "token", "api-key"):
        fields = {name: values[name] for name in _TEXT_FIELDS if values.get(name)}
        wanted = {"jwt": ("subject", "key_id"), "workload-identity": ("token_file",)}.get(way, ())
        for name in ("subject", "key_id", "token_file"):
            if name not in wanted:
                fields.pop(name, None)
        if way in ("password", "jwt"):
            fields.pop("tenant", None)
        if scopes := values.get("scopes", "").strip():
            fields["scopes"] = re.split(r"[\s,]+", scopes)
        if way == "jwt" and values.get("username"):
            fields.setdefault("subject", values["username"])
    return {"auth": {"type": way, **fields}, "credential_expires": ends}


def secret_given(auth: AnyAuth | None, said: Callable[[str], str]) -> str | None:
    """The secret of a filled-in form as `tasks.credentials.secret.as_stored` takes it; None where all of it is empty."""
    parts = parts_for(auth)
    if parts == (SECRET,):
        return said("secret") or None
    found = {part.name: said(_PLACES[part.name]) for part in parts if part.name in _PLACES}
    given = {name: text for name, text in found.items() if text}
    return json.dumps(given) if given else None
