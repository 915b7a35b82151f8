"""What every command shares: `--json`, `--data`, one clear line for an error, and its exit code."""

from __future__ import annotations

import asyncio
import errno
import getpass
import json
import os
import re
import sys
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from pydantic import ValidationError
from redis.exceptions import RedisError
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from config.settings import ConfigError, Settings, settings_for
from tasks.errors import AfterwordError, Held
from tasks.model import JobState, explain
from worker.runtime import Services, open_services

DONE, FAILED, USAGE, STOPPED = 0, 1, 2, 3
WIDTH_WITHOUT_TERMINAL = 200
WIDTH_FOR_TABLES = 120
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Context:
    """A command's output and settings."""

    def __init__(self, *, as_json: bool, data: Path | None) -> None:
        self.as_json = as_json
        self.settings: Settings = settings_for(data)
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def show(self, value: object, human: RenderableType | None = None) -> None:
        """The answer: one JSON document, or what people read."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False, default=str))
        elif isinstance(human, str) or human is None:
            self.out.print(plain(human or json.dumps(value, ensure_ascii=False, indent=2, default=str)))
        else:
            self.out.print(fitting(human, self.out) if isinstance(human, Table) else human)

    def tell(self, line: str) -> None:
        """Progress, on stderr."""
        self.err.print(plain(line))

    def run(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Run one piece of work on open services."""

        async def whole() -> T:
            async with open_services(self.settings) as services:
                return await work(services)

        return asyncio.run(whole())


def fitting(table: Table, console: Console) -> RenderableType:
    """The table, or a few lines for each row where the terminal is too narrow: an id must be whole to be copied."""
    natural = console.measure(table, options=console.options.update(width=10_000)).maximum
    if console.width >= min(natural, WIDTH_FOR_TABLES):
        return table
    names = [str(column.header).lower() for column in table.columns]
    lines = []
    for first, *rest in zip(*(column.cells for column in table.columns), strict=True):
        facts = ", ".join(f"{name}: {cell}" for name, cell in zip(names[1:], rest, strict=True) if str(cell))
        room = max(console.width - 2, 20)
        lines += [str(first), *(f"  {part}" for part in textwrap.wrap(facts, room, break_long_words=False))]
    return Text("\n".join(lines))


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def plain(text: object) -> Text:
    """Text for a terminal: no markup is read from it, and no control or direction character reaches the screen."""
    return Text(_CONTROL.sub("", str(text)))


class Failure(click.ClickException):
    """An error of ours as one line for people, or one JSON document."""

    def __init__(self, message: str, *, code: str = "failed", advice: str = "", status: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
        self.advice = advice
        self.status = status


class Root(click.Group):
    """The root group; turns every error into one line, or one JSON document, and an exit code."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run the command line and exit."""
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        extra |= {"standalone_mode": False, "obj": as_json}
        try:
            status = super().main(given, prog_name or "afterword", **extra)
        except click.ClickException as error:
            sys.exit(_report(error, as_json=as_json))
        except click.Abort:
            sys.exit(_report(Failure("Stopped.", code="stopped"), as_json=as_json))
        except BrokenPipeError:
            _give_up_stdout()
            sys.exit(FAILED)
        sys.exit(status if isinstance(status, int) else DONE)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except (ConfigError, AfterwordError, ValidationError, RedisError, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise BrokenPipeError from None
            raise _as_failure(error) from None
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if os.environ.get("AFTERWORD_LOG_LEVEL") == "DEBUG":
                raise
            raise Failure(
                f"A fault in Afterword itself ({type(error).__name__}).",
                code="internal",
                advice="AFTERWORD_LOG_LEVEL=DEBUG shows where.",
            ) from None


def _as_failure(error: Exception) -> Failure:
    match error:
        case ConfigError():
            return Failure(str(error), code="config")
        case AfterwordError():
            status = STOPPED if isinstance(error, Held) else USAGE if error.code == "bad_arguments" else FAILED
            return Failure(error.message, code=error.code, advice=error.advice, status=status)
        case ValidationError():
            return Failure(f"This is not valid: {explain(error)}.", code="bad_value", advice="Correct it.")
        case OSError(errno=errno.EADDRINUSE):
            return Failure(
                "The port is already in use.",
                code="port_taken",
                advice="Choose another with --port; 0 takes a free one.",
            )
        case OSError() if error.strerror and error.filename:
            return Failure(f"{error.filename}: {error.strerror}.", code="unavailable", advice="Check the path.")
        case RedisError() | OSError():
            words = " ".join(str(error).split())
            return Failure(f"{type(error).__name__}: {words}.", code="unavailable", advice="Run `afterword doctor`.")
    return Failure(str(error).partition("\n")[0] or type(error).__name__, code="bad_value")


def _report(error: click.ClickException, *, as_json: bool) -> int:
    """Say it on stderr, or as JSON on stdout; returns the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not as_json:
        error.show()
        return error.exit_code
    message, code, advice, status = " ".join(error.message.split()), "usage", "", error.exit_code
    if isinstance(error, Failure):
        code, advice, status = error.code, error.advice, error.status
    elif isinstance(error, click.UsageError):
        message = " ".join(error.format_message().split())
        message += "" if message.rstrip(")").endswith((".", "?", "!")) else "."
        advice = f"See `{error.ctx.command_path} --help`." if error.ctx is not None else ""
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "message": message, "advice": advice}}, ensure_ascii=False))
    else:
        click.echo(f"afterword: {plain(f'{message} {advice}'.rstrip()).plain}", err=True)
    return status


def _give_up_stdout() -> None:
    """Nobody reads any more: keep the interpreter from saying so again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def common(function: F) -> F:
    """The options of every command, which may stand before its name as well; the function gets a `Context` first."""

    def wrapped(*args: Any, as_json: bool, data: Path | None, **kwargs: Any) -> Any:
        outer = click.get_current_context().find_root().params
        context = Context(as_json=as_json or outer.get("as_json", False), data=data or outer.get("data"))
        return function(context, *args, **kwargs)

    wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
    wrapped.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    return data_option(json_option(wrapped))  # type: ignore[return-value]


data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the running instance."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def actor() -> str:
    """Who runs the command, for the audit."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def exit_code(state: JobState) -> int:
    """The exit code that a job's end stands for."""
    if state is JobState.HELD:
        return STOPPED
    return DONE if state is JobState.DELIVERED else FAILED
