"""One guarded HTTP exchange: only to the destination's own origin, audited around, bounded in time and size.

HTTP status becomes an error here, once. A write without a complete answer is *uncertain*: the remote side may have
carried it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from tasks.errors import AfterwordError, AttemptFailed, DestinationTrouble
from tasks.http.authorization import Authorization
from tasks.http.certificates import fault_of
from tasks.http.echoes import Content, Credential, Sent, credential_of
from tasks.http.message import Request, Response
from tasks.http.origin import Origin
from tasks.http.quota import Guidance, guidance_of
from tasks.http.refusals import (
    broken,
    error_of,
    no_connection,
    not_permitted,
    page_instead,
    proxy_refused,
    proxy_wants_login,
    unreachable,
    unreadable,
)
from tasks.http.sockets import SENDING, Sending, refuse_inside
from tasks.http.verdict import Answer, Judge, by_status
from tasks.model import Frozen

if TYPE_CHECKING:
    import aiohttp

# Some words decide whose trouble it is. Atlassian's Cloud speaks the account's own language unless it is told twice.
ENGLISH = {"Accept-Language": "en", "X-Force-Accept-Language": "true"}
PROXY_WANTS_LOGIN = 407
REFUSALS = 400  # statuses from here on
INTERRUPTED = "interrupted"
INTERRUPTED_S = 2.0


class Limits(Frozen):
    """Bounds of one exchange: seconds and bytes (after decompression)."""

    connect_s: float = 10.0
    total_s: float = 30.0
    max_response_bytes: int = 8_000_000


Outcome = Literal["ok", "failed", "unknown"]


@dataclass(frozen=True)
class Exchange:
    """How one request ended. `sent` and `received` in bytes of body; `status` is None where no answer came."""

    outcome: Outcome
    sent: int
    duration_ms: int
    status: int | None = None
    received: int = 0
    detail: str = ""
    guidance: Guidance = field(default_factory=Guidance)


class Recorder(Protocol):
    """Writes the audit around each request. `before` raising means that the request isn't made."""

    async def before(self, request: Request, origin: Origin, begin: Callable[[], None]) -> object:
        """Make the intent durable, once the request's turn has come; returns a mark for `after`.

        `begin` is called right before the intent is asked for: the request's time runs from there.
        """
        ...

    async def after(self, mark: Any, exchange: Exchange) -> None:
        """Record how it ended, and what the answer said about limits."""
        ...


@dataclass
class Recalled:
    """What holds from attempt to attempt for one account of a destination: answers to reads, such as the id behind a name, for
    a while (seconds), and what an answer could show of its credential.
    """

    kept: dict[str, tuple[float, Response]] = field(default_factory=dict, repr=False)
    most: int = 500
    _sent_with: tuple[Mapping[str, str], tuple[str, ...], Credential] | None = field(default=None, repr=False)

    def credential(self, headers: Mapping[str, str], secrets: tuple[str, ...]) -> Credential:
        """The credential of these headers, worked out once for as long as it stays the same."""
        if self._sent_with is None or self._sent_with[:2] != (headers, secrets):
            self._sent_with = headers, secrets, credential_of(headers, secrets)
        return self._sent_with[2]

    def get(self, question: str, now_s: float) -> Response | None:
        """The answer, where it still holds."""
        until_s, response = self.kept.get(question, (0.0, None))
        return response if now_s < until_s else None

    def keep(self, question: str, response: Response, until_s: float) -> None:
        """Keep an answer; the oldest ones go where there are too many."""
        self.kept.pop(question, None)
        self.kept[question] = (until_s, response)
        while len(self.kept) > self.most:
            del self.kept[next(iter(self.kept))]


class Unreadable(Exception):
    """What came can't be taken as an answer; says why."""


