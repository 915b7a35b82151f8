"""The root of the command line: which commands there are, one clear line for an error, and its exit code.

A command's module is imported when the command is run. `--help`, `--version`, completion and a worker's probe import
next to nothing, so they answer at once.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

DONE, FAILED, USAGE, STOPPED, UNKNOWN = 0, 1, 2, 3, 4
MISTYPED = frozenset({"bad_arguments", "bad_name", "bad_receiver", "bad_settings"})  # what was typed can never be right
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the running instance."
)


def _named_here(_: click.Context, __: click.Parameter, host: str) -> str:
    """The host, where it is an address or a name that has one."""
    import socket

    try:
        socket.getaddrinfo(host, None)
    except (socket.gaierror, UnicodeError):
        raise click.BadParameter(
            f"{host!r:.60} is no address and no known name; give an address of this machine, or 0.0.0.0 for all."
        ) from None
    return host


host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, callback=_named_here, help="Address to listen on."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def cleaned(text: object) -> str:
    """Text for a terminal: no control or direction character reaches the screen."""
    return _CONTROL.sub("", str(text))


def given_nothing(arguments: Sequence[str]) -> str | None:
    """The first option or argument whose value is empty, as a variable of the shell that isn't set leaves it: taken as
    given, it would mean every address, the folder one is in, or all jobs. A reason may be.
    """
    for before, argument in zip(("", *arguments), arguments, strict=False):
        option, equals, value = argument.partition("=") if argument.startswith("--") else (before, "", argument)
        if not value.strip() and (equals or not argument.startswith("--")) and option != "--reason":
            return option if option.startswith("-") else "An argument"
    return None


class Failure(click.ClickException):
    """An error of ours as one line for people, or one JSON document."""

    def __init__(self, message: str, *, code: str = "failed", advice: str = "", status: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
        self.advice = advice
        self.status = status


class Places(Mapping[str, click.Command]):
    """The commands by their names: where each is, and what it does. One is imported when it is looked up."""

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        """`places` gives of each command its module and function, as in `worker.cli.jobs:job`, and its short help."""
        self.places = places

    def __getitem__(self, name: str) -> click.Command:
        """The command, imported now."""
        module, _, function = self.places[name][0].partition(":")
        command = getattr(import_module(module), function)
        if not isinstance(command, click.Command):
            raise TypeError(name)
        return command

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self.places)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.places)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a command; imports nothing."""
        return name in self.places

    def beginning_with(self, start: str) -> list[tuple[str, str]]:
        """Names and short helps, in order; imports nothing."""
        return [(name, self.places[name][1]) for name in sorted(self.places) if name.startswith(start)]


