"""The composition root: settings become services."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.exceptions import RedisError

from config.keys import follow_key_ring, refuse_guessable
from config.settings import Settings
from tasks.callback_policy import CallbackPolicy, callback_policy
from tasks.errors import KeyTrouble, Refused, StateUnavailable
from tasks.model import Callback, Command, ConnectionReport, Document, Issue, Job, PublishToConfluence
from tasks.services import Services as Core
from tasks.state.audit.notary import time_stamp_authority
from tasks.state.audit.outside import outside
from tasks.state.audit.trail import Audit
from tasks.state.canary import FORMER, SIGNED, check_keys, unsigned_until_ms
from tasks.state.clock import Clock
from tasks.state.contents import Contents
from tasks.state.followups.links import Links
from tasks.state.jobs.followed import Followed
from tasks.state.jobs.ledger import Ledger
from tasks.state.jobs.submitting import Outdated
from tasks.state.journal import Journal
from tasks.state.memory import Memory
from tasks.state.newest import Newest, NewestOnDisk
from tasks.state.vault import Vault
from tasks.tracing import checked_traceparent
from worker.clients import Sessions
from worker.connections import ANSWER_S, check_redis, open_redis
from worker.eviction import Eviction
from worker.policy import screening_policy
from worker.processes import Processes
from worker.pulse import Pulse
from worker.tracing import ClosableTracing, open_tracing

if TYPE_CHECKING:
    from tasks.destinations.contract import Preview
    from tasks.operator.bulk import Progress, Verb
    from tasks.state.access.keys import Access, Caller
    from tasks.state.dead_list.messages import DeadList
    from tasks.state.directory import Directory
    from tasks.state.followups.outbox import Outbox
    from tasks.state.grants.grants import Grants
    from tasks.state.jobs.overview import JobFilter
    from tasks.state.look_first.flag import LookFirstFlag
    from tasks.state.receivers.registry import Receivers
    from tasks.state.upkeep.housekeeping import Upkeep
    from tasks.state.upkeep.rotation import Rotation
    from tasks.state.upkeep.signing import Signing
    from tasks.state.views.registry import Views

log = logging.getLogger(__name__)

REDIS_PAUSE_S = 1.0
LAST_CHECKPOINT_S = 3.0
ENDED_KEPT_MS = 24 * 3600 * 1000  # no session of the console is older


@dataclass(frozen=True)
class Services:
    """What the command line, the workers and the API work with."""

    settings: Settings
    redis: Redis
    vault: Vault
    audit: Audit
    journal: Journal
    newest: Newest
    ended: Newest
    callbacks: CallbackPolicy
    core: Core
    pulse: Pulse
    eviction: Eviction

    @property
    def ledger(self) -> Ledger:
        """Jobs."""
        return self.core.ledger

    @property
    def contents(self) -> Contents:
        """Documents and issues."""
        return self.core.contents

    @property
    def destinations(self) -> Directory:
        """Configured destinations."""
        return self.core.directory

    @cached_property
    def rotation(self) -> Rotation:
        """What makes new keys the current ones."""
        from tasks.state.upkeep.rotation import Rotation

        return Rotation(self.redis, self.journal, self.vault)

    @cached_property
    def upkeep(self) -> Upkeep:
        """What has had its time is forgotten."""
        from tasks.state.upkeep.housekeeping import Upkeep

        return Upkeep(self.redis, self.journal)

    @cached_property
    def access(self) -> Access:
        """API keys."""
        from tasks.state.access.keys import Access

        return Access(self.redis, self.journal, self.vault, self.newest)

    @cached_property
    def dead_list(self) -> DeadList:
        """Messages that were set aside."""
        from tasks.state.dead_list.messages import DeadList

        return DeadList(self.redis, self.journal, self.vault)

    @cached_property
    def signing(self) -> Signing:
        """The signatures of destinations and API keys."""
        from tasks.state.upkeep.signing import Signing

        return Signing(self.redis, self.journal, self.destinations, self.access)

    @cached_property
    def outbox(self) -> Outbox:
        """Outcomes that are to be posted."""
        from tasks.state.followups.outbox import Outbox

        return Outbox(self.journal)

    @cached_property
    def receivers(self) -> Receivers:
        """Who is notified."""
        from tasks.state.receivers.registry import Receivers

        return Receivers(self.redis, self.journal, self.vault, self.newest)

    @cached_property
    def views(self) -> Views:
        """Saved views of jobs."""
        from tasks.state.views.registry import Views

        return Views(self.redis, self.journal, self.vault, self.newest)

    @cached_property
    def look_first(self) -> LookFirstFlag:
        """Whether all attempts look first."""
        from tasks.state.look_first.flag import LookFirstFlag

        return LookFirstFlag(self.redis, self.journal)

    async def submit(
        self,
        command: Command,
        *,
        actor: str,
        job_id: str | None = None,
        idempotency_key: str | None = None,
        document: Document | None = None,
        issue: Issue | None = None,
        callback: Callback | None = None,
        adopt: bool = False,
        origin: Mapping[str, object] | None = None,
        traceparent: str | None = None,
        not_before_ms: int | None = None,
        until_ms: int | None = None,
        caller: Caller | None = None,
    ) -> Job:
        """Store a job; a worker wakes up by itself. See `tasks.lifecycle.submit`.

        `traceparent` is the producer's own trace (W3C Trace Context), which the job's continues. Raises `Outdated` where the
        `caller` isn't let in.
        """
        from tasks import lifecycle

        await self.eviction.refuse()
        facts = {"command": command.command.value, "destination": command.destination}
        with self.core.tracing.span("submit", facts, parent=checked_traceparent(traceparent)) as span:
            store = partial(
                lifecycle.submit,
                self.core,
                command,
                actor=actor,
                job_id=job_id,
                idempotency_key=idempotency_key,
                document=document,
                issue=issue,
                callback=callback,
                adopt=adopt,
                origin=origin,
                traceparent=span.traceparent,
                not_before_ms=not_before_ms,
                until_ms=until_ms,
            )
            lets_in = caller.arguments if caller else None
            try:
                job = await store(caller=lets_in)
            except Outdated as outdated:
                if outdated.what == "caller":
                    raise
                job = await store(caller=lets_in, anew=True)
            span.note({"job": job.id, "destination": job.destination})
            return job

    async def put(self, content: Document | Issue, actor: str) -> None:
        """Store a document or issue, replacing the earlier one of that id. Raises `StateUnavailable`."""
        await self.eviction.refuse()
        if isinstance(content, Document):
            await self.contents.put_document(content, actor)
        else:
            await self.contents.put_issue(content, actor)

    async def retry(self, job_id: str, actor: str, reason: str = "") -> Job:
        """Queue a dead job again."""
        from tasks.operator import operations

        return await operations.retry(self.core, job_id, actor, reason)

    def act_on_all(self, verb: Verb, chosen: JobFilter, *, actor: str, reason: str = "") -> AsyncIterator[Progress]:
        """Retry, cancel or release every job that fits. See `tasks.operator.bulk.act_on_each`."""
        from tasks.operator import operations

        return operations.act_on_all(self.core, verb, chosen, actor=actor, reason=reason)

    async def preview(self, command: Command, document: Document | None = None) -> Preview:
        """What a publication would change, without writing anything. See `tasks.operator.dry_run`."""
        from tasks.operator import dry_run

        if not isinstance(command, PublishToConfluence):
            raise Refused("A dry run is for pages.", code="no_dry_run", advice="Use `afterword render`.")
        return await dry_run.preview(self.core, command, document)

    async def keep_checkpoint(self) -> bool:
        """Keep a checkpoint of the audit outside Redis; False where nothing is kept, or a failover could still undo what it
        says. Raises `OSError` or Redis' errors.
        """
        place = self.audit.outside
        if place is None:
            return False
        made = await (self.audit.checkpoint() if place.names_heads else self.audit.checkpoint(0))
        if not await self.journal.confirmed():
            return False
        await asyncio.to_thread(place.write, made)
        return True

    async def stamp_checkpoint(self) -> bool:
        """Have the newest checkpoint stamped from outside, where that is wanted. See `tasks.state.audit.stamps.Stamps.stamp_newest`."""
        place, notary = self.audit.outside, self.audit.notary
        if place is None or notary is None or not notary.asks:
            return False
        from tasks.state.audit.stamps import Stamps

        return await Stamps(self.redis, self.settings.prefix, place, notary).stamp_newest(self.core.clock_ms())

    async def keep_last_checkpoint(self) -> None:
        """One at the end of a process that wrote to the audit, as every command does that changes something: nobody can
        remove its entries later. It costs no command its success.
        """
        if self.journal.own() is None:
            return
        try:
            async with asyncio.timeout(LAST_CHECKPOINT_S):
                await self.keep_checkpoint()
        except OSError as trouble:
            place = f"{trouble.filename}: " if trouble.filename else ""
            log.warning("no checkpoint of the audit was kept: %s%s", place, trouble.strerror or trouble)
        except (RedisError, KeyTrouble) as trouble:
            log.warning("no checkpoint of the audit was kept: %s", trouble)

    async def test_destination(self, name: str, actor: str) -> ConnectionReport:
        """Test a configured destination; a pass lets it go on where it was suspended."""
        from tasks.destinations import destination_for
        from tasks.operator import operations

        record = await self.destinations.require(name)
        return await operations.test_connection(self.core, destination_for(record.settings), None, record, actor)


def _directory(redis: Redis, journal: Journal, vault: Vault, newest: Newest) -> Directory:
    from tasks.state.directory import Directory

    return Directory(redis, journal, vault, newest)


def _grants(journal: Journal, vault: Vault) -> Grants:
    from tasks.state.grants.grants import Grants

    return Grants(journal, vault)


@dataclass(frozen=True)
class _Opened:
    """What stays open as long as the services do."""

    clock: Clock
    redis: Redis
    line: Redis
    sessions: Sessions
    processes: Processes
    tracing: ClosableTracing


@asynccontextmanager
async def _open(settings: Settings, answer_s: float) -> AsyncIterator[_Opened]:
    redis, clock = open_redis(settings, answer_s), Clock()
    processes = Processes(
        settings.document_processes, settings.document_limit_s, settings.document_memory_mb, clock.now_ms
    )
    opened = _Opened(clock, redis, redis.client(), Sessions(clock), processes, open_tracing(settings, os.environ))
    try:
        yield opened
    finally:
        await opened.processes.close()
        await opened.sessions.close()
        await opened.line.aclose()
        await opened.redis.aclose()
        await asyncio.to_thread(opened.tracing.close)


@asynccontextmanager
async def open_services(settings: Settings, answer_s: float = ANSWER_S) -> AsyncIterator[Services]:
    """Services over one Redis pool, bound to the running loop. Whoever asks Redis has an answer, or an error, within
    `answer_s` seconds.

    Raises `ConfigError` for bad settings or keys and `StateUnavailable` where Redis is absent or too old.
    """
    vault = Vault(follow_key_ring(settings))
    callbacks = callback_policy(settings.callback_origins, settings.callback_private)
    notary = time_stamp_authority(settings.timestamp_url, settings.timestamp_ca_file, settings.timestamp_proxy_url)
    async with _open(settings, answer_s) as opened:
        redis, clock = opened.redis, opened.clock
        await check_redis(redis)
        song = await check_keys(redis, vault, settings.prefix)
        place = settings.instance_name(), settings.prefix
        newest = NewestOnDisk(settings.data / "newest.json", "/".join(place))
        worker = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        memory, replicas = Memory(newest, worker), settings.replicas_wanted()
        journal = Journal(
            redis,
            vault,
            settings.prefix,
            replicas=replicas,
            clock=clock,
            memory=memory,
            answer_s=answer_s,
            line=opened.line,
        )
        await journal.server_ms()
        pulse = Pulse(settings.heartbeat_ttl_s)
        core = Core(
            ledger=Ledger(redis, journal, settings.crash_limit),
            contents=Contents(redis, journal, vault),
            links=Links(redis, journal),
            followed=Followed(redis, journal, vault),
            vault=vault,
            open_http=opened.sessions.http,
            policy=screening_policy(settings),
            worker=worker,
            open_directory=cache(partial(_directory, redis, journal, vault, newest)),
            open_grants=partial(_grants, journal, vault),
            clock_ms=clock.now_ms,
            chance=random.random,
            alive=pulse.alive,
            processes=opened.processes,
            tracing=opened.tracing,
            look_first=settings.look_first,
        )
        kept = outside(settings.checkpoints, settings.data / "checkpoints", "-".join(place))
        services = Services(
            settings=settings,
            redis=redis,
            vault=vault,
            audit=Audit(redis, vault, settings.prefix, kept, journal.own, notary),
            journal=journal,
            newest=newest,
            ended=NewestOnDisk(settings.data / "ended-sessions.json", "/".join(place), ENDED_KEPT_MS),
            callbacks=callbacks,
            core=core,
            pulse=pulse,
            eviction=Eviction(redis),
        )
        if song in (FORMER, SIGNED):
            song = await services.signing.upgrade(song)
        core.ledger.unsigned_until_ms = unsigned_until_ms(song)
        try:
            yield services
        finally:
            await services.keep_last_checkpoint()


@asynccontextmanager
async def open_services_patiently(settings: Settings) -> AsyncIterator[Services]:
    """The same for a worker: a Redis that is away has `redis_patience_s` to come back, as a broker has with Celery.

    Raises what `open_services` raises: at once where waiting doesn't help.
    """
    refuse_guessable(settings)
    deadline = time.monotonic() + settings.redis_patience_s
    async with AsyncExitStack() as opened:
        while True:
            try:
                services = await opened.enter_async_context(open_services(settings))
                await services.eviction.refuse()
                break
            except (StateUnavailable, RedisError, OSError) as trouble:
                helps = not isinstance(trouble, StateUnavailable) or trouble.code == "redis_absent"
                if not helps or time.monotonic() > deadline:
                    raise
                log.warning("start: %s; trying again", trouble)
            await asyncio.sleep(REDIS_PAUSE_S)
        yield services


def check_services(settings: Settings) -> None:
    """Open the services once and close them, so that a start that can't work ends with one clear line."""
    refuse_guessable(settings)

    async def once() -> None:
        async with open_services(settings) as services:
            await services.eviction.refuse()

    asyncio.run(once())
