"""`afterword lookfirst`: what is known of a ledger that went back in time, and the end of looking first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tasks.state.clock import moment
from worker.terminal.base import Context, actor, common, plain

if TYPE_CHECKING:
    from tasks.state.look_first.flag import LookFirst

reason = click.option("--reason", default="", help="Why, for the audit.")


@click.group()
def lookfirst() -> None:
    """See, set and clear that attempts look first, because the ledger went back in time."""


@lookfirst.command()
@common
def status(context: Context) -> None:
    """Show whether attempts look first, since when and why."""
    _show(context, context.run(lambda services: services.look_first.read()))


@lookfirst.command("set")
@reason
@common
def set_(context: Context, reason: str) -> None:
    """Have every attempt look first from now on. It is for a loss that no process could notice."""
    _show(context, context.run(lambda services: services.look_first.raise_by_hand(actor(), reason)))


@lookfirst.command()
@reason
@common
def clear(context: Context, reason: str) -> None:
    """Let first attempts write straight away again. Do it once nothing is missing any more."""
    _show(context, context.run(lambda services: services.look_first.clear(actor(), reason)))


def _show(context: Context, flag: LookFirst) -> None:
    context.show(flag.model_dump(mode="json"), plain("\n".join(lines(flag))))


def lines(flag: LookFirst) -> list[str]:
    """What an operator asks of it, one fact a line."""
    if flag.since_ms is None:
        return ["The ledger never went back in time; first attempts write straight away."]
    found = [f"Noticed:   {moment(flag.since_ms)} by {flag.by}"]
    if flag.reason:
        found.append(f"Reason:    {flag.reason}")
    if flag.until_ms is not None:
        since = moment(flag.after_ms) if flag.after_ms else "its beginning"
        found.append(
            f"Missing:   everything that Redis stored from {since} until {moment(flag.until_ms)}, as far as known"
        )
    if flag.cleared_ms is not None:
        return [
            *found,
            f"Cleared:   {moment(flag.cleared_ms)} by {flag.cleared_by}; first attempts write straight away.",
        ]
    return [
        *found,
        "Now:       every attempt looks at the remote side before it writes.",
        "To do:     let producers submit again what is missing; then `afterword lookfirst clear`.",
    ]
