"""From one address to what each library needs: redis-py, Celery's broker (kombu) and Celery's result backend.

They read an address each in its own way. redis-py checks certificates; kombu under a transport of ours would speak
plainly to `rediss://`, and the result backend refuses it without `ssl_cert_reqs`. So none of them is left to read it.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry as SyncRetry

from config.redis_address import RedisAddress, is_redis, is_sentinel, parse
from config.settings import ConfigError, Settings
from tasks.errors import StateUnavailable
from tasks.state.outages import unavailable

SENTINEL_TIMEOUT_S = 2.0
CONNECTIONS = 64
RETRIES = 4
SILENCE_S = 5.0  # longer than replicas are waited for; what was cut off in silence is connected anew after this
CONNECT_S = 3.0
FIRST_ANSWER_S = 5.0
ANSWER_S = 20.0
OLDEST = (6, 2)
UNPROVEN = "CERTIFICATE_VERIFY_FAILED"  # OpenSSL's name for a certificate that doesn't hold


class Within(Retry):
    """Retries of a command that end after `limit_s` seconds in all, however often a silent server would be asked again."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(ExponentialBackoff(cap=1.0, base=0.05), RETRIES)
        self._limit_s = limit_s

    async def call_with_retry(self, *given: Any, **named: Any) -> Any:
        """The command's answer; raises redis-py's own `TimeoutError` when the time is over."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await super().call_with_retry(*given, **named)
        except TimeoutError:
            raise RedisTimeoutError("Redis did not answer in time") from None


def open_redis(settings: Settings, answer_s: float = ANSWER_S) -> Redis:
    """The ledger's Redis: a pool that connects when it is first used, and again after a failover. No command takes longer
    than `answer_s` seconds, however silent the server is.
    """
    address = parse(settings.redis_address())
    options: dict[str, Any] = {
        "socket_timeout": SILENCE_S,
        "socket_connect_timeout": CONNECT_S,
        "health_check_interval": 15,
        "retry": Within(answer_s),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
        "db": address.db,
        "username": address.username,
        "password": address.password,
        **address.options,
    }
    if address.service is not None:
        options.pop("timeout", None)
        at_once = {"retry": Retry(NoBackoff(), 0)}
        sentinels = Sentinel(address.hosts, sentinel_kwargs=_sentinel_options(settings, address) | at_once)
        if address.tls is not None:
            options |= {"ssl": True, **address.tls}
        primary: Redis = sentinels.master_for(address.service, Redis, **options)
        return primary
    options = {"max_connections": CONNECTIONS, "timeout": answer_s - 0.5} | options | _where(address)
    return Redis.from_pool(BlockingConnectionPool(**options))


def _where(address: RedisAddress) -> dict[str, Any]:
    if address.path is not None:
        return {"connection_class": UnixDomainSocketConnection, "path": address.path}
    ((host, port),) = address.hosts
    secure = address.tls is not None
    return {"connection_class": SSLConnection if secure else Connection, "host": host, "port": port} | (
        address.tls or {}
    )


def _sentinel_options(settings: Settings, address: RedisAddress) -> dict[str, Any]:
    """How the sentinels themselves are asked: quickly, and without redis-py's own retries of seconds each, so that one
    that is away doesn't hold up the others; the question is asked again by whoever needs the answer.
    """
    options: dict[str, Any] = {
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
    }
    if address.tls is not None:
        options |= {"ssl": True, **address.tls}
    if settings.sentinel_password:
        options["password"] = settings.sentinel_password.get_secret_value()
    return options


def celery_address(url: str, *, socket: str = "socket") -> str:
    """The address as Celery writes it: one for each sentinel, a Unix socket by its scheme `socket`, and no options.

    A result backend calls the scheme `redis+socket`; a broker with a transport of ours calls it `socket`. Addresses that
    aren't Redis' stay as they are.
    """
    if not is_redis(url):
        return url
    address = parse(url)
    account = ""
    if address.username or address.password:
        account = f"{quote(address.username or '', safe='')}:{quote(address.password or '', safe='')}@"
    if address.path is not None:
        return f"{socket}://{account}{quote(address.path)}?virtual_host={address.db}"
    scheme = "sentinel" if address.service is not None else "redis" if address.tls is None else "rediss"
    return ";".join(
        f"{scheme}://{account}{f'[{host}]' if ':' in host else host}:{port}/{address.db}"
        for host, port in address.hosts
    )


def transport_options(settings: Settings, url: str) -> dict[str, Any]:
    """What a broker or result backend has to know of sentinels besides their addresses; empty where there are none."""
    if not is_sentinel(url):
        return {}
    address = parse(url)
    at_once = {"retry": SyncRetry(NoBackoff(), 0)}
    return {"master_name": address.service, "sentinel_kwargs": _sentinel_options(settings, address) | at_once}


def broker_options(url: str) -> dict[str, Any]:
    """The options of that address of a Redis, as kombu's transport takes them."""
    return {name: value for name, value in parse(url).options.items() if name != "timeout"}


