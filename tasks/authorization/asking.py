"""What is asked of the servers that a credential depends on: guarded, within the destination's bounds, and audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tasks.audited import AuditedTest
from tasks.credentials import answers
from tasks.credentials.answers import Tokens, tokens_of
from tasks.credentials.grants import Asked
from tasks.credentials.secret import opened
from tasks.destinations import AnySettings, destination_for
from tasks.http.authorization import Fixed
from tasks.http.message import Request
from tasks.http.origin import Origin
from tasks.http.verdict import Judge
from tasks.services import Services
from tasks.state.directory import DestinationRecord
from tasks.state.grants.grants import Grants, Held, bound_to

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Server:
    """A server that the destination depends on."""

    origin: Origin
    total_timeout_s: float
    judge: Judge


@dataclass(frozen=True)
class Asking:
    """One destination, its secret, and what its servers are asked for it."""

    services: Services
    record: DestinationRecord
    secret: str | None = field(repr=False)

    @property
    def settings(self) -> AnySettings:
        """The destination's settings."""
        return self.record.settings

    @property
    def name(self) -> str:
        """The destination's name."""
        return self.record.name

    @property
    def grants(self) -> Grants:
        """What is held."""
        return self.services.grants

    @property
    def bound(self) -> str:
        """What anything held has to belong to."""
        return bound_to(self.settings, self.secret)

    @property
    def proxy_password(self) -> str:
        """The password at the destination's proxy."""
        return self.services.directory.proxy_password(self.record)

    @property
    def parts(self) -> dict[str, str]:
        """The parts of the secret."""
        return opened(self.settings.auth, self.secret)

    def secrets(self, held: Held) -> tuple[str, ...]:
        """Whatever no answer may show."""
        known = (*self.parts.values(), held.access_token, held.refresh_token)
        return tuple(secret for secret in known if secret)

    def gateway(self, held: Held) -> Origin | None:
        """Where the credential works, if that is the vendor's gateway."""
        base = self.settings.gateway
        return self.settings.beside(f"{base}/{held.cloud_id}") if base and held.gateway else None

    async def tokens(self, what: Asked, held: Held) -> Tokens:
        """One request to the authorization server. It counts as a write: it may use up what it was made with."""
        address = urlsplit(self.settings.endpoints.token_url)
        server = self._server(self.settings.beside(f"{address.scheme}://{address.netloc}"), answers.verdict)
        fixed = Fixed(secrets=(*what.secrets, *self.secrets(held)), proxy_password=self.proxy_password)
        body = what.form.encode()
        request = Request("POST", address.path or "/", "POST token", headers=FORM, body=body, writes=True)
        async with self.services.open_http(server, fixed, self._recorder()) as http:
            return (await http.send(request)).parsed(tokens_of)

    async def cloud_id(self) -> str:
        """The site's id at the gateway: the operator's, or what the site itself says. Needs no credential."""
        if known := getattr(self.settings, "cloud_id", None):
            return str(known)
        destination = destination_for(self.settings)
        async with self.services.open_http(
            destination, Fixed(proxy_password=self.proxy_password), self._recorder()
        ) as http:
            response = await http.send(Request("GET", "/_edge/tenant_info", "GET tenant_info"))
        return response.parsed(_cloud_id)

    async def probe(self, origin: Origin, headers: Mapping[str, str]) -> None:
        """Ask for something small there with the credential; raises what the answer means."""
        destination = destination_for(self.settings)
        server = self._server(origin, destination.judge)
        fixed = Fixed(headers, self.secrets(Held()), proxy_password=self.proxy_password)
        async with self.services.open_http(server, fixed, self._recorder()) as http:
            await http.send(destination.probe)

    def _server(self, origin: Origin, judge: Judge) -> Server:
        return Server(origin, self.settings.total_timeout_s, judge)

    def _recorder(self) -> AuditedTest:
        return AuditedTest(self.services.ledger, self.services.vault, self.record, "login")


def _cloud_id(answer: Mapping[str, object]) -> str:
    found = answer["cloudId"]
    if not isinstance(found, str) or not found.replace("-", "").isalnum() or len(found) > 64:
        raise ValueError("cloudId")
    return found
