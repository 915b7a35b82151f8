"""One sign-in, from the way to the provider to the person who comes back: authorization code with PKCE, state and nonce.

What a browser's answer is compared with travels sealed in that browser's cookie, so nobody else's browser can answer, and strangers
make us store nothing. Each counts once. Requests to the provider are guarded and audited like those to any authorization server.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tasks.audited import AuditedTest
from tasks.authorization.asking import FORM, Server
from tasks.credentials.grants import Visit, asked_with_code, visit
from tasks.credentials.kinds import Endpoints, Login
from tasks.errors import AttemptFailed, KeyTrouble
from tasks.http.authorization import Fixed
from tasks.http.message import Request, Response
from tasks.http.verdict import FINE, Answer, Verdict, by_status
from tasks.model import Frozen
from worker.runtime import Services
from worker.signin.discovery import PLACE, Provider, provider_of
from worker.signin.identity import Expected, UnknownKey, claims_of, joined, lacks, person_of
from worker.signin.policy import Person, Policy, word
from worker.signin.trouble import SignInRefused

log = logging.getLogger(__name__)

CALLBACK = "/login/oidc/callback"  # where the provider leads back to, at the console's address
PATIENCE_MS = 10 * 60 * 1000  # a person may have to find a second factor
KNOWN_S = 600.0  # how long what a provider says of itself, and its keys, are taken for granted
AGAIN_S = 15.0  # an unknown key makes us ask again, and a failure too, but not more often than this
TOTAL_S = 10.0
SEALED = "signin"
LONGEST_CODE = 4000


class Pending(Frozen):
    """What an answer is compared with. `since_ms` is by the ledger's clock; `back` is the address that was given to come back to."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    back: str
    target: str
    since_ms: int


