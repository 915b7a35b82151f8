"""Looks at the credentials that requests carry, for whose they are and what they are good for, and lets tests end, revoke and shorten those that were given out."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from worker.sandbox.accounts import Account, account_of
from worker.sandbox.authority import PREFIX, issued_to
from worker.sandbox.credentials import login_of
from worker.sandbox.faults.answers import Handler
from worker.sandbox.faults.spec import vendor_of
from worker.sandbox.request_marks import OWN, REFUSED, TOKEN, TOKEN_ENDED
from worker.sandbox.store import Store


class TokenRules(BaseModel):
    """What is to happen to tokens: all access tokens end, all refresh tokens are revoked, those given out from now on live for
    `life_s`, assertions of a client are verified by its certificate (PEM).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expire: bool = False
    revoke: bool = False
    life_s: float | None = Field(default=None, gt=0)
    certificates: dict[str, str] = Field(default_factory=dict)

    def apply(self, store: Store) -> None:
        """Let it happen."""
        if self.expire:
            ended = {token: issued.ended() for token, issued in store.issued.items()}
            store.issued.update(ended)
        if self.revoke:
            for held in store.refreshes.values():
                held.revoked = True
        if self.life_s is not None:
            store.token_life_s = self.life_s
        store.certificates.update(self.certificates)


def reading_credentials(store: Store) -> Any:
    """Middleware that notes what a request's access token is good for, and which account asks. A bearer of another form was
    pasted, and is taken.
    """

    @web.middleware
    async def read(request: web.Request, handler: Handler) -> web.StreamResponse:
        name, secret = login_of(request)
        if not request.get(OWN) and secret.startswith(PREFIX):
            issued = issued_to(store, secret)
            here = _authority_of(request.path)
            if issued is not None and issued.vendor == here:
                request[TOKEN], name = issued, issued.client
            else:
                request[TOKEN_ENDED] = True
        account = account_of(store.accounts, name, secret)
        store.asking.set(account)
        if account is not None and TOKEN not in request and not _logs_in(account, name, secret, request.path):
            request[REFUSED] = True
        return await handler(request)

    return read


def _logs_in(account: Account, name: str, secret: str, path: str) -> bool:
    """Whether the account's own credential is right, and of a form that the vendor takes from it."""
    basic = bool(name) and vendor_of(path) == "servicenow"
    return account.secret in (None, secret) and not (basic and "snc_basic_auth_api_access" not in account.roles)


def _authority_of(path: str) -> str:
    """Whose tokens a path takes: both products of Atlassian's Cloud have one authority, a Data Center has its own."""
    if path.startswith(("/ex/jira/", "/rest/api/3/")):
        return "confluence"
    return "datacenter" if path.startswith("/rest/") else vendor_of(path)
