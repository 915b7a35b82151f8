"""Runs the ledger's transitions: each is one Lua script that also appends the audit entry that describes it. Frequent ones
that stand behind one another run as one script, in their order, each with its entry.

Every process writes a chain of its own, so writers never wait for one another. An entry's MAC covers its fields
and the MAC before it; the head of each chain is kept beside the stream and moved by the same script, so an entry,
the transition and the head stand or fall together. Entries of one process go out in order as one pipeline; where a
script refuses its transition the entry stays out, and those behind it are signed again.

A connection that breaks mid-pipeline leaves no doubt either: the head says which entries were taken.

A ledger that went back in time refuses every transition; the one that raises the flag (look first) goes before them then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks.errors import StateUnavailable
from tasks.state.audit.checkpoint import Checkpoint
from tasks.state.audit.entries import Event, sign
from tasks.state.audit.heads import position
from tasks.state.audit.opening import opened, standing
from tasks.state.audit.verification import Own
from tasks.state.batch import Chain, Pending, Reply, answers_of, index_of, parts_of, runs_of, shown
from tasks.state.clock import Clock
from tasks.state.memory import Memory, arguments
from tasks.state.newest import Newest
from tasks.state.outages import unavailable
from tasks.state.scripts import load, load_transitions
from tasks.state.together import Together
from tasks.state.vault import Vault

GROUP = 64
WENT_BACK = "look_first/went_back"
REPLICA_LIMIT_MS = 3000


class Journal:
    """Commits transitions with their audit entries, in order, many to a round trip; no caller waits for longer than
    `answer_s` seconds.

    Its trips go one after the other over `line`, a client with a connection of its own: a pool spends a third of such a trip.
    Bound to the event loop it is first used on. Raises `StateUnavailable` where Redis can't take the write.
    """

    def __init__(
        self,
        redis: Redis,
        vault: Vault,
        prefix: str,
        *,
        replicas: int = 0,
        clock: Clock | None = None,
        memory: Memory | None = None,
        answer_s: float | None = None,
        line: Redis | None = None,
    ) -> None:
        self._replicas = replicas
        self._answer_s = answer_s
        self.memory = memory or Memory(Newest(), "")
        self._redis = redis
        self._line = line or redis
        self.reads = Together(redis)
        self.vault = vault
        self.prefix = prefix
        self.clock = clock or Clock()
        self._chain = Chain()
        self._queue: list[Pending] = []
        self._flusher: asyncio.Task[None] | None = None
        self._shas: dict[str, str] = {}

    async def commit(self, script: str, args: Mapping[str, Any], event: Event, **data: Any) -> Reply:
        """Run `script` and append `event`; `data` is what the audit shows (never a body or a secret)."""
        loop = asyncio.get_running_loop()
        pending = Pending(script, args, event, shown(data), loop.create_future())
        self._queue.append(pending)
        if self._flusher is None or self._flusher.done():
            self._flusher = loop.create_task(self._flush())
        late = None if self._answer_s is None else loop.call_later(self._answer_s, self._give_up, pending)
        try:
            return await pending.done
        finally:
            if late is not None:
                late.cancel()

    def _give_up(self, pending: Pending) -> None:
        """Nobody waits for it any longer; what isn't on its way yet isn't sent."""
        self._queue = [other for other in self._queue if other is not pending]
        self._resolve(pending, unavailable(RedisTimeoutError()))

    def known(self) -> dict[str, Any]:
        """What a heartbeat compares with the ledger: the newest entry that was seen, and this process's own."""
        return {"seen": self.memory.seen, "chain": self._chain.name, "entry": self._chain.seq}

    async def went_back(self) -> None:
        """Raise the flag: the ledger is older than what this process has seen."""
        facts = self.memory.lose(self._chain.at_ms)
        self._told(await self.commit(WENT_BACK, arguments(facts), Event.WENT_BACK, **facts))

    async def query(self, script: str, args: Mapping[str, Any]) -> Any:
        """Run a script that writes no audit entry."""
        await self._know_the_time()
        try:
            return await self._evaluate(script, args)
        except NoScriptError:
            self._shas.clear()
            return await self._evaluate(script, args)
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    def own(self) -> Own | None:
        """What this process knows of its own chain; None before its first entry."""
        chain = self._chain
        return Own(chain.name, chain.head, chain.at_ms) if chain.seq else None

    async def confirmed(self) -> bool:
        """Whether the replicas that are asked for have everything that was written before this call."""
        pipeline = self._redis.pipeline(transaction=False)
        self._ask_replicas(pipeline)
        return not self._replicas or self._too_few(await pipeline.execute(raise_on_error=False)) is None

    async def server_ms(self) -> int:
        """The Redis server's clock, in milliseconds since the epoch, as it says now; raises `StateUnavailable`."""
        asked = self.clock.asking()
        try:
            seconds, micros = await self._redis.time()
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        self.clock.heard(int(seconds) + int(micros) / 1e6, asked)
        return int(seconds) * 1000 + int(micros) // 1000

    async def _know_the_time(self) -> None:
        """Ask for it where the last answer is too old to be carried on. Every trip to Redis comes by here."""
        if self.clock.stale:
            await self.server_ms()

    async def _flush(self) -> None:
        while self._queue:
            group, self._queue = self._queue[:GROUP], self._queue[GROUP:]
            try:
                await self._know_the_time()
                again = await self._send(group)
            except StateUnavailable as error:
                self._fail(group, error)
            except (RedisError, OSError) as error:
                self._fail(group, unavailable(error))
            except BaseException as error:
                # Stopped, or a fault of ours: nobody may wait for ever for what is not sent any more.
                stopped = StateUnavailable("This process stops; nothing was written.", code="stopped")
                fault = error if isinstance(error, Exception) else stopped
                self._fail(group, fault)
                if not isinstance(error, Exception):
                    self._fail(self._queue, fault)
                    self._queue = []
                    raise
            else:
                self._queue[:0] = again

    def _fail(self, group: list[Pending], error: Exception) -> None:
        for pending in group:
            self._resolve(pending, error)

    async def _send(self, group: list[Pending]) -> list[Pending]:
        """One pipeline; returns those that have to be signed again."""
        group = sorted(group, key=lambda pending: pending.script != WENT_BACK)  # nothing else passes before it
        if self.memory.loss and group[0].script != WENT_BACK:
            group = [self._first_of_all(self.memory.loss), *group]
        runs = runs_of(group)
        shas = await self._prepare({load_transitions(run[0].runs_with) for run in runs})
        telling = group[0].event is Event.WENT_BACK  # what comes behind it needn't say it again
        scripts: list[tuple[str, str]] = []
        head, seq, mac = self._chain.head, self._chain.seq, self._chain.mac
        seen = None if seq else await standing(self._redis, self.prefix)
        for run in runs:
            transitions = []
            for pending in run:
                seq += 1
                pending.at_ms, pending.seq = self.clock.now_ms(), seq
                if pending.event is Event.WENT_BACK and self.memory.loss:
                    pending.data = shown(self.memory.loss)
                data = opened(pending.data, seen, self._chain.after) if seen and seq == 1 else pending.data
                entry = sign(self.vault, self._chain.name, seq, pending.at_ms, pending.event, data, previous=mac)
                pending.mac = mac = entry["mac"]
                entry |= {"prev": head} if telling else {"prev": head, "seen": self.memory.seen}
                head = f"{seq}:{mac}"
                transitions.append({"script": pending.script, "entry": entry, "args": pending.args})
            scripts.append((shas[load_transitions(run[0].runs_with)], json.dumps(transitions)))
        try:
            replies = await self._run(scripts)
        except (RedisConnectionError, RedisTimeoutError, OSError):
            return await self._reconcile(group)
        trouble = self._too_few(replies)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            self._shas.clear()
        return await self._take(group, answers_of(runs, replies), trouble)

    async def _run(self, scripts: list[tuple[str, str]]) -> list[Any]:
        """What each answers, and then the replicas. One by itself is spared what redis-py spends on a pipeline."""
        if len(scripts) == 1 and not self._replicas:
            ((sha, transitions),) = scripts
            try:
                return [await self._line.evalsha(sha, 0, self.prefix, transitions)]  # type: ignore[misc]
            except ResponseError as refused:
                return [refused]
        pipeline = self._redis.pipeline(transaction=False)
        for sha, transitions in scripts:
            pipeline.evalsha(sha, 0, self.prefix, transitions)
        self._ask_replicas(pipeline)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def _take(
        self, group: list[Pending], replies: list[Any], trouble: StateUnavailable | None = None
    ) -> list[Pending]:
        """Resolve what was answered; returns what has to be signed again.

        With `trouble` the transitions stand on the primary alone: callers hear that, because a failover would undo
        what they are about to rely on.
        """
        refusals = {reply[0] for reply in replies if not isinstance(reply, Exception)}
        broken = b"chain" in refusals
        if b"older" in refusals:
            self.memory.lose(self._chain.at_ms)
        head = await self._known_head() if broken else ""
        # A client that sent the pipeline twice sees "chain" for entries that its first try had brought in.
        taken = index_of(group, head)
        again: list[Pending] = []
        # Nothing passes before it is told that the ledger went back; where Redis doesn't take that, nobody waits for it here.
        first = replies[0] if group[0].script == WENT_BACK else None
        untold = first if isinstance(first, Exception) and not isinstance(first, NoScriptError) else None
        for index, (pending, reply) in enumerate(zip(group, replies, strict=True)):
            if not isinstance(reply, Exception) and reply[0] == b"chain" and index <= taken:
                self._accept(pending)
            elif isinstance(reply, NoScriptError) or (
                not isinstance(reply, Exception) and reply[0] in (b"chain", b"older") and not untold
            ):
                again.append(pending)
            elif isinstance(reply, Exception) or untold:
                self._resolve(pending, unavailable(untold or reply))
            else:
                status, reason, detail, data = parts_of(reply)
                if status == "ok":
                    self._accept(pending, trouble, reason, data)
                else:
                    self._resolve(pending, Reply(status, reason, detail, data=data))
        if broken and again and head != self._chain.head:
            if position(head) < self._chain.seq and not await self._trimmed():
                lost = self._chain
                self.memory.lose(lost.at_ms, chain=lost.name, entry=lost.seq, found=position(head))
            self._chain = self._chain.restarted()  # Redis knows another head: begin a new chain
        return again

    def _first_of_all(self, loss: Mapping[str, Any]) -> Pending:
        """The transition that raises the flag, before everything else that waits."""
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda end: None if end.exception() else self._told(end.result()))
        return Pending(WENT_BACK, arguments(loss), Event.WENT_BACK, shown(loss), done)

    def _told(self, reply: Reply) -> None:
        """The flag is raised; where the answer was lost it is asked for again."""
        if reply.ok and reply.data:
            newest_ms, since_ms, by, after_ms = reply.data
            self.memory.told(int(newest_ms), int(since_ms), by.decode(), int(after_ms))

    async def _trimmed(self) -> bool:
        """Whether our newest entry was exported and trimmed, and our head with it: a trim names it, or went on past it."""
        raw = await self._redis.get(f"{self.prefix}:audit:base")
        try:
            base = Checkpoint.model_validate_json(raw or b"")
            cut_ms = int(base.last_id.partition("-")[0])
        except ValueError:  # none, or one that `audit verify` names
            return False
        named = position(base.heads.get(self._chain.name, "")) >= self._chain.seq
        return named or self._chain.at_ms < cut_ms

    def _accept(
        self, pending: Pending, trouble: StateUnavailable | None = None, told: str = "", data: tuple[Any, ...] = ()
    ) -> None:
        """The entry is in. What the script told besides is lost where the connection broke before its answer."""
        self._chain.seq, self._chain.mac, self._chain.at_ms = pending.seq, pending.mac, pending.at_ms
        self._resolve(pending, trouble or Reply("ok", told, intent=f"{self._chain.name}/{pending.seq}", data=data))

    def _resolve(self, pending: Pending, result: Reply | Exception) -> None:
        if pending.done.done():
            return
        if isinstance(result, Exception):
            pending.done.set_exception(result)
            pending.done.exception()  # the caller may be gone: an unread failure is no news
        else:
            pending.done.set_result(result)

    async def _reconcile(self, group: list[Pending]) -> list[Pending]:
        """After a broken connection: the head tells which entries Redis took; the rest is sent again."""
        taken = index_of(group, await self._known_head())
        pipeline = self._redis.pipeline(transaction=False)
        self._ask_replicas(pipeline)
        trouble = self._too_few(await pipeline.execute(raise_on_error=False))
        for pending in group[: taken + 1]:
            self._accept(pending, trouble=trouble)
        return group[taken + 1 :]

    def _ask_replicas(self, pipeline: Any) -> None:
        """Have the replicas confirm everything up to here. WAIT speaks of its own connection's writes: so it has one."""
        if self._replicas:
            pipeline.set(f"{self.prefix}:replicated", "1", ex=3600)
            pipeline.execute_command("WAIT", self._replicas, REPLICA_LIMIT_MS)

    def _too_few(self, replies: list[Any]) -> StateUnavailable | None:
        """Takes the replies to `_ask_replicas` off; trouble where not enough replicas confirmed in time."""
        if not self._replicas:
            return None
        held = replies.pop()
        replies.pop()
        if isinstance(held, int) and held >= self._replicas:
            return None
        return StateUnavailable(
            f"Only {held if isinstance(held, int) else 0} of {self._replicas} replicas took the write in time.",
            code="redis_not_replicated",
            advice="Start the replicas, or set AFTERWORD_REPLICAS to what there is.",
        )

    async def _known_head(self) -> str:
        """The head of our chain as Redis has it."""
        head = await self._redis.hget(f"{self.prefix}:audit:heads", self._chain.name)
        return head.decode() if isinstance(head, bytes) else (head or "")

    async def _prepare(self, texts: set[str]) -> dict[str, str]:
        """What Redis calls these scripts. The caller's own copy: while it waits, another one may find all of them forgotten."""
        shas = {text: self._shas[text] for text in texts & self._shas.keys()}
        for text in texts - shas.keys():
            sha = await self._redis.script_load(text)
            shas[text] = self._shas[text] = sha.decode() if isinstance(sha, bytes) else sha
        return shas

    async def _evaluate(self, script: str, args: Mapping[str, Any]) -> Any:
        text = load(script)
        shas = await self._prepare({text})
        return await self._redis.evalsha(shas[text], 0, self.prefix, json.dumps(args))  # type: ignore[misc]