def backend_settings(url: str) -> dict[str, Any]:
    """Celery's settings of a result backend at that address of a Redis: its options, and TLS."""
    address = parse(url)
    named = {"health_check_interval": "redis_backend_health_check_interval"}
    found: dict[str, Any] = {named.get(name, f"redis_{name}"): value for name, value in broker_options(url).items()}
    return found | ({"redis_backend_use_ssl": address.tls} if address.tls is not None else {})


def tls_options(url: str) -> dict[str, Any]:
    """Celery's setting of TLS to a broker at that address of a Redis; empty without TLS."""
    tls = parse(url).tls
    return {} if tls is None else {"broker_use_ssl": tls}


def shown_address(url: str) -> str:
    """The address for people: without user and password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2].partition('?')[0]}"


async def check_redis(redis: Redis) -> None:
    """Raise `ConfigError` or `StateUnavailable` where this Redis can't be used, saying why and what to do."""
    try:
        async with asyncio.timeout(FIRST_ANSWER_S):
            facts = await redis.info("server")
    except TypeError as error:  # redis-py meets an unknown option when it connects
        raise ConfigError(f"AFTERWORD_REDIS_URL can't be used: {error}.") from None
    except (RedisError, OSError) as error:
        if isinstance(error, AuthenticationError | NoPermissionError):
            raise StateUnavailable(
                f"Redis refused the account: {str(error).rstrip('.')}.",
                code="redis_login",
                advice="Correct the user and the password in AFTERWORD_REDIS_URL.",
            ) from None
        if trouble := certificate_trouble(error):
            raise trouble from None
        raise unavailable(error) from None
    version = str(facts.get("redis_version", "0"))
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if found < OLDEST:
        raise StateUnavailable(
            f"Redis {version} is too old: 6.2 is the oldest that works.", code="redis_too_old", advice="Upgrade it."
        )


def certificate_trouble(error: BaseException) -> StateUnavailable | None:
    """What is wrong with TLS to Redis and what to do, where that is why it can't be reached."""
    words, cause = "", error
    while cause is not None:
        words, cause = f"{words} {cause}", cause.__cause__ or cause.__context__  # type: ignore[assignment]
    if UNPROVEN in words:
        why = words.split("certificate verify failed: ", 1)[-1].split(" (_ssl", 1)[0].rstrip(".")
        return StateUnavailable(
            f"Redis' certificate is not accepted: {why}.", code="redis_certificate", advice=_advice(why.lower())
        )
    if "CERTIFICATE_REQUIRED" in words or "HANDSHAKE_FAILURE" in words:
        return StateUnavailable(
            "Redis refused the connection: it wants a client's certificate that it knows.",
            code="redis_certificate",
            advice="Add ssl_certfile=… and ssl_keyfile=… to AFTERWORD_REDIS_URL.",
        )
    if "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER_FAILURE" in words:
        return StateUnavailable(
            "Redis doesn't speak TLS at this port.",
            code="redis_certificate",
            advice="Correct the port in AFTERWORD_REDIS_URL, or use redis:// where the network is yours.",
        )
    return None


def _advice(why: str) -> str:
    if "mismatch" in why or "not valid for" in why:
        return "Use a name that the certificate holds in AFTERWORD_REDIS_URL, or a certificate for this one."
    if "expired" in why or "not yet valid" in why:
        return "Renew it, or correct this machine's clock."
    if "self" in why and "chain" not in why:
        return "Name that certificate itself by ssl_ca_certs=FILE in AFTERWORD_REDIS_URL, if it is yours."
    return "Name the authority that signed it by ssl_ca_certs=FILE in AFTERWORD_REDIS_URL."
