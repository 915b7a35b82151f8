"""What `afterword doctor` looks at, one check after another, and what to do about what is wrong."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from config.keys import load_key_ring
from config.redis_address import is_sentinel
from config.settings import ConfigError, Settings, unknown_variables
from tasks.errors import AfterwordError, KeyTrouble, StateUnavailable
from tasks.model import JobState
from tasks.state.clock import CORRECT_IT, SKEW_LIMIT_S, in_words, moment
from tasks.state.outages import WRONG_TYPE, unavailable
from tasks.state.workers import workers
from worker.connections import open_redis, shown_address

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from tasks.state.directory import DestinationRecord
    from worker.runtime import Services
    from worker.terminal.base import Context

PROBE_TTL_MS = 60_000
NEARLY_FULL = 0.9
SOON_MS = 7 * 24 * 3600 * 1000
Found = Callable[[str, bool | None, str], None]


def examine(context: Context, *, worker_only: bool) -> list[dict[str, Any]]:
    """Each check by name, with what was found; `ok` is None where nobody knows."""
    findings: list[dict[str, Any]] = []

    def found(name: str, ok: bool | None, detail: str) -> None:
        findings.append({"check": name, "ok": ok, "detail": detail})

    strangers = [] if worker_only else unknown_variables(os.environ)
    said = f"{', '.join(strangers)}: no such setting; see docs/configuration.md" if strangers else "all known"
    found("variables", not strangers, said)
    try:
        if worker_only:
            asyncio.run(_own_worker(found, context.settings))
        elif _keys(found, context.settings):
            context.run(partial(_examine, found))
    except ConfigError as error:
        found("settings", False, str(error))
    except (AfterwordError, RedisError, OSError) as error:
        found("redis", False, str(error if isinstance(error, AfterwordError) else unavailable(error)))
    return findings


def _keys(found: Found, settings: Settings) -> bool:
    """Whether the keys can be had: without them nothing else can be examined."""
    try:
        current = load_key_ring(settings).order[0]
    except ConfigError as error:
        found("keys", False, str(error))
        return False
    by = settings.keys_provider.partition(":")[0] if settings.keys_provider else ""
    found("keys", True, f"current key {current}" + (f"; opened by {by}" if by else ""))
    return True


async def _own_worker(found: Found, settings: Settings) -> None:
    """A heartbeat from this host: in a container, that of its only worker. It opens no more than Redis: a probe that
    runs every few seconds must cost next to nothing.
    """
    host = f"{socket.gethostname()}-"
    async with open_redis(settings) as redis:
        alive = [name for name in await _alive(redis, settings.prefix) if name.startswith(host)]
    found("worker", bool(alive), ", ".join(alive) if alive else "no worker on this host sends a heartbeat")


async def _alive(redis: Redis, prefix: str) -> list[str]:
    seconds, _ = await redis.time()
    now_ms = 1000 * int(seconds)
    names = await redis.zrangebyscore(f"{prefix}:workers", now_ms, "+inf")
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


async def _examine(found: Found, services: Services) -> None:
    facts = await services.redis.info()
    found("redis", True, f"{facts.get('redis_version')} at {shown_address(services.settings.redis_address())}")
    refused = await _refused(services)
    found("writes", refused is None, str(refused) if refused else "are taken")
    found("durability", *await _durability(services, aof=bool(facts.get("aof_enabled"))))
    found("replicas", *_replicas(services, int(facts.get("connected_slaves", 0))))
    evicts = await services.eviction.trouble()
    found("memory", *_memory(facts, evicts))
    may = "none can do anything until Redis is well: see above" if refused or evicts else ""
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "broker": partial(_broker, found, services),
        "messages": partial(_messages, found, services),
        "records": partial(_records, found, services),
        "ledger": partial(_ledger, found, services),
        "clock": partial(_clocks, found, services),
        "checkpoints": partial(_checkpoints, found, services),
        "time stamps": partial(_stamps, found, services),
        "workers": partial(_workers, found, services, may, good=not evicts),
        "destinations": partial(_destinations, found, services),
        "receivers": partial(_receivers, found, services),
        "sign-in": partial(_sign_in, found, services),
    }
    for name, part in parts.items():
        await _apart(found, name, part)


async def _apart(found: Found, name: str, part: Callable[[], Awaitable[None]]) -> None:
    """One part, whose record of a wrong type keeps nobody from hearing of the others."""
    try:
        await part()
    except (StateUnavailable, RedisError) as error:
        trouble = error if isinstance(error, StateUnavailable) else unavailable(error)
        if trouble.code != WRONG_TYPE:
            raise
        found(name, False, trouble.message.partition(";")[0])


async def _workers(found: Found, services: Services, may: str, *, good: bool) -> None:
    alive = len(await _alive(services.redis, services.settings.prefix))
    said = f"{alive} alive" if alive else "none is alive; start `afterword worker`"
    found("workers", alive > 0 and good, f"{alive} alive; {may}" if may else said)


async def _destinations(found: Found, services: Services) -> None:
    for name in await services.destinations.names():
        await _apart(found, f"destination {name}", partial(_destination, found, services, name))


async def _destination(found: Found, services: Services, name: str) -> None:
    try:
        record = await services.destinations.get(name)
    except KeyTrouble:  # told of among the records
        return
    if record:
        await _credential(found, services, record)
        await _standing(found, services, record)


async def _standing(found: Found, services: Services, record: DestinationRecord) -> None:
    """How a destination stands, as every other surface says it; one that nobody tested is neither good nor bad."""
    from tasks.credentials.secret import needs_secret

    test = f"run `afterword destination test {record.name}`"
    if not record.has_credential and needs_secret(record.settings.auth):
        found(
            f"destination {record.name}", False, f"has no credential; run `afterword destination set {record.name} …`"
        )
        return
    standing = (await services.destinations.health(record.name)).standing
    more = f": {standing.reason}" if standing.name == "failing" and standing.reason else ""
    advice = f"; {test}" if standing.name in ("untested", "failing", "suspended") else ""
    advice = (
        f"; run `afterword destination resume {record.name}` to let its jobs go on"
        if standing.name == "paused"
        else advice
    )
    found(f"destination {record.name}", standing.good, f"{standing.words}{more}{advice}")


async def _receivers(found: Found, services: Services) -> None:
    """Whether those who are to be notified are reached; one that nothing was sent to is neither good nor bad."""
    for row in await services.receivers.views():
        test = f"run `afterword notify test {row.name}`"
        said = {"untested": f"untested; {test}", "good": "reached", "failing": f"isn't reached; {test}"}
        good = {"untested": None, "good": True}.get(row.standing, False)
        found(f"receiver {row.name}", good, said.get(row.standing, row.trouble))


async def _sign_in(found: Found, services: Services) -> None:
    """Whether people can sign in: the provider answers, is the one that is set, and publishes keys."""
    from worker.signin.policy import sign_in_policy

    policy = sign_in_policy(services.settings)
    if policy is None:
        return
    from tasks.errors import Refused
    from worker.signin.signing_in import CALLBACK, SigningIn

    try:
        keys = await SigningIn(services, policy).keys()
    except Refused as refused:
        found("sign-in", False, str(refused))
        return
    back = f"{services.settings.public_url or 'https://HOST'}{CALLBACK}"
    said = f"{policy.issuer} answers; its client {policy.client_id} must know the redirect address {back}"
    found("sign-in", bool(keys), said if keys else f"{policy.issuer} publishes no keys")


async def _clocks(found: Found, services: Services) -> None:
    """This machine's clock, and that of each worker which is wrong: no job depends on them, but people read their times."""
    clock = services.journal.clock
    skew_s = clock.skew_s()
    wrong = abs(skew_s) >= SKEW_LIMIT_S
    found("clock", not wrong, f"{in_words(skew_s)} clock" + (f". {CORRECT_IT}" if wrong else ""))
    for worker in await workers(services.redis, services.settings.prefix):
        if worker.until_ms > clock.now_ms() and worker.about.wrong_s is not None:
            found(f"clock of worker {worker.name}", False, f"{in_words(worker.about.wrong_s)} clock. {CORRECT_IT}")


