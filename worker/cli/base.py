"""What every command shares: `--json`, `--data`, one clear line for an error, and its exit code."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from redis.exceptions import RedisError
from rich.console import Console

from config.settings import ConfigError, Settings, settings_for
from tasks.errors import AfterwordError, Held
from tasks.model import JobState
from worker.runtime import Services, open_services

DONE, FAILED, USAGE, STOPPED = 0, 1, 2, 3
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Context:
    """A command's output and settings."""

    def __init__(self, *, as_json: bool, data: Path | None) -> None:
        self.as_json = as_json
        self.settings: Settings = settings_for(data.resolve() if data else None)
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def show(self, value: object, human: object = None) -> None:
        """The answer: one JSON document, or what people read."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False, default=str))
        elif isinstance(human, str) or human is None:
            self.out.print(human or json.dumps(value, ensure_ascii=False, indent=2, default=str), markup=False)
        else:
            self.out.print(human)

    def fail(self, message: str, *, code: str = "failed", advice: str = "", status: int = FAILED) -> None:
        """Say what went wrong in one line, and end."""
        if self.as_json:
            click.echo(json.dumps({"error": {"code": code, "message": message, "advice": advice}}, ensure_ascii=False))
        else:
            self.err.print(f"afterword: {message} {advice}".rstrip(), style="red", markup=False)
        raise SystemExit(status)

    def run(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Run one piece of work on open services."""

        async def whole() -> T:
            async with open_services(self.settings) as services:
                return await work(services)

        return asyncio.run(whole())


class Root(click.Group):
    """The root group; turns our errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        as_json = "--json" in sys.argv[1:]
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            _report(as_json, "config", str(error), "")
            ctx.exit(FAILED)
        except AfterwordError as error:
            _report(as_json, error.code, error.message, error.advice)
            ctx.exit(STOPPED if isinstance(error, Held) else FAILED)
        except (RedisError, OSError) as error:
            _report(as_json, "unavailable", f"{type(error).__name__}: {error}", "Run `afterword doctor`.")
            ctx.exit(FAILED)
        except ValueError as error:
            _report(as_json, "bad_value", str(error).splitlines()[0], "")
            ctx.exit(FAILED)


def _report(as_json: bool, code: str, message: str, advice: str) -> None:
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "message": message, "advice": advice}}, ensure_ascii=False))
    else:
        click.echo(f"afterword: {message} {advice}".rstrip(), err=True)


def common(function: F) -> F:
    """The options of every command; the function gets a `Context` first."""

    def wrapped(*args: Any, as_json: bool, data: Path | None, **kwargs: Any) -> Any:
        return function(Context(as_json=as_json, data=data), *args, **kwargs)

    wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
    wrapped.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    data_option = click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the running instance."
    )
    json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    return data_option(json_option(wrapped))  # type: ignore[return-value]


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
