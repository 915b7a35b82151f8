"""How deep a document may nest. The parser's binding follows nesting by calls: unlimited, a document would end the process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tasks.markup.parser.references import has_room

DEEPEST_MARKERS = 30
DEEPEST_INDENT = 100
DEEPEST_TREE = 500  # nodes in each other; 10,000 need 8 MB of stack
DENSE = 300  # signs in one stretch of text from which on emphasis may nest too deep
_MARKER = re.compile(r"[ \t]{0,8}(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])|\[\^[^\]\s]{1,100}\]:)")
_FENCE = re.compile(r"[ >\t]{0,200}(`{3,}|~{3,})")
_DEEP_LINE = rf"(?:[ \t]{{{DEEPEST_INDENT}}}|(?:[ \t]{{0,8}}(?:[>*+-]|\d{{1,9}}[.)]|\[\^[^\]\s]{{1,100}}\]:)){{{DEEPEST_MARKERS}}})"
# A line feed is looked for several times as fast as the start of a line, and most lines begin with none of these.
_DEEP, _DEEP_FURTHER_DOWN = re.compile(_DEEP_LINE), re.compile(r"\n(?=[ \t>*+\-\d\[])" + _DEEP_LINE)
# Most lines have no such beginning, and this looks at each of them for a seventh of the time; a footnote's label may be any signs.
_MAY_BE_DEEP = re.compile(r"\n[ \t>*+\-\d][ \t>*+\-\d.)]{28}")
_MAY_BE_DEEP_BY_NOTES = re.compile(r"\n[ \t>*+\-\d.)]{0,200}\[\^")
_CONTAINER = re.compile(r"^(?P<before>[^\n:]{0,200})(?P<colons>:{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_SIGN = re.compile(r"[*_~!\[\]`:]")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
# A node that holds others, in the parser's own XML: each start and end stands on a line.
_NODE = re.compile(
    r"^ *<(/?)(?:emph|strong|strikethrough|link|image|block_quote|list|item|taskitem|alert|block_directive|footnote_definition)"
    r"(?=[ >/])(?:[^\n]*(/)>$)?",
    re.MULTILINE,
)


def limited(text: str, xml_of: Callable[[str], str]) -> str:
    """The text, or where it nests beyond any reader's patience one that shows the rest as words.

    `xml_of` gives the parser's tree as XML, which it writes without calls in each other. Time grows with the text.
    """
    if ":::" in text and text.count(":::") > DEEPEST_MARKERS:
        text = _few_containers(text)
    may_be_deep = _MAY_BE_DEEP.search(text) or ("^" in text and _MAY_BE_DEEP_BY_NOTES.search(text))
    deep = bool(_DEEP.match(text) or (may_be_deep and _DEEP_FURTHER_DOWN.search(text)))
    if deep:
        text = "\n".join(_shallow(text.split("\n")))
    if not deep and not _is_dense(text):
        return text
    if _depth(xml_of(text)) <= DEEPEST_TREE:
        return text
    text = "\n\n".join(_SIGN.sub(r"\\\g<0>", part) if _signs(part) > DENSE else part for part in text.split("\n\n"))
    if _depth(xml_of(text)) <= DEEPEST_TREE:
        return text
    return as_words(text)


def as_words(text: str) -> str:
    """The text with every sign escaped: paragraphs of nothing but words."""
    lines = text.split("\n")
    lines[0] = "" if has_room(text) else lines[0]
    return "\n".join(_PUNCTUATION.sub(r"\\\g<0>", line.lstrip(" \t")) for line in lines)


def _signs(text: str) -> int:
    return text.count("*") + text.count("_") + text.count("~") + text.count("[")


def _is_dense(text: str) -> bool:
    return any(len(part) > DENSE and _signs(part) > DENSE for part in text.split("\n\n"))


def _few_containers(text: str) -> str:
    """The text with no more than so many containers between colons in each other: each costs time on every line."""
    open_ones: list[int] = []

    def one(found: re.Match[str]) -> str:
        colons = len(found["colons"])
        if not found["info"].strip() and open_ones and open_ones[-1] <= colons:
            open_ones.pop()
        elif len(open_ones) >= DEEPEST_MARKERS:
            return f"{found['before']}\\{found['colons']}{found['info']}"
        else:
            open_ones.append(colons)
        return found[0]

    return _CONTAINER.sub(one, text)


def _depth(xml: str) -> int:
    deepest = depth = 0
    for node in _NODE.finditer(xml):
        if node[1]:
            depth -= 1
        elif not node[2]:
            depth += 1
            deepest = max(deepest, depth)
    return deepest


def _shallow(lines: list[str]) -> Iterator[str]:
    """Lines whose container markers and indentation stay within what can be nested."""
    fenced = ""
    for line in lines:
        found = _FENCE.match(line)
        if found:
            mark = found.group(1)
            fenced = "" if fenced and mark.startswith(fenced) else fenced or mark
        yield line if fenced or len(line) < DEEPEST_MARKERS else _without_depth(line)


def _without_depth(line: str) -> str:
    indent = len(line) - len(line.lstrip(" \t"))
    if indent > DEEPEST_INDENT:
        line = " " * DEEPEST_INDENT + line[indent:]
    position = 0
    for _ in range(DEEPEST_MARKERS):
        found = _MARKER.match(line, position)
        if not found:
            return line
        position = found.end()
    return line[:position] + re.sub(r"([>\-*+.)#`~]|\[(?=\^))", r"\\\1", line[position:])