@dataclass
class SigningIn:
    """Signs people in at one provider. What it knows of the provider is this process's own."""

    services: Services
    policy: Policy
    _provider: Provider | None = None
    _keys: Sequence[Mapping[str, Any]] = ()
    _provider_until_s: float = 0.0
    _keys_until_s: float = 0.0
    _asked_s: float = 0.0
    _failed: tuple[float, SignInRefused] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def begin(self, back: str, target: str) -> tuple[str, str]:
        """The provider's address for a person, and what their browser has to keep; raises `SignInRefused`."""
        provider, policy = await self.provider(), self.policy
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        endpoints = Endpoints(
            token_url=provider.token_endpoint,
            authorize_url=provider.authorization_endpoint,
            scopes=policy.scopes,
            authorize_more={"nonce": nonce},
        )
        there = visit(Login(type="login", client_id=policy.client_id), endpoints, back, state)
        since_ms = self.services.core.clock_ms()
        pending = Pending(
            state=state, nonce=nonce, verifier=there.verifier, back=back, target=target, since_ms=since_ms
        )
        return there.address, self.services.vault.seal(pending.model_dump_json(), purpose=SEALED, owner=SEALED)

    async def pending(self, kept: str, given: Mapping[str, str]) -> Pending:
        """What this browser began, where the answer belongs to it; raises `SignInRefused`. It is used up with that."""
        try:
            pending = Pending.model_validate_json(self.services.vault.open(kept, purpose=SEALED, owner=SEALED))
        except (KeyTrouble, ValueError):
            raise _not_ours() from None
        if not hmac.compare_digest(given.get("state", "").encode("utf-8", "surrogatepass"), pending.state.encode()):
            raise _not_ours()
        if not 0 <= self.services.core.clock_ms() - pending.since_ms <= PATIENCE_MS:
            raise SignInRefused(
                "The sign-in took too long.", code="too_late", advice="Begin it again; it has ten minutes.", status=400
            )
        used = f"{self.services.settings.prefix}:signin:{self.services.vault.mac(SEALED, pending.state.encode()).hex()}"
        if not await self.services.redis.set(used, "1", nx=True, px=2 * PATIENCE_MS):
            raise SignInRefused(
                "This answer of the provider was used already.", code="replayed", advice="Sign in again.", status=400
            )
        return pending

    async def complete(self, pending: Pending, given: Mapping[str, str]) -> Person:
        """Who came back with the provider's answer; raises `SignInRefused`."""
        provider = await self.provider()
        said = given.get("iss")
        if said != provider.issuer and (said is not None or provider.names_itself):
            raise SignInRefused(
                "The answer is from another provider.", code="issuer_wrong", advice="Sign in again.", status=400
            )
        if error := given.get("error"):
            raise _declined(error, given.get("error_description", ""))
        code = given.get("code", "")
        if not 0 < len(code) <= LONGEST_CODE:
            raise SignInRefused(
                "The provider's answer has no code.", code="no_code", advice="Sign in again.", status=400
            )
        tokens = await self._tokens(provider, pending, code)
        access = tokens.get("access_token")
        expected = Expected(
            issuer=provider.issuer,
            client_id=self.policy.client_id,
            nonce=pending.nonce,
            algorithms=provider.algorithms,
            access_token=access if isinstance(access, str) else "",
        )
        claims = await self._claims(provider, str(tokens.get("id_token", "")), expected)
        if lacks(claims, self.policy) and provider.userinfo_endpoint and expected.access_token:
            claims = await self._userinfo(provider.userinfo_endpoint, expected.access_token, claims)
        return person_of(claims, self.policy)

    async def way_out(self) -> str | None:
        """Where a person ends the session at the provider, too; None where there is no such place, or it can't be known now."""
        try:
            endpoint = (await self.provider()).end_session_endpoint
        except SignInRefused:
            return None
        separator = "&" if endpoint and urlsplit(endpoint).query else "?"
        return f"{endpoint}{separator}{urlencode({'client_id': self.policy.client_id})}" if endpoint else None

    # -- what is asked of the provider ---------------------------------------------------------------------------------

    async def provider(self) -> Provider:
        """What the provider says of itself, from ten minutes ago at most; raises `SignInRefused`."""
        async with self._turn:
            now_s = self._now_s()
            if self._provider is None or now_s >= self._provider_until_s:
                if self._failed and now_s < self._failed[0]:
                    raise self._failed[1].with_traceback(None)  # raised again and again, it would keep every caller's
                try:
                    content = (await self._get(self.policy.issuer.rstrip("/") + PLACE, "GET discovery")).json()
                    self._provider = provider_of(content, self.policy, has_secret=bool(self.policy.client_secret()))
                except (AttemptFailed, SignInRefused) as trouble:
                    refused = trouble if isinstance(trouble, SignInRefused) else _away(self.policy.issuer, trouble)
                    self._failed = (now_s + AGAIN_S, refused)
                    raise refused from None
                self._provider_until_s, self._failed = now_s + KNOWN_S, None
            return self._provider

    async def keys(self, *, anew: bool = False) -> Sequence[Mapping[str, Any]]:
        """The keys that the provider signs with; raises `SignInRefused`. They are fetched `anew` at most every few seconds."""
        provider = await self.provider()
        async with self._turn:
            now_s = self._now_s()
            if now_s >= self._keys_until_s or (anew and now_s >= self._asked_s + AGAIN_S):
                self._asked_s = now_s
                try:
                    self._keys = (await self._get(provider.jwks_uri, "GET keys")).parsed(_keys)
                except AttemptFailed as failure:
                    raise _away(provider.jwks_uri, failure) from None
                self._keys_until_s = now_s + KNOWN_S
            return self._keys

    async def _claims(self, provider: Provider, token: str, expected: Expected) -> dict[str, Any]:
        for anew in (False, True):
            keys = await self.keys(anew=anew)
            try:
                return claims_of(token, keys, expected, self._now_s())
            except UnknownKey:
                continue
        raise SignInRefused(
            "The provider's ID token is signed with a key that the provider doesn't publish.",
            code="key_unknown",
            advice="Wait half a minute and sign in again: the provider may have changed its keys just now.",
        )

    async def _tokens(self, provider: Provider, pending: Pending, code: str) -> dict[str, Any]:
        secret = self.policy.client_secret()
        parts = {"client_secret": secret} if provider.client_login == "post" else {}
        there = Visit("", pending.state, pending.verifier, pending.back)
        asked = asked_with_code(Login(type="login", client_id=self.policy.client_id), parts, there, code)
        login = {}
        if provider.client_login == "basic":  # RFC 6749, 2.3.1: each half is encoded as in a form first
            pair = f"{quote(self.policy.client_id, safe='')}:{quote(secret, safe='')}"
            login["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            response = await self._ask(
                provider.token_endpoint,
                "POST token",
                login=login,
                body=asked.form.encode(),
                secrets=(*asked.secrets, secret),
            )
            tokens = response.parsed(dict)
        except AttemptFailed as failure:
            raise _away(provider.token_endpoint, failure) from None
        if response.status >= 300:
            raise _refused(str(tokens.get("error")), response)
        return tokens

    async def _userinfo(self, address: str, access_token: str, claims: dict[str, Any]) -> dict[str, Any]:
        """The claims with what userinfo says besides, where it speaks of the same person."""
        try:
            bearer = {"Authorization": f"Bearer {access_token}"}
            more = (await self._ask(address, "GET userinfo", login=bearer)).parsed(dict)
        except AttemptFailed as failure:
            raise _away(address, failure) from None
        if more.get("sub") != claims["sub"]:
            raise SignInRefused(
                "The provider's userinfo speaks of somebody else.", code="userinfo_other", advice="Sign in again."
            )
        return joined(claims, more)

    async def _get(self, address: str, operation: str) -> Response:
        response = await self._ask(address, operation)
        if response.status >= 300:
            raise AttemptFailed(f"It answered with {response.status}.", code="remote_refused", status=response.status)
        return response

    async def _ask(
        self,
        address: str,
        operation: str,
        *,
        login: Mapping[str, str] | None = None,
        body: bytes | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Response:
        """One request, or its error as `AttemptFailed`."""
        parts, method = urlsplit(address), operation.partition(" ")[0]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = Request(method, path, operation, headers=FORM if body else {}, body=body, writes=body is not None)
        core = self.services.core
        server = Server(self.policy.origin_of(address), TOTAL_S, _verdict)
        fixed = Fixed(login or {}, tuple(secret for secret in secrets if secret))
        async with core.open_http(server, fixed, AuditedTest(core.ledger, core.vault, None, "login")) as http:
            return await http.send(request)

    def _now_s(self) -> float:
        return self.services.core.clock_ms() / 1000


def _verdict(answer: Answer) -> Verdict:
    """A refusal in the words of OAuth is an answer like any other: whoever asked reads what it says."""
    content = answer.json()
    said = isinstance(content, dict) and isinstance(content.get("error"), str)
    return FINE if said and answer.status < 500 and answer.status != 429 else by_status(answer)


def _keys(content: Any) -> list[Mapping[str, Any]]:
    """The keys of a JWK set; raises `LookupError` or `TypeError`."""
    return [key for key in content["keys"] if isinstance(key, dict)]


# -- what went wrong -------------------------------------------------------------------------------------------------


def _not_ours() -> SignInRefused:
    return SignInRefused(
        "This is not the answer of a sign-in that this browser began.",
        code="state_wrong",
        advice="Sign in again, in this browser, and at the address that you began at. Cookies must be allowed.",
        status=400,
    )


def _declined(error: str, description: str) -> SignInRefused:
    said = word(description)
    if error == "access_denied":
        return SignInRefused(
            "The sign-in was cancelled, or the provider doesn't let you use this application.",
            code="access_denied",
            advice=f"The provider says: {said}" if said else "Sign in again, or ask an administrator of the provider.",
        )
    return SignInRefused(
        f"The provider refused the sign-in: {word(error)[:60]}{f' ({said})' if said else ''}.",
        code="provider_refused",
        advice="The operator checks the client at the provider: its redirect address, and AFTERWORD_OIDC_SCOPES.",
    )


def _refused(error: str, response: Response) -> SignInRefused:
    """Why the token endpoint gave nothing: the operator's fault is told apart from one that goes by itself."""
    if error in ("invalid_client", "unauthorized_client"):
        return SignInRefused(
            "The provider refused Afterword itself.",
            code="client_refused",
            advice="The operator checks AFTERWORD_OIDC_CLIENT_ID and the client's secret: secrets end, too.",
            status=502,
        )
    if error == "invalid_grant":
        return SignInRefused(
            "The provider doesn't take its own code any more.", code="code_refused", advice="Sign in again.", status=400
        )
    return SignInRefused(
        f"The provider gave no tokens: {response.words()[:200]}.",
        code="provider_refused",
        advice="The operator checks the client at the provider.",
        status=502,
    )


def _away(address: str, failure: AttemptFailed) -> SignInRefused:
    log.warning("sign-in: %s: %s", urlsplit(address).netloc, failure)
    return SignInRefused(
        f"The provider can't be asked: {urlsplit(address).netloc} doesn't answer as it should ({failure.code}).",
        code="provider_away",
        advice="Try again later, or log in with an API key. `afterword doctor` tells the operator more.",
        status=502,
    )
