"""`afterword doctor`: what is wrong and what to do, for a person; `--worker`: a worker's health check."""

from __future__ import annotations

import click

from worker.terminal.base import Context, common


@click.command()
@click.option("--worker", "worker_only", is_flag=True, help="Check only whether a worker runs on this host.")
@common
def doctor(context: Context, worker_only: bool) -> None:
    """Check settings, keys, Redis, broker, clock, workers and destinations, and say what to do."""
    from worker.cli.checks import examine

    findings = examine(context, worker_only=worker_only)
    marks = {True: "ok     ", False: "WRONG  ", None: "unknown"}
    lines = [f"{marks[row['ok']]}  {row['check']}: {row['detail']}" for row in findings]
    good = all(row["ok"] is not False for row in findings)
    context.show({"ok": good, "checks": findings}, "\n".join(lines))
    if not good:
        raise SystemExit(1)