async def _refused(services: Services) -> StateUnavailable | None:
    """Why Redis takes no writes, found by one."""
    try:
        await services.redis.set(f"{services.settings.prefix}:probe", "1", px=PROBE_TTL_MS)
    except (RedisError, OSError) as error:
        return unavailable(error)
    return None


def _memory(facts: Mapping[str, Any], evicts: StateUnavailable | None) -> tuple[bool, str]:
    """How much of its memory Redis uses, and what it does when that is all."""
    used, most = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    policy = facts.get("maxmemory_policy", "unknown")
    of = (
        f"{_megabytes(used)} of maxmemory {_megabytes(most)} used" if most else f"{_megabytes(used)} used, no maxmemory"
    )
    said = f"{of}, maxmemory-policy {policy}"
    if evicts:
        return False, f"{said}. {evicts}"
    if most and used >= most:
        return False, f"{said}. It is full: raise maxmemory, or keep less (AFTERWORD_RETAIN_JOBS_DAYS and the like)"
    if most and used >= NEARLY_FULL * most:
        return False, f"{said}. It is nearly full, and refuses writes then: raise maxmemory"
    return True, said


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"


async def _credential(found: Found, services: Services, record: DestinationRecord) -> None:
    """A credential whose end is known, and a login that nobody has done yet."""
    # A worker's probe is a command of this file, too: it needs none of this, and has to be quick.
    from tasks.authorization.status import status_of
    from tasks.credentials.kinds import WORDS
    from worker.cli.health import duration

    status = await status_of(services.core, record)
    if status.logged_in is False:
        found(
            f"credential {record.name}", False, f"nobody has logged in; run `afterword destination login {record.name}`"
        )
    if status.ends_ms is None:
        return
    left_ms = status.ends_ms - services.core.clock_ms()
    said = f"ends in {duration(left_ms)}" if left_ms > 0 else f"ended {duration(-left_ms)} ago"
    soon = left_ms <= SOON_MS
    todo = f"; renew it and store it with `afterword destination set {record.name} …`" if soon else ""
    found(f"credential {record.name}", not soon, f"{WORDS[status.type]}, {said}{todo}")


