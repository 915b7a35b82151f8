"""Tags that are none: `<time>` for a placeholder, `a<b and c>d`. An opening tag without its end is words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.markup.addresses import is_program, may_be_linked
from tasks.markup.parser.token import Token
from tasks.markup.tags import MARKS, PIECE, TAGS, attributes_of, may_have

# What stands within a block and has an end there.
_WITHIN_A_BLOCK = frozenset((*MARKS, "a", "span", "font", "mark", "abbr", "bdi", "bdo", "big", "q", "time", "data", "label", "ruby", "address"))  # fmt: skip
# What has an end, if not always in the same block.
_WITH_AN_END = frozenset((*_WITHIN_A_BLOCK, "table", "ul", "ol", "blockquote", "pre", "details", "div", "center", "section", "article", "main", "header", "footer", "nav", "aside", "figure", "figcaption", "dl", "hgroup", "picture", "h1", "h2", "h3", "h4", "h5", "h6"))  # fmt: skip
# What says nothing without one of these attributes.
_SAYS_BY = {"source": {"src", "srcset"}, "img": {"src", "alt", "srcset"}, "col": {"span", "width", "style", "class"}}
# What has a place in these only.
_STANDS_IN: Mapping[str, tuple[str, ...]] = {
    "li": ("ul", "ol"),
    "summary": ("details",),
    **dict.fromkeys(("dt", "dd"), ("dl",)),
    **dict.fromkeys(("tr", "td", "th", "thead", "tbody", "tfoot", "caption", "col", "colgroup"), ("table",)),
}
# Without an end of either, they are meant where one stands right in the other.
_FOLDS = {"details", "summary"}
_FOLD = re.compile(r"<details\b[^<>]*>\s*<summary\b", re.IGNORECASE)
# What holds one of its parts, or has attributes, is meant, whether it has an end or not.
_HOLDS = re.compile(
    r"<([uod]l|table|details)\b(?:[^<>]*=|[^<>]*>(?:[ \t]*+\n\s*+)?<(?:li|dt|summary|caption|col|t[rdh]|thead|tbody)\b)",
    re.IGNORECASE,
)
# An element's name with its prefix, which the grammar takes for an address of a scheme of that name.
_PREFIXED = re.compile(r"[A-Za-z][\w.-]+:[A-Za-z_][\w.-]*", re.ASCII)
_ENDS = re.compile(r"</([A-Za-z][A-Za-z0-9]*)")


class Names:
    """The tags that a document opens and ends somewhere."""

    def __init__(self, text: str) -> None:
        self._ended = {name.lower() for name in _ENDS.findall(text)} if "</" in text else set[str]()
        self._meant = self._ended | ({name.lower() for name in _HOLDS.findall(text)} if "<" in text else set())
        self._folds = bool(self._ended & _FOLDS) or _FOLD.search(text) is not None

    def is_tag(self, found: re.Match[str]) -> bool:
        """Whether an opening tag can be one in this document."""
        name = found["name"].lower()
        if name not in TAGS or not may_have(found["rest"]):
            return False
        if name in _SAYS_BY and not _SAYS_BY[name] & attributes_of(found["rest"]).keys():
            return False
        if name in _FOLDS and not self._folds:
            return False
        if name in _STANDS_IN and self._meant.isdisjoint(_STANDS_IN[name]):
            return False
        if name in self._meant or name not in _WITH_AN_END or _is_place(found):
            return True
        return name not in _WITHIN_A_BLOCK and "=" in found["rest"]

    def meant(self, tag: str) -> str:
        """The name of a tag that is shown as words; empty for a placeholder such as `<name>`, which wasn't meant as one."""
        found = PIECE.fullmatch(tag)
        meant = found is not None and (found["name"].lower() in self._ended or "=" in found["rest"])
        return found["name"] if found and meant else ""

    def as_words(self, children: list[Token]) -> list[Token]:
        """The pieces of a block, with tags that can be none as the words they are."""
        opened: dict[str, list[int]] = {}
        words: set[int] = set()
        for place, child in enumerate(children):
            found = PIECE.fullmatch(child.content) if child.type == "html_inline" else None
            if found is None:
                continue
            name = found["name"].lower()
            if found["close"]:
                if opened.get(name):
                    opened[name].pop()
            elif not self.is_tag(found) or (found[0].lower() == "<p>" and name not in self._ended):
                words.add(place)
            elif name in _WITHIN_A_BLOCK and not _is_place(found) and not found["rest"].endswith("/"):
                opened.setdefault(name, []).append(place)
        words.update(place for places in opened.values() for place in places)
        return (
            [c._replace(type="text") if place in words else c for place, c in enumerate(children)]
            if words
            else children
        )


def is_prefixed(address: str, line: str) -> bool:
    """Whether an address in a line is an element's name, `<xs:element>`, which nobody could follow."""
    if _PREFIXED.fullmatch(address) is None or may_be_linked(address) or is_program(address):
        return False
    return f"<{address}>" in line


def _is_place(found: re.Match[str]) -> bool:
    """Whether it names a place to link to, which many write without an end."""
    return found["name"].lower() == "a" and bool({"name", "id"} & attributes_of(found["rest"]).keys())