class Root(click.Group):
    """The root group; turns every error into one line, or one JSON document, and an exit code."""

    def __init__(self, places: Places, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = places  # type: ignore[assignment]
        self.places = places

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl(self.places.beginning_with(""))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin with what was typed."""
        found = [CompletionItem(name, help=text) for name, text in self.places.beginning_with(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run the command line and exit."""
        _write_any_letter()
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        extra |= {"standalone_mode": False, "obj": as_json}
        try:
            if any("\udc80" <= letter <= "\udcff" for argument in given for letter in argument):
                raise click.UsageError("An argument is not valid UTF-8.")
            if (nothing := given_nothing(given)) is not None:
                raise click.UsageError(f"{nothing} is empty; leave it out, or give a value.")
            status = super().main(given, prog_name or "afterword", **extra)
        except click.ClickException as error:
            status = _report(error, as_json=as_json)
        except click.Abort:
            status = _report(Failure("Stopped.", code="stopped"), as_json=as_json)
        except BrokenPipeError:
            status = FAILED
        except OSError as error:  # of an option that answers by itself, such as --help
            status = _report(_as_failure(error) or Failure(str(error)), as_json=as_json)
        _give_up_what_has_no_place()
        sys.exit(status if isinstance(status, int) else DONE)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise BrokenPipeError from None
            if (failure := _as_failure(error)) is not None:
                raise failure from None
            if os.environ.get("AFTERWORD_LOG_LEVEL") == "DEBUG":
                raise
            advice = "AFTERWORD_LOG_LEVEL=DEBUG shows where."
            raise Failure("A fault in Afterword itself.", code="internal", advice=advice) from None


def _as_failure(error: Exception) -> Failure | None:
    """What a user is told of an error; None for a fault of ours."""
    import socket

    from pydantic import ValidationError
    from redis.exceptions import RedisError

    from config.settings import ConfigError
    from tasks.errors import AfterwordError, Held
    from tasks.model import explain
    from tasks.state.outages import unavailable

    match error:
        case ConfigError():
            return Failure(str(error), code="config")
        case AfterwordError():
            status = STOPPED if isinstance(error, Held) else USAGE if error.code in MISTYPED else FAILED
            return Failure(error.message, code=error.code, advice=error.advice, status=status)
        case ValidationError():
            return Failure(f"This is not valid: {explain(error)}.", code="bad_value", advice="Correct it.")
        case OSError(errno=errno.EADDRINUSE):
            return Failure(
                "The port is already in use.",
                code="port_taken",
                advice="Choose another with --port; 0 takes a free one.",
            )
        case OSError() if "attempting to bind" in str(error.strerror) or isinstance(error, socket.gaierror):
            why = str(error.strerror).rpartition(": ")[2]
            return Failure(f"It can't listen there: {why}.", code="no_place", advice="Choose another --host or --port.")
        case OSError() if error.strerror and error.filename:
            return Failure(f"{error.filename}: {error.strerror}.", code="unavailable", advice="Check the path.")
        case RedisError() | TimeoutError():
            trouble = unavailable(error)
            return Failure(trouble.message, code=trouble.code, advice=trouble.advice)
        case OSError():
            words = error.strerror or " ".join(str(error).split()) or "The system refused it"
            return Failure(f"{words}.", code="unavailable", advice="Run `afterword doctor`.")
        case ValueError():
            return Failure(str(error).partition("\n")[0] or "A value is not valid.", code="bad_value")
    return None


def _report(error: click.ClickException, *, as_json: bool) -> int:
    """Say it on stderr, or as JSON on stdout; returns the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not as_json:
        error.show()
        return error.exit_code
    message, code, advice, status = " ".join(error.message.split()), "usage", "", error.exit_code
    if isinstance(error, Failure):
        code, advice, status = error.code, " ".join(error.advice.split()), error.status
    elif isinstance(error, click.UsageError):
        message = " ".join(_in_range(error).format_message().split())
        message += "" if message.rstrip(")").endswith((".", "?", "!")) else "."
        advice = f"See `{error.ctx.command_path} --help`." if error.ctx is not None else ""
    if as_json:
        try:
            click.echo(json.dumps({"error": {"code": code, "message": message, "advice": advice}}, ensure_ascii=False))
        except OSError:  # such as a full disk, of which it was to tell
            as_json = False
    if not as_json:
        click.echo(f"afterword: {cleaned(f'{message} {advice}'.rstrip())}", err=True)
    return status


def _write_any_letter() -> None:
    """Have letters that the terminal's charset lacks written as JSON writes them, so that no answer fails for a title."""
    codecs.register_error("afterword.escape", _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="afterword.escape")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _in_range(error: click.UsageError) -> click.UsageError:
    """The error, which says what may be given where a number was expected: click names its own type (`integer range`)."""
    if not isinstance(error, click.BadParameter) or error.param is None:
        return error
    kind = error.param.type
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return error
    given = error.message.partition(" is not ")[0]
    number = "number" if isinstance(kind, click.FloatRange) else "whole number"
    bounds = f" from {kind.min} to {kind.max}" if kind.max is not None else f" of {kind.min} or more"
    return click.BadParameter(f"{given} is not a {number}{bounds}.", error.ctx, error.param, error.param_hint)


def _give_up_what_has_no_place() -> None:
    """Nobody reads any more, or the disk is full: keep the interpreter from saying so again at its end, in its own words."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