async def _durability(services: Services, *, aof: bool) -> tuple[bool, str]:
    if not aof:
        return (
            False,
            "persistence is off (appendonly no), a restart loses jobs: set appendonly yes and appendfsync always",
        )
    try:
        configured = await services.redis.config_get("appendfsync")
    except RedisError:  # managed Redis doesn't show its configuration
        return True, "append-only file is on; whether each write is synced can't be seen"
    sync = str(configured.get("appendfsync"))
    return sync == "always", f"append-only file is on, appendfsync {sync}" + (
        "" if sync == "always" else "; use always"
    )


async def _checkpoints(found: Found, services: Services) -> None:
    found("checkpoints", *await _kept(services))


async def _kept(services: Services) -> tuple[bool, str]:
    """Whether evidence of the audit is kept outside Redis, as far as this account and machine see."""
    place = services.audit.outside
    if place is None:
        return True, "none are kept (AFTERWORD_CHECKPOINTS=none): `audit verify` can't know whether entries are missing"
    try:
        newest_ms = await asyncio.to_thread(place.newest_ms)
    except OSError as trouble:
        return False, f"can't be read ({trouble.strerror or 'no access'}); correct AFTERWORD_CHECKPOINTS or its rights"
    if not newest_ms:
        return True, "none is kept yet that can be read from here"
    minutes = (await services.journal.server_ms() - newest_ms) // 60_000
    return True, f"the newest one is {minutes} min old"


