"""Commands for keys: make, look at, rotate, and seal a credential for a message."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.cli.secrets import read_secret, secret_options
from worker.terminal.base import Context, actor, common
from worker.terminal.root import Failure

if TYPE_CHECKING:
    from tasks.state.upkeep.rotation import KeyUse, Resealed
    from worker.runtime import Services

SETTLED_MS = 60_000


@click.group()
def key() -> None:
    """Make, inspect and rotate keys; seal a credential for a message."""


@key.command()
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a key file (0600) instead of printing a key."
)
@common
def new(context: Context, out: Path | None) -> None:
    """Make a new key. It is wrapped, where AFTERWORD_KEYS_PROVIDER names what does it."""
    from config.key_lines import key_lines
    from config.keys import create_key_file, new_key

    form = key_lines(context.settings)
    if out is None:
        fresh = form.again(new_key())
        context.show({"key": fresh}, fresh)
        return
    create_key_file(out, form)
    context.show({"file": str(out)}, f"Key file {out} is made. Keep a copy: without it nothing stored can be read.")


@key.command()
@click.option("--usage", is_flag=True, help="Count what uses each key in Redis.")
@common
def status(context: Context, usage: bool) -> None:
    """Show the ids of the keys on the ring, and what still uses them."""
    from config.keys import load_key_ring

    ring = load_key_ring(context.settings)
    facts: dict[str, object] = {"current": ring.order[0], "keys": list(ring.order)}
    lines = [f"Current key {ring.order[0]}; on the ring: {', '.join(ring.order)}"]
    if usage:
        found = {use.key_id: use for use in context.run(lambda services: services.rotation.usage())}
        facts["usage"] = {use.key_id: use.model_dump(mode="json") for use in found.values()}
        lines += [_used(key_id, found.get(key_id)) for key_id in ring.order]
        lines += [f"{_used(key_id, found[key_id])} NOT ON THE RING" for key_id in found if ring.get(key_id) is None]
    context.show(facts, "\n".join(lines))


def _used(key_id: str, use: KeyUse | None) -> str:
    if use is None:
        return f"  {key_id}: nothing uses it."
    records = ", ".join(f"{count} {kind}" for kind, count in sorted(use.records.items())) or "no record"
    return f"  {key_id}: {records}; {use.audit_entries} audit entries."


@key.command()
@click.option("--reseal-only", is_flag=True, help="Make no key; seal everything with the first key on the ring.")
@click.option("--retire", is_flag=True, help="Remove unused keys from the key file.")
@common
def rotate(context: Context, reseal_only: bool, retire: bool) -> None:
    """Make a new key and seal everything with it, while jobs run.

    After an interruption run it with --reseal-only.

    Workers on other machines need the new key before anything is sealed with it. There: add it as the last line of every
    key file (running processes follow the file), then move it to the first line everywhere, then --reseal-only.
    """
    from config.key_lines import key_lines
    from config.keys import add_key, key_file, load_key_ring
    from config.settings import ConfigError

    if retire:
        _retire(context)
        return
    file = None if reseal_only else key_file(context.settings)
    if file is None and not reseal_only:
        raise ConfigError(
            "The keys come from AFTERWORD_KEYS, which this command can't change. Add the new key first there, restart every process, "
            "then run `afterword key rotate --reseal-only`."
        )
    if file is not None:
        strangers = context.run(_other_hosts)
        if strangers:
            raise Failure(
                f"Workers run on other machines ({', '.join(strangers)}), which would not have the new key.",
                code="other_hosts",
                advice="See `afterword key rotate --help` for how to copy it there first.",
            )
        context.tell(
            f"Key {add_key(file, key_lines(context.settings))} is now the first in {file}. Keep a copy of the file."
        )
    done = context.run(lambda services: _reseal(context, services))
    lines = [f"{done.moved} records moved to key {load_key_ring(context.settings).order[0]}."]
    lines += [f"{name} can't be opened and was left as it is; store it again." for name in done.unreadable]
    lines.append("Older keys stay on the ring until `afterword key rotate --retire` finds them unused.")
    context.show(done.model_dump(mode="json"), "\n".join(lines))
    if done.unreadable:
        raise SystemExit(1)


async def _other_hosts(services: Services) -> list[str]:
    """Machines other than this one on which workers are alive; a worker's name begins with its machine's."""
    now_ms = services.core.clock_ms()
    names: list[Any] = await services.redis.zrangebyscore(f"{services.settings.prefix}:workers", now_ms, "+inf")
    hosts = {name.decode().rsplit("-", 2)[0] for name in names}
    return sorted(hosts - {socket.gethostname()})


async def _reseal(context: Context, services: Services) -> Resealed:
    from tasks.state.upkeep.rotation import Resealed

    done = Resealed(seen=0, moved=0)
    async for done in services.rotation.reseal(actor()):
        if not done.finished:
            context.tell(f"{done.seen} keys looked at, {done.moved} records moved")
    return done


def _retire(context: Context) -> None:
    from config.key_lines import key_lines
    from config.keys import drop_keys, key_file, load_key_ring
    from config.settings import ConfigError
    from tasks.state.audit.entries import Event

    file = key_file(context.settings)
    if file is None:
        raise ConfigError(
            "The keys come from AFTERWORD_KEYS; see `afterword key status --usage`, and take them out there."
        )
    ring = load_key_ring(context.settings)

    async def unused(services: Services) -> frozenset[str]:
        if wait_ms := await services.rotation.settles_in_ms(SETTLED_MS):
            raise Failure(
                f"The last rotation was less than a minute ago; wait {wait_ms // 1000 + 1} s, so that every process works with the new key.",
                code="too_fresh",
            )
        named = {use.key_id for use in await services.rotation.usage()}
        gone = frozenset(ring.order[1:]) - named
        if gone:
            await services.ledger.record(Event.KEYS_RETIRED, {"keys": ",".join(sorted(gone)), "actor": actor()})
        return gone

    gone = context.run(unused)
    drop_keys(file, gone, key_lines(context.settings))
    kept = [key_id for key_id in ring.order[1:] if key_id not in gone]
    said = f"Removed from {file}: {', '.join(sorted(gone)) or 'none'}."
    if kept:
        said += f" Still needed: {', '.join(kept)}; `afterword key status --usage` shows for what."
    context.show({"retired": sorted(gone), "kept": kept}, said)


@key.command()
@common
def wrap(context: Context) -> None:
    """Wrap the keys in the key file by another wrapping key.

    It is the one that AFTERWORD_KEYS_PROVIDER names now, for plain keys and for those that another one wrapped.

    The keys stay the same, so nothing is sealed anew and running processes go on. A plain key may be in an old copy of the file: rotate it.
    """
    from config.key_lines import key_lines
    from config.keys import key_file, wrap_keys
    from config.settings import ConfigError

    form = key_lines(context.settings)
    file = key_file(context.settings)
    if file is None or not form.wraps:
        raise ConfigError(
            "There is no key file: the keys come from AFTERWORD_KEYS. `afterword key new` prints a wrapped one for it."
            if file is None
            else "AFTERWORD_KEYS_PROVIDER names nothing that wraps keys; see docs/keys.md."
        )
    count = wrap_keys(file, form)
    context.show({"file": str(file), "wrapped": count}, f"{count} keys in {file} were wrapped.")


@key.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be signed.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@common
def sign(context: Context, dry_run: bool, yes: bool) -> None:
    """Make records good that are in doubt.

    These are destinations and API keys that were changed in Redis, or put back.

    What was signed holds again, and where nothing was signed, what the record says. Look at the addresses first: a
    destination's credential goes there.
    """
    found = context.run(lambda services: services.signing.doubts())
    lines = [f"{record.kind} {record.name}: {record.why} Signed, it is: {record.says}." for record in found]
    rows = [record.model_dump(mode="json") for record in found]
    if dry_run or not found:
        context.show({"in_doubt": rows}, "\n".join(lines) or "No record is in doubt.")
        return
    context.tell("\n".join(lines))
    if not yes and not (sys.stdin.isatty() and click.confirm("Sign them?", err=True)):
        raise click.UsageError("Nothing was signed. Say --yes to sign without being asked.")

    async def sign_all(services: Services) -> dict[str, str]:
        return {record.name: await services.signing.sign(record, actor()) for record in found}

    done = context.run(sign_all)
    told = [f"{name}: {trouble or 'signed'}" for name, trouble in done.items()]
    context.show({"signed": done}, "\n".join(told))
    if any(done.values()):
        raise SystemExit(1)


@key.command("seal")
@secret_options
@common
def seal_(context: Context, secret_file: Path | None, secret_stdin: bool) -> None:
    """Seal a credential for a Celery message. It can be named in a connection test then."""
    from config.keys import load_key_ring
    from tasks.state.vault import seal

    secret = read_secret(context, secret_file, stdin=secret_stdin)
    if not secret:
        raise click.UsageError("No secret was given.")
    token = seal(secret, load_key_ring(context.settings))
    context.show({"token": token}, token)
