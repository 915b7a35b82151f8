"""What every command shares: settings, output, and who runs it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import signal
import textwrap
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.terminal.root import DONE, FAILED, STOPPED, cleaned, data_option, json_option

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from config.settings import Settings
    from tasks.model import JobState
    from worker.runtime import Services

WIDTH_WITHOUT_TERMINAL = 200
WIDTH_FOR_TABLES = 120
PROGRESS_LINE = 100_000
CANCEL_AGAIN_S = 0.5
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Context:
    """A command's output and settings."""

    def __init__(self, *, as_json: bool, data: Path | None) -> None:
        from config.settings import settings_for

        self.as_json = as_json
        self.data = data
        self.settings: Settings = settings_for(data)

    @cached_property
    def out(self) -> Console:
        """Where answers go that are more than lines of text."""
        return _console(stderr=False)

    @cached_property
    def err(self) -> Console:
        """Where progress goes that is more than a line."""
        return _console(stderr=True)

    def show(self, value: object, human: RenderableType | None = None) -> None:
        """The answer: one JSON document, or what people read."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False, default=str))
        elif isinstance(human, str) or human is None:
            click.echo(cleaned(human or json.dumps(value, ensure_ascii=False, indent=2, default=str)))
        else:
            from rich.table import Table

            self.out.print(fitting(human, self.out) if isinstance(human, Table) else human)

    def tell(self, line: str) -> None:
        """Progress, on stderr."""
        click.echo(cleaned(line), err=True)

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """How far a long piece of work is, on stderr: a bar on a terminal, else a line now and then. What it gives takes how
        many are done, and of how many.
        """
        if self.err.is_terminal:
            from rich.progress import Progress

            with Progress(console=self.err, transient=True) as bar:
                task = bar.add_task(what)
                yield lambda done, of: bar.update(task, completed=done, total=of)
            return
        said = 0

        def tell(done: int, of: int) -> None:
            nonlocal said
            if done - said >= PROGRESS_LINE:
                said = done
                self.tell(f"{what}: {done} of {of}")

        yield tell

    def run(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Run one piece of work on open services."""
        from worker.runtime import open_services

        async def whole() -> T:
            with stoppable():
                async with open_services(self.settings) as services:
                    return await work(services)

        return asyncio.run(whole())


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C cancels this task until it has ended, and becomes a `KeyboardInterrupt`. Once isn't enough: `asyncio.wait_for` of
    Python 3.11, in which Redis' client waits for every command that it sends, may lose a cancellation.
    """
    ignored = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)  # as a shell's background jobs have it
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task, next_try = asyncio.get_running_loop(), asyncio.current_task(), None

    def cancel() -> None:
        nonlocal next_try
        if task is not None:
            task.cancel()
        next_try = loop.call_later(CANCEL_AGAIN_S, cancel)

    loop.add_signal_handler(signal.SIGINT, cancel)
    try:
        yield
    except asyncio.CancelledError:
        if next_try is None:
            raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if next_try is not None:
            next_try.cancel()
    if next_try is not None:
        raise KeyboardInterrupt


def fitting(table: Table, console: Console) -> RenderableType:
    """The table, or a few lines for each row where the terminal is too narrow. No word is cut: ids and addresses are copied."""
    from rich.text import Text

    natural = console.measure(table, options=console.options.update(width=10_000)).maximum
    if console.width >= min(natural, WIDTH_FOR_TABLES):
        for column in table.columns:
            column.overflow = "fold"
        return table
    names = [str(column.header).lower() for column in table.columns]
    lines = []
    for first, *rest in zip(*(column.cells for column in table.columns), strict=True):
        facts = ", ".join(f"{name}: {cell}" for name, cell in zip(names[1:], rest, strict=True) if str(cell))
        room = max(console.width - 2, 20)
        lines += [
            str(first),
            *(f"  {part}" for part in textwrap.wrap(facts, room, break_long_words=False, break_on_hyphens=False)),
        ]
    return Text("\n".join(lines))


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def plain(text: object) -> Text:
    """Text for a terminal: no markup is read from it, and no control or direction character reaches the screen."""
    from rich.text import Text

    return Text(cleaned(text))


def common(function: F) -> F:
    """The options of every command, which may stand before its name as well; the function gets a `Context` first."""

    def wrapped(*args: Any, as_json: bool, data: Path | None, **kwargs: Any) -> Any:
        outer = click.get_current_context().find_root().params
        context = Context(as_json=as_json or outer.get("as_json", False), data=data or outer.get("data"))
        return function(context, *args, **kwargs)

    wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
    wrapped.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    return data_option(json_option(wrapped))  # type: ignore[return-value]


def actor() -> str:
    """Who runs the command, for the audit."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def exit_code(state: JobState) -> int:
    """The exit code that a job's end stands for."""
    return {"held": STOPPED, "delivered": DONE}.get(state.value, FAILED)
