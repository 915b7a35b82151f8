"""How much of a long text is marks. The parser takes some hundred bytes of memory for each piece that it makes of them."""

from __future__ import annotations

import re

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
_FENCE = re.compile(r"[ \t]{0,40}(?:(`{3,})[^`]*|(~{3,}).*)\Z")


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
    kept: list[str] = []
    fence, in_html = "", False
    for line in text.split("\n"):
        in_html = bool(line.strip()) and not fence and (in_html or _HTML.match(line) is not None)
        if in_html:
            continue
        found = _FENCE.match(line)
        mark = (found[1] or found[2]) if found else ""
        if fence:
            fence = "" if mark.startswith(fence) and line.strip() == mark else fence
        elif mark:
            fence = mark
        else:
            kept.append(line)
    return "\n".join(kept)
