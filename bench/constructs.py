"""1 MB of nothing but one construct, for every construct and every form that a document is sent in: time and memory."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.rendering import TARGETS, seconds
from tasks.markup import jira, servicenow
from tasks.screening import scan

SIZE = 1_000_000
PART = 8
FORMS: dict[str, Callable[[str], object]] = {
    **TARGETS,
    "Jira's wiki markup": lambda text: jira.escaped(servicenow.render(text, kept=jira.KEPT)),
    "screening": scan,
}
PIECES = (
    *("- x\n", "* x\n\n", "1. x\n", "- [ ] x\n", "- - x\n", "- a\n  - b\n    - c\n", "- a\n\n  b\n", "- ", "1) ", "+ + +\n"),
    *("> x\n", "> x\n\n", "> > x\n\n", "> ", "> [!NOTE]\n> x\n\n", "> [!NOTE]\nx\n", "> # \na\n", "> $$\na\n", '!!! note "t"\n    x\n\n'),
    *("- " * 28 + "x\n", "> - " * 14 + "x\n\n", ">" * 28 + " #\na\n"),
    *("# h\n", "h\n=\n\n", "## h\n\nx\n\n", "#", "---\n\n", "a\n\n", "a\\\n", "a  \n", "\n", "word ", "a"),
    *("|a|\n|-|\n\n", "|a|b|\n|-|-|\n|c|d|\n\n", "|a", "```\nx\n```\n\n", "    x\n\n", "$$a$$\n\n", "$a$ ", "`a` ", "`"),
    *("*a* ", "**a** ", "***a***", "_a_ ", "*a **b* c** ", "*a _b_* ", "~~a~~ ", "H~2~O ", "*", "_", "~", "\\* "),
    *("[a](b) ", "[a](http://b.c/d?e=f) ", "[a][b] ", "[[a]](b) ", "![a](b) ", "[a]: b\n\n", "[", "]", "(", "!", "<", "*![x~]*![**<"),
    *("http://a.bc ", "www.a.bc ", "a@b.cd ", "<http://a.b> ", "@", ":", "[^1] ", "[^a]: x\n\n", "|", "\t", "http://a.b/" + "(" * 20),
    *("<b>a</b> ", "<br>", "<div>\n\nx\n\n</div>\n\n", "<!-- a -->\n\n", "<a href='x'>y</a> ", "<ul><li>x</ul>", "<b>", "</details><ul>"),
    *("<details><summary>a</summary>\n\nx\n\n</details>\n\n", "<table><tr><td>x</td></tr></table>\n\n"),
    *("*a*", "*a", "`a`", "$a$", "~a~", "[^1]", "[^1]\n", "[^1]: a\n\n[^1]", "[a](b)", "[](b)", "![](b)", "[![a](b)](c) ", "[a]", "![", "![a"),
    *("<a>", "</a>", "<!-- -->", "<?a?>", "<x y>", "<b><i>", "<tr><td>a", "<td>", "<li>a", "<div>\n", "<summary>a</summary>"),
    *("a\n", "a  \nb\n", "a b ", "a.", "a_b ", "a@", "- \n", "-\n", "1.\n", "- > a\n", "> - a\n", ">\n", ">a\n\n", "+ a\n- b\n", "- - -\n"),
    *("#\n", "a\n-\n", "***\n", "---\n", "```\n```\n", "~~~\n", "    a\n\nb\n\n", "[a]: b\n", "[^1]: a\n", "[[a|b]] ", "{{a}} ", "{#a}", ":::a\n"),
    *("||", "| ", "|a|b|c|d|\n|-|-|-|-|\n", "|a|b|\n|-|-|\n" + "|*c*|`d`|\n" * 50, "| 1 | 2 |\n", "> [!TIP]\n\n", ":::note\nx\n:::\n"),
    *("\\*", "\\\n", "&lt;", ":a:", ":+1:", "*_a_*", "***a*** ", "*a **b***", "[*a*](b)", "`*`", "](", "[a", "...", "- a\n  b\n", "$$\na\n$$\n"),
    *("&", "&amp; ", "&#x1F600; ", ":tada: ", "😀 ", "é ", "אב ", "\u200b", "\x1b[31mx\x1b[0m ", "![](data:image/png;base64,AA==) "),
)  # fmt: skip


class Taken(NamedTuple):
    """Seconds of the processor, and the most memory that the process held, in MB."""

    seconds: float
    mb: float


def alone(work: Callable[[], object]) -> Taken:
    """What the work takes in a process of its own, which begins with what this one has in memory."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        taken = seconds(work)
        peak = Path("/proc/self/status").read_text("ascii").partition("VmHWM:")[2].split(None, 1)[0]
        os.write(writing, struct.pack("dd", taken, int(peak) * 1024 / 1_000_000))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer = told.read()
    os.waitpid(child, 0)
    if not answer:
        sys.exit("the process ended while it rendered")
    return Taken(*struct.unpack("dd", answer))


def main() -> dict[str, float]:
    """Print the slowest, what takes most memory, and what takes more time for each character when there is more of it."""
    found = {"constructs_s": 0.0, "constructs_mb": 0.0}
    for name, form in FORMS.items():
        form("*a*")
        whole: dict[str, Taken] = {}
        parts: dict[str, float] = {}
        for piece in PIECES:
            text = (piece * (SIZE // len(piece) + 1))[:SIZE]
            parts[piece] = PART * alone(partial(form, text[: SIZE // PART])).seconds
            whole[piece] = alone(partial(form, text))
        slowest = sorted(PIECES, key=lambda piece: whole[piece].seconds, reverse=True)[:3]
        largest = sorted(PIECES, key=lambda piece: whole[piece].mb, reverse=True)[:3]
        steepest = max(PIECES, key=lambda piece: whole[piece].seconds / max(parts[piece], 0.1))
        slow = ", ".join(f"{piece!r} {whole[piece].seconds:.1f} s" for piece in slowest)
        large = ", ".join(f"{piece!r} {whole[piece].mb:.0f} MB" for piece in largest)
        print(f"{name}, 1 MB: the slowest of {len(PIECES)} are {slow}; most memory take {large}")
        print(
            f"{name}: {steepest!r} grows most, {whole[steepest].seconds:.1f} s beside {PART} times an eighth of it {parts[steepest]:.1f} s",
            flush=True,
        )
        found["constructs_s"] = max(found["constructs_s"], whole[slowest[0]].seconds)
        found["constructs_mb"] = max(found["constructs_mb"], whole[largest[0]].mb)
    return found
