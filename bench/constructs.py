"""1 MB of nothing but one construct, for every construct and every form that a document is sent in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.rendering import seconds
from tasks.markup import azure_devops, confluence, servicenow
from tasks.screening import scan

SIZE = 1_000_000
PART = 8
FORMS: dict[str, Callable[[str], object]] = {
    "storage format": confluence.render,
    "work item": azure_devops.render,
    "plain text": servicenow.render,
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
    *("&", "&amp; ", "&#x1F600; ", ":tada: ", "😀 ", "é ", "אב ", "\u200b", "\x1b[31mx\x1b[0m ", "![](data:image/png;base64,AA==) "),
)  # fmt: skip


def main() -> None:
    """Print the slowest, and what takes more time for each character when there is more of it."""
    for name, form in FORMS.items():
        taken = {}
        for piece in PIECES:
            text = (piece * (SIZE // len(piece) + 1))[:SIZE]
            part = min(seconds(partial(form, text[: SIZE // PART])) for _ in range(2))
            taken[piece] = seconds(partial(form, text)), part * PART
        slowest = sorted(PIECES, key=lambda piece: taken[piece][0], reverse=True)[:3]
        steepest = max(PIECES, key=lambda piece: taken[piece][0] / max(taken[piece][1], 0.1))
        listed = ", ".join(f"{piece!r} {taken[piece][0]:.1f} s" for piece in slowest)
        whole, parts = taken[steepest]
        print(f"{name}, 1 MB: the slowest of {len(PIECES)} are {listed}")
        print(f"{name}: {steepest!r} grows most, {whole:.1f} s beside {PART} times an eighth of it {parts:.1f} s")
