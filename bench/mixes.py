"""Mixes of Markdown's corners, bred for a minute towards what takes longest, and long runs of one thing behind another."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bench.constructs import FORMS, PIECES
from bench.rendering import seconds

BREED_S = 60
SEED = 1
SMALL, LARGE = 10_000, 80_000  # characters
LONGEST = 8  # parts of a mix
LONGEST_PART = 24  # characters
KEPT = 40  # mixes that are bred from
NOT_MEASURED_S = 0.002  # what takes less says nothing about growth
PARTS = (
    *(piece for piece in PIECES if len(piece) <= LONGEST_PART),
    *("> ", ">", ">>>>", "- ", "- - ", "+ ", "1. ", "- [ ] ", "# ", "    ", "x\n", "a", "b ", "[^1]", "[^1]: ", "](b)", "![", "***"),
    *("<div>", "<td>", "<li>", "<ul>", "</ul>", "<details>", "</details>", "<!--", "-->", "!!! note\n", "> [!NOTE]\n", "$$", "'"),
)  # fmt: skip
BEFORE = (
    *("", "```", "```\n", "# ", "> ", "- ", "|a|\n|-|\n|", "[a](<", '[a](b "', "[a]: ", '[a]: b "', "![a](data:image/png;base64,"),
    *('<a href="', "<div>\n<a b", "<div><!--", "<details><summary>", "$$\n", "``", "&#x", "http://a.b?", "a@", '!!! note "'),
    *("---\nlabels: [", "> [!", "\x1b[", "password=", "Authorization: Bearer ", "https://u:p@", '```py title="', "```{."),
)  # fmt: skip
RUNS = (
    *("a", "a ", "a\n", "a=", "a:", "1", "1.", "-", "--\n", "=", '"', "' \"", "(", "[", "]", "{", "<", "<a ", '<a b="', "<b>"),
    *("<!--", "|", "`", "` ", "*", "_", "~", "\\", "/", ".", "a@", "@a.b", "&", "&amp;", " ", "\t", "\n", "\n ", "é", "\u200b"),
    *(":a", ",", "$", "# ", "%41", "> \n", "^", "http:", "x=1 ", "\x1b[", "]]>", "title=", 'title="', "password ", "href=#a "),
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Taken:
    """How long a text took for each megabyte, how much longer eight times of it took, and what it was made of."""

    seconds_for_1_mb: float
    growth: float
    made_of: tuple[str, ...]


def taken(form: Callable[[str], object], before: str, parts: tuple[str, ...]) -> Taken:
    """Measure a text that begins with `before` and repeats the parts."""
    piece = "".join(parts)
    small, large = (seconds(partial(form, before + piece * (size // len(piece)))) for size in (SMALL, LARGE))
    return Taken(large / LARGE * 1_000_000, large / max(small, NOT_MEASURED_S), (before, *parts))


def bred(form: Callable[[str], object], chance: random.Random) -> Iterator[Taken]:
    """Mixes for a minute; the slowest so far are changed a little, or joined, to become the next."""
    slowest: list[Taken] = []
    end = time.monotonic() + BREED_S
    while time.monotonic() < end:
        parts = list(chance.choices(PARTS, k=chance.randint(1, 5)))
        if slowest and chance.random() < 0.6:
            parts = list(chance.choice(slowest).made_of[1:])
            place = chance.randrange(len(parts))
            parts[place : place + chance.randrange(2)] = chance.choices(PARTS, k=chance.randrange(3))
            parts += chance.choice(slowest).made_of[1:] if chance.random() < 0.25 else ()
        if parts:
            measured = taken(form, "", tuple(parts[:LONGEST]))
            slowest = sorted({measured, *slowest}, reverse=True)[:KEPT]
            yield measured


def main() -> None:
    """Print the slowest and what grows most, of the mixes and of the runs."""
    for name, form in FORMS.items():
        form("")
        for kind, found in (
            ("mixes", list(bred(form, random.Random(SEED)))),
            ("runs", [taken(form, before, (run,)) for before in BEFORE for run in RUNS]),
        ):
            slowest, steepest = max(found), max(found, key=lambda one: one.growth)
            print(
                f"{name}, {len(found)} {kind}: the slowest is {''.join(slowest.made_of)!r}, {slowest.seconds_for_1_mb:.1f} s for 1 MB; "
                f"{''.join(steepest.made_of)!r} grows most, {steepest.growth:.1f} times for 8 times the text"
            )