class Http:
    """A destination's client for one attempt."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        origin: Origin,
        authorization: Authorization,
        limits: Limits,
        recorder: Recorder,
        clock: Callable[[], float],
        judge: Judge = by_status,
        recalled: Recalled | None = None,
    ) -> None:
        self._recalled = recalled or Recalled()
        self._judge_answer = judge
        self._session = session
        self._origin = origin
        self._authorization = authorization
        self._sent = Sent()
        self._limits = limits
        self._recorder = recorder
        self._clock = clock
        self._tls = ""

    def keep_inside(self, content: Iterable[str]) -> None:
        """Name the texts that are sent from here on: an answer's words are told without them."""
        self._sent = replace(self._sent, content=Content(tuple(content)))

    def let_out(self, names: Iterable[str]) -> None:
        """Name what may be told although it stands in the content, such as its title."""
        self._sent = replace(self._sent, names=tuple(names))

    @property
    def sent(self) -> Sent:
        """What was sent so far, and what is to be."""
        return self._sent

    @property
    def base_url(self) -> str:
        """The address that requests go to."""
        return self._at.base_url

    @property
    def where(self) -> str:
        """Host and port that requests go to."""
        return self._at.netloc

    @property
    def proxy(self) -> str | None:
        """The proxy that requests go through."""
        return self._at.proxy_url

    @property
    def tls(self) -> str | None:
        """The encryption of the newest connection, in words; None where the address is plain http."""
        return (self._tls or "verified") if self._at.base_url.startswith("https:") else None

    @property
    def _at(self) -> Origin:
        return self._authorization.origin or self._origin

    async def recall(
        self, request: Request, holds: Callable[[Response], bool], *, for_s: float, accept: frozenset[int] = frozenset()
    ) -> Response:
        """The answer to a read, from `for_s` seconds ago at most. One that doesn't hold, such as that there is no such name,
        is asked for anew each time.
        """
        question = json.dumps([request.method, request.path, sorted(request.params.items())])
        known = self._recalled.get(question, self._clock())
        if known is not None:
            return known
        response = await self.send(request, accept=accept)
        if holds(response):
            self._recalled.keep(
                question, replace(response, sent=replace(response.sent, content=Content())), self._clock() + for_s
            )
        return response

    async def send(self, request: Request, *, accept: frozenset[int] = frozenset()) -> Response:
        """The answer, where its status is 2xx or in `accept`; raises the error of any other.

        One whose credential was refused is sent once more where that can be renewed, and where nothing of it was carried out.
        """
        try:
            return await self._send(request, accept)
        except DestinationTrouble as refused:
            if not refused.certain or not await self._authorization.renew(refused):
                raise
        return await self._send(request, accept)

    async def _send(self, request: Request, accept: frozenset[int]) -> Response:
        """Every call leaves an intent in the audit before the request and exactly one outcome after it."""
        at = self._at
        if at.base_url.startswith("http:") and not at.allow_http:
            raise DestinationTrouble(
                "The destination's address is plain http.",
                code="http_refused",
                advice="Use https, or allow it with `--allow-http` for a host you trust.",
            )
        sending = Sending(self._limits.total_s)
        SENDING.set(sending)
        mark = await self._recorder.before(request, at, sending.begin)
        began, response, detail = time.monotonic(), None, INTERRUPTED
        outcome: Outcome = "unknown" if request.writes else "failed"
        try:
            response = await self._exchange(request, at, sending)
            self._judge(request, response, accept)
            outcome, detail = "ok", ""
            return response
        except AttemptFailed as failure:
            outcome, detail = "failed" if failure.certain else "unknown", failure.code
            raise
        except BaseException:
            outcome = "unknown" if request.writes and sending.started else "failed"
            raise
        finally:
            self._tls = sending.tls or self._tls
            exchange = Exchange(
                outcome=outcome,
                status=response.status if response else None,
                sent=len(request.payload),
                received=len(response.body) if response else 0,
                duration_ms=round(1000 * (time.monotonic() - began)),
                detail=detail,
                guidance=self._guidance(response) if response else Guidance(),
            )
            await self._conclude(mark, exchange)

    async def _conclude(self, mark: object, exchange: Exchange) -> None:
        """Close the intent. Where the exchange was cut short, whoever cut it isn't kept waiting for long."""
        ended = self._recorder.after(mark, exchange)
        if exchange.detail != INTERRUPTED:
            await asyncio.shield(ended)
            return
        with contextlib.suppress(TimeoutError, AfterwordError):
            async with asyncio.timeout(INTERRUPTED_S):
                await asyncio.shield(ended)

    def _guidance(self, response: Response) -> Guidance:
        return guidance_of(response.status, response.headers, self._clock())

    async def _exchange(self, request: Request, at: Origin, sending: Sending) -> Response:
        # Only who sends loads the client: a command that shows jobs starts in half the time without it.
        import aiohttp
        from yarl import URL

        url = URL(at.base_url + request.path, encoded=True)
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **ENGLISH}
        headers["User-Agent"] = "afterword"
        own = self._authorization.headers
        headers |= {"Content-Type": "application/json"} if request.json is not None else {}
        headers |= {**request.headers, **own}
        login = self._proxy_login(at)
        if at.base_url.startswith("http:"):  # the proxy reads the request itself; otherwise it reads CONNECT only
            headers |= login
        self._sent = self._sent.and_by(self._recalled.credential({**own, **login}, self._authorization.secrets))
        if at.proxy_url and await refuse_inside(urlsplit(at.base_url).hostname or "", at.allow_private):
            raise not_permitted(at.netloc)
        try:
            async with (
                asyncio.timeout_at(_on_loop(sending.deadline)),
                self._session.request(
                    request.method,
                    url.update_query(dict(request.params)) if request.params else url,
                    data=request.payload or request.body,
                    headers=headers,
                    allow_redirects=False,
                    proxy=at.proxy_url,
                    proxy_headers=login or None,
                ) as answer,
            ):
                if at.proxy_url and answer.status == PROXY_WANTS_LOGIN:
                    raise proxy_wants_login(at.proxy_url, at.proxy_username)
                body = await self._read(answer)
                source = f"{at.netloc} ({request.operation})"
                return Response(answer.status, answer.headers, body, request.writes, self._sent, source)
        except aiohttp.ClientConnectorError as error:
            raise no_connection(error) from None
        except aiohttp.ClientHttpProxyError as error:
            raise proxy_refused(at.proxy_url or "", error.status, at.proxy_username) from None
        except aiohttp.ConnectionTimeoutError:
            raise unreachable(at.netloc) from None
        except aiohttp.ClientOSError as error:
            if isinstance(error.__cause__, ssl.SSLError) and "CERTIFICATE" in str(error.__cause__.reason):
                raise fault_of(error.__cause__, at.netloc) from None
            raise broken(at.netloc, certain=not (request.writes and sending.started)) from None
        except (Unreadable, aiohttp.ClientResponseError) as error:
            why = str(error) if isinstance(error, Unreadable) else "is not HTTP"
            raise unreadable(at.netloc, why, certain=not (request.writes and sending.started)) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            certain = not (request.writes and sending.started)
            late, unshown = isinstance(error, TimeoutError), bool(sending.tls) and not at.client_cert_file
            raise broken(at.netloc, certain=certain, late=late, unshown=unshown) from None

    def _proxy_login(self, at: Origin) -> dict[str, str]:
        """The header that says who we are at the proxy; none where nobody asks."""
        if not at.proxy_url or not at.proxy_username:
            return {}
        import aiohttp  # see `_exchange`

        return {"Proxy-Authorization": aiohttp.encode_basic_auth(at.proxy_username, self._authorization.proxy_password)}

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        packed = answer.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip", "deflate")
        inflate = zlib.decompressobj(wbits=47) if packed else None
        body = bytearray()
        cap = self._limits.max_response_bytes
        async for chunk in answer.content.iter_chunked(65536):
            try:
                body += inflate.decompress(chunk, cap - len(body) + 1) if inflate else chunk
            except zlib.error:
                raise Unreadable("is not compressed as it says") from None
            if len(body) > cap:
                raise Unreadable(f"is longer than {cap // 1_000_000} MB")
        return bytes(body)

    def _judge(self, request: Request, response: Response, accept: frozenset[int]) -> None:
        """Raise the error of an answer that nobody waits for; a status in `accept` passes where the vendor itself says it."""
        status = response.status
        if status in accept and status < REFUSALS:
            return
        begins = response.body[:64].lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        typed = "html" in response.headers.get("Content-Type", "").lower()
        page = begins == b"<" or (typed and begins not in (b"{", b"["))  # JSON is none, whatever it is called
        if status in (301, 302, 303, 307, 308) or status == 203 or (200 <= status < 300 and page):
            leads_to = response.headers.get("Location", "")
            raise page_instead(status, response.words(), leads_to, certain=not request.writes)
        verdict = self._judge_answer(Answer(status, response.headers, response.body, request.operation))
        if verdict.whose == "nobody" or (
            status in accept and (verdict.whose != "destination" or verdict.passing == "job")
        ):
            return
        wait_s = self._guidance(response).pause_s
        raise error_of(verdict, status, response.words(), wait_s, wrote=request.writes)


def _on_loop(deadline: float) -> float:
    """A moment of the monotonic clock by the loop's own."""
    return asyncio.get_running_loop().time() + deadline - time.monotonic()
