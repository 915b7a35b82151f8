"""The worker's side: a few processes, each started when it is first needed, replaced when it ends or has to be ended."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from tasks.errors import Held, Throttled, Transient
from worker.processes.frames import LENGTH, Answer, framed, read

log = logging.getLogger(__name__)

SHORT, LONG = 16_000, 100_000  # characters and bytes
START_S = 60.0
TURN_S = 30.0  # how long a long text waits for one of the processes before its job makes room for others
AGAIN_S = 5.0
TRIES = 2
P = ParamSpec("P")
T = TypeVar("T")
_ROOT = Path(__file__).resolve().parents[2]


class Ended(Exception):
    """The process has ended, or had to be ended, before it answered."""


class Processes:
    """Up to `count` processes. A text may take one of them for `limit_s` seconds and `memory_mb` of memory. Used on one event
    loop only.
    """

    def __init__(self, count: int, limit_s: float, memory_mb: int, now_ms: Callable[[], int]) -> None:
        self._limit_s = limit_s
        self._memory_mb = memory_mb
        self._now_ms = now_ms
        self._room = asyncio.Semaphore(count)
        self._idle: list[asyncio.subprocess.Process] = []
        self._started: set[asyncio.subprocess.Process] = set()

    @property
    def longest_s(self) -> float:
        """The longest time until `run` returns or raises, in seconds."""
        return TURN_S + TRIES * (START_S + self._limit_s)

    async def run(self, size: int, step: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """The result of a pure step over texts of that size, in characters and bytes.

        A short text takes less time than any hand-over, and one of middle length goes to a thread. A long one goes to
        a process: raises `Held` where it takes longer than it may there, or ends the process twice, and `Throttled` where
        all processes are busy for long. Step, arguments and result have to be picklable.
        """
        if size <= SHORT:
            return step(*given, **named)
        if size <= LONG:
            return await asyncio.to_thread(step, *given, **named)
        async with self._turn():
            answer = await self._answer(framed((step, given, named)))
        if answer.error is not None:
            raise answer.error
        if answer.fault:
            log.error("a fault of ours in a process for long contents: %s", answer.fault)
            raise _fault(answer.fault.partition(" ")[0])
        result: T = answer.value
        return result

    async def close(self) -> None:
        """End every process, also those still at work, and wait for their ends and for their pipes to be closed."""
        for process in self._started:
            _end(process)
        await asyncio.gather(*(process.wait() for process in self._started))
        await asyncio.sleep(0)  # those that had ended before: their pipes are closed in the loop's next turn

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_S):
                await self._room.acquire()
        except TimeoutError:
            until_ms = self._now_ms() + int(1000 * AGAIN_S)
            raise Throttled(
                "Other long documents are being worked on.", code="documents_busy", until_ms=until_ms
            ) from None
        try:
            yield
        finally:
            self._room.release()

    async def _answer(self, call: bytes) -> Answer:
        for _ in range(TRIES):
            self._idle = [process for process in self._idle if process.returncode is None]
            process = self._idle.pop() if self._idle else await self._start()
            try:
                async with asyncio.timeout(self._limit_s):
                    answer = await _ask(process, call)
            except TimeoutError:
                _end(process)
                raise self._overran() from None
            except Ended:
                _end(process)
            except BaseException:  # cancelled: nobody waits for the answer any more
                _end(process)
                raise
            else:
                self._idle.append(process)
                return answer
        raise Held(
            f"Rendering or screening this content ended the process that did it, {TRIES} times.",
            code="content_crashed",
            advice=f"It may need more memory than such a process may take ({self._memory_mb} MB): shorten or split it, submit it "
            "without its attachments, or raise AFTERWORD_DOCUMENT_MEMORY_MB. Release the job to have it tried again.",
        )

    async def _start(self) -> asyncio.subprocess.Process:
        """A new process, ready for its first call; raises `Transient` where none starts."""
        self._started = {process for process in self._started if process.returncode is None}
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "worker.processes.child", str(os.getpid()), str(self._memory_mb)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # what a crash says may hold content
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            log.error("no process for long contents starts: %s", error)
            raise _fault(type(error).__name__) from None
        self._started.add(process)
        try:
            async with asyncio.timeout(START_S):
                await _read(process)
        except (TimeoutError, Ended):
            _end(process)
            log.error("a process for long contents ended at its start, or took longer than %s s for it", START_S)
            raise _fault("no process starts") from None
        except BaseException:
            _end(process)
            raise
        return process

    def _overran(self) -> Held:
        return Held(
            f"Rendering and screening this content took longer than {self._limit_s:g} s.",
            code="content_overran",
            advice="Shorten or simplify it, or raise AFTERWORD_DOCUMENT_LIMIT_S, then release the job.",
        )


async def _ask(process: asyncio.subprocess.Process, call: bytes) -> Answer:
    try:
        process.stdin.write(call)  # type: ignore[union-attr]
        await process.stdin.drain()  # type: ignore[union-attr]
    except (ConnectionError, RuntimeError):
        raise Ended from None
    answer = await _read(process)
    if not isinstance(answer, Answer):
        raise Ended
    return answer


async def _read(process: asyncio.subprocess.Process) -> object:
    stream = process.stdout
    try:
        head = await stream.readexactly(LENGTH.size)  # type: ignore[union-attr]
        body = await stream.readexactly(*LENGTH.unpack(head))  # type: ignore[union-attr]
    except (asyncio.IncompleteReadError, ConnectionError):
        raise Ended from None
    return read(io.BytesIO(head + body))


def _environment() -> dict[str, str]:
    """Ours without any setting: a process for texts gets no key and no address."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    own = {name: value for name, value in os.environ.items() if not name.startswith("AFTERWORD_")}
    return own | {"PYTHONPATH": path}


def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it and close its pipes. A killed process whose answer nobody reads on keeps its pipe open by what is still in it, and
    asyncio (3.11) waits for the pipe's end.
    """
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way


def _fault(words: str) -> Transient:
    return Transient(f"A fault in Afterword itself ({words}).", code="internal", advice="The worker's log says where.")
