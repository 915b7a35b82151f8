"""Areas and iterations: trees of a project, by whose paths work items are filed. A name is enough where only one has it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.destinations.contract import rows_of
from tasks.errors import Permanent

# The fields that hold a path, and the tree that each is of.
TREES: Mapping[str, str] = {"System.AreaPath": "Areas", "System.IterationPath": "Iterations"}
MOST_SHOWN = 30


def paths(node: Mapping[str, Any], above: str = "") -> list[str]:
    """The paths of a node and of all below it; raises `LookupError` or `TypeError` for another form."""
    here = f"{above}\\{node['name']}" if above else str(node["name"])
    children = rows_of(node, "children") if node.get("children") else []
    return [here, *(path for child in children for path in paths(child, here))]


def is_whole(project: str, value: str) -> bool:
    """Whether the value is a path from the top, which the server checks itself."""
    return value.strip("\\").partition("\\")[0].strip().casefold() == project.casefold()


def path_of(project: str, field: str, value: str, known: Sequence[str]) -> str:
    """The whole path that a name, or the end of a path, means; raises `Permanent` where none or several are called so."""
    end = value.strip("\\ ").casefold()
    exact = [path for path in known if path.casefold() == f"{project}\\{end}".casefold()]
    found = exact or [path for path in known if path.casefold().endswith(f"\\{end}")]
    if len(found) == 1:
        return found[0]
    what = TREES[field].lower()
    if found:
        raise Permanent(
            f"{field}: {len(found)} {what} of project {project!r} are called {value!r:.80}: {shown(found)}.",
            code="ambiguous_reference",
            advice="Name one of them by its whole path, then submit again.",
        )
    raise Permanent(
        f"{field}: project {project!r} has no {what} called {value!r:.80}; it has: {shown(known)}.",
        code="unknown_reference",
        advice="Correct the name (in the job or in the destination's mapping), then `afterword job retry`. "
        "With `--set unknown_reference=warn` the field is left out instead.",
    )


def shown(known: Sequence[str]) -> str:
    """The first of them, for a person."""
    more = len(known) - MOST_SHOWN
    return ", ".join(known[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