async def _stamps(found: Found, services: Services) -> None:
    """Whether checkpoints get their time stamps, where they are wanted."""
    if not services.settings.timestamp_url:
        return
    place = services.audit.outside
    if place is None or not place.names_heads:
        found(
            "time stamps",
            False,
            "checkpoints are kept where no time stamp can lie beside them; set AFTERWORD_CHECKPOINTS to a folder or store",
        )
        return
    from tasks.state.audit.stamps import stamp_health

    health = await stamp_health(services.redis, services.settings.prefix)
    minutes = (await services.journal.server_ms() - health.stamped_ms) // 60_000
    newest = f"the newest one is {minutes} min old" if health.stamped_ms else "there is none yet"
    found(
        "time stamps",
        not health.failing,
        f"{newest}; {health.why} Workers try again each minute" if health.failing else newest,
    )


def _replicas(services: Services, connected: int) -> tuple[bool, str]:
    """Whether the replicas that a transition waits for are there, and one more for the time after a failover."""
    wanted = services.settings.replicas_wanted()
    if connected < wanted:
        return (
            False,
            f"{connected} of {wanted} are connected; nothing is accepted. Start them or set AFTERWORD_REPLICAS",
        )
    if wanted == 0 and is_sentinel(services.settings.redis_address()):
        return False, "a failover may lose writes that were acknowledged: set AFTERWORD_REPLICAS=1"
    spare = "" if connected > wanted or not wanted else "; after a failover no replica is left: add one"
    return True, f"{connected} connected, {wanted} needed for each write{spare}"


async def _broker(found: Found, services: Services) -> None:
    from worker.broker.queues import queue_lengths

    lengths = await asyncio.to_thread(queue_lengths, services.settings)
    address = shown_address(services.settings.broker_address())
    if not lengths.reachable:
        found("broker", False, f"{address} can't be reached; correct AFTERWORD_BROKER_URL")
        return
    waiting = ", ".join(f"{name} {count}" for name, count in lengths.messages.items())
    found("broker", True, f"{address}: {waiting}")


async def _records(found: Found, services: Services) -> None:
    """Whether somebody changed in Redis what decides where secrets go, and who may do what."""
    doubts = await services.signing.doubts()
    said = " ".join(record.why for record in doubts[:5]) + " `afterword key sign --dry-run` shows them all"
    found("records", not doubts, said if doubts else "destinations and API keys are as they were signed")
    causes = await services.ledger.overview.causes(JobState.DEAD)
    changed = [cause for cause in causes if cause.name == "tampered"]
    said = ", ".join(f"{cause.count} ended because somebody without a key changed them" for cause in changed)
    again = "`afterword job list --state dead --cause tampered` shows them"
    found("jobs", not changed, f"{said}; {again}" if changed else "those that were taken are as they were submitted")


async def _ledger(found: Found, services: Services) -> None:
    """Whether Redis lost what some process had seen, and nobody has cleared that yet."""
    flag = await services.look_first.read()
    if not flag.active:
        found("ledger", True, "didn't go back in time" + (", or that is cleared" if flag.since_ms else ""))
        return
    why = f"{flag.by} says that it went back in time"
    if flag.until_ms:
        since = moment(flag.after_ms) if flag.after_ms else "the beginning"
        why = f"went back in time: what was submitted from {since} until {moment(flag.until_ms)} may be missing"
    found("ledger", False, f"{why}; all attempts look first until `afterword lookfirst clear`")


async def _messages(found: Found, services: Services) -> None:
    """Nothing is broken where messages were set aside, but a producer waits for what won't happen."""
    if held := await services.dead_list.held():
        kinds = ", ".join(f"{count} {kind}" for kind, count in (await services.dead_list.counts()).items())
        said = f"{held} set aside (in all: {kinds}); `afterword message list` says why"
        found("messages", True, said)
