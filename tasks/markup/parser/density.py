"""How much of a long text is marks. The parser takes some hundred bytes of memory for each piece that it makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

SIZE = 1_000_000  # characters; a shorter text may have as many marks as one of that length
MOST_BYTES = (
    200  # that the marks may take for each character. Of documents that people wrote, the densest took 99, most 30
)
SHORT = 120_000  # characters that can't take as much memory, whatever they are
# What one of each makes the parser and its binding take, in bytes: measured with a megabyte of nothing else, rounded up.
_BYTES = {
    **dict.fromkeys(("*", "_", "~"), 730),
    **dict.fromkeys(("`", "$"), 450),
    **dict.fromkeys(("\\", "&"), 400),
    **dict.fromkeys(("]", "!"), 190),
    "|": 650,
    ">": 560,
    "[": 420,
    "<": 640,
    ":": 600,
    "..": 380,
    **dict.fromkeys(("@", "://", "www.", "[^", "]("), 1900),
    "](http": -1900,  # one link, whatever its address
    **dict.fromkeys(("- ", "+ ", ". ", ") "), 750),  # items, and little else
    "!!!": 1000,
    ":::": 600,
    "\n": 1000,
    "\n\n": -1000,  # only lines with words count
}
# Raw HTML is one piece from a line that begins with such a tag to an empty one.
_HTML = re.compile(
    r" {0,3}</?(?:table|thead|tbody|tr|t[hd]|[uod]l|li|div|p|details|section|article)[ >]", re.IGNORECASE
)
_MARKERS = r"(?P<markers>[ \t>*+\-\d.)]{0,200})"
_FENCE = re.compile(_MARKERS + r"(?P<signs>`{3,}(?=[^`]*\Z)|~{3,})")
# Raw HTML, in which a fence is none, and what ends it: by the kinds of the specification, the last of which end with an empty line.
_RAW = re.compile(
    _MARKERS + r"<(?:(?P<comment>!--)|(?P<instruction>\?)|(?P<data>!\[)|(?P<declaration>!)"
    r"|(?P<program>script|pre|style|textarea)\b|(?P<tag>[/a-z]))",
    re.IGNORECASE,
)
_ENDS = {
    "comment": re.compile("-->"),
    "instruction": re.compile(r"\?>"),
    "data": re.compile("]]>"),
    "declaration": re.compile(">"),
    "program": re.compile("</(?:script|pre|style|textarea)>", re.IGNORECASE),
    "tag": re.compile(r"\A[ \t]*\Z"),
}


def is_too_dense(text: str) -> bool:
    """Whether the text is made of more marks than any reader could want. Code between fences and raw HTML have none."""
    most = MOST_BYTES * max(len(text), SIZE)
    if len(text) <= SHORT or _bytes(text) <= most:
        return False
    return _bytes(_read_inside(text)) > most


def _bytes(text: str) -> int:
    return sum(each * text.count(sign) for sign, each in _BYTES.items())


def _read_inside(text: str) -> str:
    """The lines in which the parser looks for marks."""
    return "\n".join(line for _, line in seen(text.split("\n")))


def seen(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines outside of fenced code and of raw HTML, with their places; all from where only the parser could tell these."""
    hidden = ""  # what hides lines: the signs of a fence, or `<` for raw HTML
    indent = 0  # in front of it; it may stand in an item, which a line with less ends
    ends: re.Pattern[str] | None = None  # what ends raw HTML that isn't hidden
    contained = False
    for place, line in enumerate(lines):
        said, before = line.strip(" \t"), len(line) - len(line.lstrip(" "))
        is_left = bool(said) and (before < indent or (contained and said.startswith(":::")))
        fence = _FENCE.match(line)
        if hidden == "<":
            hidden = "<" if said and not is_left else ""
            ends = _ENDS["tag"] if is_left else None
        elif hidden:
            closes = said.startswith(hidden) and not said.strip(hidden[0])
            if is_left or (closes and (before > 3 or line[before] == "\t")):
                break
            hidden = "" if closes else hidden
            continue
        elif ends is None and _HTML.match(line):
            hidden, indent = "<", before
        if hidden:
            continue
        if fence and (ends is not None or before > 3 or fence["markers"].strip(" ")):
            break
        if fence:
            hidden, indent = fence["signs"], before
            continue
        raw = _RAW.match(line) if ends in (None, _ENDS["tag"]) else None
        if raw is None:
            ends = None if ends is None or ends.search(line) else ends
        elif raw["tag"]:
            ends = _ENDS["tag"]
        elif not _ENDS[str(raw.lastgroup)].search(line, raw.end()):
            if raw["markers"] or contained or ends is not None:
                break  # what is around it may end it, or hide it
            ends = _ENDS[str(raw.lastgroup)]
        contained = contained or ":::" in line
        yield place, line
    else:
        return
    yield from enumerate(lines[place:], place)
