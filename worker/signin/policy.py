"""Who may sign in, as what, at which provider: what the operator set, and what it means for a person. Pure but for the secret's file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from config.settings import ConfigError, Settings, groups_by_role
from tasks.http.origin import Origin, checked_url
from tasks.model import Frozen
from tasks.state.access.rights import ROLES, Scope, holds
from worker.signin.trouble import SignInRefused

HOUR_MS = 3600 * 1000
MOST_SHOWN = 20
LONGEST_WORD = 100
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


class Person(Frozen):
    """Somebody whom the provider of that issuer knows by that subject, with the role that `group` gives them."""

    issuer: str
    subject: str
    name: str
    role: str
    group: str

    @property
    def actor(self) -> str:
        """Who acts, as the audit names them: the provider's id, which stays the same, and the name, which people look for."""
        return f"oidc:{self.subject} {self.name}"

    def may(self, scope: Scope) -> bool:
        """Whether the role holds this scope."""
        return holds(ROLES.get(self.role, ()), scope)


class Policy(Frozen):
    """The settings of the sign-in. Times in milliseconds."""

    issuer: str
    client_id: str
    secret: SecretStr | None = Field(default=None, repr=False)
    secret_file: Path | None = None
    scopes: tuple[str, ...]
    groups_claim: str
    roles: tuple[tuple[str, str], ...]
    domains: tuple[str, ...]
    name: str
    session_ms: int
    private: tuple[str, ...]
    ca_file: Path | None = None
    proxy_url: str | None = None

    def client_secret(self) -> str:
        """The secret; empty for a public client. Raises `SignInRefused` where its file can't be read."""
        if self.secret_file is None:
            return self.secret.get_secret_value() if self.secret else ""
        try:
            return self.secret_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise SignInRefused(
                "The file of the client's secret can't be read.",
                code="client_secret_file",
                advice="The operator has to check AFTERWORD_OIDC_CLIENT_SECRET_FILE.",
                status=502,
            ) from None

    def origin_of(self, address: str) -> Origin:
        """Scheme, host and port of one of the provider's addresses, guarded; raises `ValueError` for one that isn't https."""
        parts = urlsplit(address)
        local = on_this_machine(self.issuer)
        if parts.scheme != "https" and not (local and on_this_machine(address)):
            raise ValueError(f"{address!r:.80} is not https")
        return Origin(
            base_url=f"{parts.scheme}://{parts.netloc}",
            allow_http=local,
            allow_private=self.private,
            proxy_url=self.proxy_url,
            ca_file=str(self.ca_file) if self.ca_file else None,
        )

    def role_of(self, groups: Iterable[str]) -> tuple[str, str] | None:
        """The highest role that these groups give, and the group that gives it."""
        held = set(groups)
        given = [(role, group) for role, group in self.roles if group in held]
        return max(given, key=lambda pair: list(ROLES).index(pair[0]), default=None)

    def asks_for(self) -> str:
        """What to ask an administrator for, in words."""
        return ", ".join(f"{group} ({role})" for role, group in self.roles)

    @property
    def fingerprint(self) -> str:
        """A digest of what decides who may do what: a session that was opened under other settings is none."""
        decisive = [self.issuer, self.client_id, self.groups_claim, sorted(self.roles), sorted(self.domains)]
        return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:32]


def sign_in_policy(settings: Settings) -> Policy | None:
    """The policy that the settings make; None where nobody signs in that way. Raises `ConfigError`."""
    if not settings.oidc_issuer or not settings.oidc_client_id:
        return None
    try:
        checked_url(settings.oidc_issuer)
        policy = Policy(
            issuer=settings.oidc_issuer.strip(),
            client_id=settings.oidc_client_id,
            secret=settings.oidc_client_secret,
            secret_file=settings.oidc_client_secret_file,
            scopes=tuple(dict.fromkeys(["openid", *settings.oidc_scopes.split()])),
            groups_claim=settings.oidc_groups_claim,
            roles=tuple(groups_by_role(settings.oidc_roles)),
            domains=tuple(part.lower().lstrip("@") for part in _listed(settings.oidc_email_domains)),
            name=word(settings.oidc_name),
            session_ms=int(settings.oidc_session_hours * HOUR_MS),
            private=tuple(_listed(settings.oidc_private)),
            ca_file=settings.oidc_ca_file,
            proxy_url=settings.oidc_proxy_url,
        )
        policy.origin_of(policy.issuer)
    except ValueError as error:
        raise ConfigError(
            f"AFTERWORD_OIDC_ISSUER: {error}. Correct it, or unset it to sign in with API keys only."
        ) from None
    return policy


def on_this_machine(address: str) -> bool:
    """Whether plain http to it shows nothing to a network."""
    return urlsplit(address).hostname in ("127.0.0.1", "::1", "localhost")


def word(value: object) -> str:
    """A provider's text as one short line, without anything that could make it look like something else."""
    return " ".join(_ODD.sub(" ", value).split())[:LONGEST_WORD] if isinstance(value, str) else ""


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
