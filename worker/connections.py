"""Connections to Redis, directly or through Sentinel, and the addresses by which Celery opens its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry as SyncRetry

from config.sentinel import SentinelAddress, is_sentinel, parse_sentinel
from config.settings import Settings

SENTINEL_TIMEOUT_S = 2.0
CONNECTIONS = 64
POOL_TIMEOUT_S = 20


def open_redis(settings: Settings) -> Redis:
    """The ledger's Redis: a pool that connects when it is first used, and again after a failover."""
    options: dict[str, Any] = {
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "health_check_interval": 15,
        "retry": Retry(ExponentialBackoff(cap=1.0, base=0.05), 4),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }
    url = settings.redis_address()
    if not is_sentinel(url):
        return Redis.from_pool(
            BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=POOL_TIMEOUT_S, **options)
        )
    address = parse_sentinel(url)
    at_once = {"retry": Retry(NoBackoff(), 0)}
    sentinels = Sentinel(address.hosts, sentinel_kwargs=sentinel_options(settings, address) | at_once)
    options |= {"db": address.db, "username": address.username, "password": address.password, "ssl": address.tls}
    primary: Redis = sentinels.master_for(address.service, Redis, **options)
    return primary


def sentinel_options(settings: Settings, address: SentinelAddress) -> dict[str, Any]:
    """How the sentinels themselves are asked: quickly, and without redis-py's own retries of seconds each, so that one
    that is away doesn't hold up the others; the question is asked again by whoever needs the answer.
    """
    options: dict[str, Any] = {
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
    }
    if address.tls:
        options["ssl"] = True
    if settings.sentinel_password:
        options["password"] = settings.sentinel_password.get_secret_value()
    return options


def celery_address(url: str, *, socket: str = "socket") -> str:
    """The address as Celery writes it: one for each sentinel, a Unix socket by its scheme `socket`, others as they are.

    A result backend calls the scheme `redis+socket`; a broker with a transport of ours calls it `socket`.
    """
    if url.startswith("unix://"):
        place, _, query = url.removeprefix("unix://").partition("?")
        return f"{socket}://{place}" + (f"?{query.replace('db=', 'virtual_host=')}" if query else "")
    if not is_sentinel(url):
        return url
    address = parse_sentinel(url)
    account = ""
    if address.password:
        account = f"{quote(address.username or '', safe='')}:{quote(address.password, safe='')}@"
    return ";".join(
        f"sentinel://{account}{f'[{host}]' if ':' in host else host}:{port}/{address.db}"
        for host, port in address.hosts
    )


def sentinel_transport_options(settings: Settings, url: str) -> dict[str, Any]:
    """What Celery's broker and result backend have to know besides the address; empty where it names no sentinels."""
    if not is_sentinel(url):
        return {}
    address = parse_sentinel(url)
    at_once = {"retry": SyncRetry(NoBackoff(), 0)}
    return {"master_name": address.service, "sentinel_kwargs": sentinel_options(settings, address) | at_once}


def shown_address(url: str) -> str:
    """The address for people: without user and password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2].partition('?')[0]}"
