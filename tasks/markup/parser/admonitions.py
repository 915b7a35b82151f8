"""Admonitions of MkDocs, `!!! note "Title"` above an indented text, as containers between colons."""

from __future__ import annotations

import re

from tasks.markup.words import PANELS

_START = re.compile(
    r"((?:[ \t]{0,12}>)*[ \t]{0,12})(!!!|\?\?\?\+?)[ \t]*([A-Za-z]+)(?:[ \t]+(?:inline|end))*(?:[ \t]+\"([^\"]*)\")?[ \t]*\Z"
)
_ANY = re.compile(r"^(?:[ \t]{0,12}>)*[ \t]{0,12}(?:!!!|\?\?\?)", re.MULTILINE)
_FENCE = re.compile(r"[ >\t]{0,200}(`{3,}|~{3,})")
_COLONS = re.compile(r":{3,}")
_DIRECTIVE = re.compile(r"\s*(\{?)\s*\.?(?:callout-)?([A-Za-z]+)\b(.*)")
_QUOTED = re.compile(r"""(["'])(.*)\1""")
_TITLED = re.compile(r"""(?<![\w-])title\s*=\s*(["'])(.*?)\1""")
_ATTRIBUTES = re.compile(r"\{[^{}]*\}")
FOLDING = "fold-"  # before the kind of an admonition that folds
DEEPEST = 12


def with_origins(text: str) -> tuple[str, list[int]]:
    """The text with each admonition of a known kind between colons, more of them than anywhere else in the text; and of each
    of its lines the number of the line that it was, from 1; no numbers where all are the same.
    """
    if ("!!!" not in text and "???" not in text) or _ANY.search(text) is None:
        return text, []
    longest = max((len(found) for found in _COLONS.findall(text)), default=2)
    lines, origins = _lines(text.split("\n"), longest + DEEPEST)
    return "\n".join(lines), origins


def _lines(lines: list[str], colons: int) -> tuple[list[str], list[int]]:
    out: list[str] = []
    origins: list[int] = []
    open_ones: list[str] = []  # what the lines of each open admonition begin with
    fenced = ""

    def end(kept: int) -> None:
        while len(open_ones) > kept:
            prefix = open_ones.pop()
            last = len(out)
            while last and not out[last - 1].strip("> \t"):
                last -= 1
            out.insert(last, prefix + ":" * (colons - len(open_ones)))
            origins.insert(last, origins[last - 1] if last else 1)

    for number, line in enumerate(lines, 1):
        inside, kept = line, 0
        if line.strip("> \t"):
            while kept < len(open_ones) and (rest := _within(inside, open_ones[kept])) is not None:
                inside, kept = rest, kept + 1
            if kept < len(open_ones):
                fenced = ""
            end(kept)
        found = _START.match(inside) if not fenced and len(open_ones) < DEEPEST else None
        if found and found[3].lower() in PANELS:
            title = found[3].capitalize() if found[4] is None else found[4]
            kind = (FOLDING if found[2].startswith("?") else "") + found[3].lower()
            open_ones.append(found[1])
            origins.append(number)
            out.append(f'{found[1]}{":" * (colons - len(open_ones) + 1)}{kind} "{title}"')
            continue
        if mark := _FENCE.match(inside):
            fenced = "" if fenced and mark[1].startswith(fenced) else fenced or mark[1]
        origins.append(number)
        out.append(inside)
    end(0)
    return out, origins


def _within(line: str, prefix: str) -> str | None:
    """The line without the indentation of the admonition that begins with the prefix; None where it stands outside."""
    rest = line[len(prefix) :]
    if not line.startswith(prefix) or not rest.startswith(("    ", "\t")):
        return None
    return prefix + (rest[1:] if rest.startswith("\t") else rest[4:])


def read_info(info: str) -> tuple[str, str, bool]:
    """What a container between colons says about itself: its kind, its title, and whether it folds."""
    folds = info.startswith(FOLDING)
    found = _DIRECTIVE.match(info.removeprefix(FOLDING))
    if found is None:
        return "", "", folds
    kind, rest = found[2].lower(), found[3].strip()
    if title := _QUOTED.fullmatch(rest) or _TITLED.search(rest):
        return kind, title[2], folds
    shown = _ATTRIBUTES.sub("", found[1] + rest).strip()
    shown = shown[1:-1] if shown[:1] == "[" and shown[-1:] == "]" else shown
    return kind, shown or kind.capitalize(), folds
