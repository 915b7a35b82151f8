"""Constructs that other dialects have and this one shows as they were typed: how they are found, and what they are called."""

from __future__ import annotations

import re

_WIKI_LINK = re.compile(r"(?<!\\)\[\[(?![\s\[])([^\[\]|\n]{1,300}?)(?:\|([^\[\]|\n]{1,300}))?(?<!\s)\]\]")
# What other dialects have and this one shows as it was typed: by name, how it is called and what it looks like.
_ANYWHERE = {
    "shortcode": ("a shortcode of Hugo", r"\{\{[<%].{0,200}?(?:[>%]\}\}|\Z)"),
    "template": ("a tag of Liquid or Jinja", r"\{%.{1,200}?%\}|\{\{(?![<%]).{1,200}?\}\}"),
    "highlight": ("a highlight between equals signs", r"(?<![=\w])==[^\s=](?:[^=]{0,200}[^\s=])?==(?![=\w])"),
    "note": ("a reference to a footnote that is missing", r"\[\^[^\]\s]{1,60}\]"),
    "attributes": (
        "a list of attributes",
        r"\{[ \t]*(?:[:#.]|(?:width|height|style|class|id)=)[^}]{1,200}\}\s*\Z",
    ),
    "size": ("the size of an image", r"\s=(?:\d{1,5}%?x\d{0,5}|x\d{1,5})%?\)"),
    "superscript": ("a superscript between carets", r"(?<=[^\s^])\^[^\s^\[\]]{1,40}\^(?!\w)"),
    "inline_note": ("a footnote in a line", r"\^\[[^\]]{1,300}\]"),
    "insertion": ("an insertion between plus signs", r"(?<![+\w])\+\+[^\s+](?:[^+]{0,200}[^\s+])?\+\+(?![+\w])"),
}
_AT_LINE_START = {
    "admonition": ("an admonition of an unknown kind", r"(?:!!!|\?\?\?\+?)[ \t]*[A-Za-z]"),
    "alert": ("an alert of an unknown kind", r"\[![A-Za-z]{1,40}\]"),
    "block": ("a block of PyMdown", r"///[ \t]+[A-Za-z]"),
    "snippet": ("a file that is to be put in", r"--8<--"),
    "tab": ("a tab of MkDocs", r"===[!+]?[ \t]+\""),
    "abbreviation": ("an abbreviation", r"\*\[[^\]]{1,60}\]:"),
    "definition": ("a definition list", r":[ \t]+\S"),
}
ATTRIBUTES = f"{_ANYWHERE['attributes'][0]} is shown as typed"
_CALLED = {name: called for name, (called, _) in (_ANYWHERE | _AT_LINE_START).items()}
_FOUND_ANYWHERE, _FOUND_AT_LINE_START = (
    re.compile("|".join(f"(?P<{name}>{shape})" for name, (_, shape) in group.items()))
    for group in (_ANYWHERE, _AT_LINE_START)
)
# One of these is in a run of words that has any of them, or one of the others begins it. To look for one character takes a tenth
# of the time that two take.
_WITHIN = ("[", "{", "=", "+", "^")
_STARTS = frozenset("!?*:/-")


class Signs:
    """The signs of such constructs that the source of one document has."""

    def __init__(self, source: str) -> None:
        anything = "&" in source  # an entity may stand for a sign
        self._within = tuple(sign for sign in _WITHIN if anything or sign in source)
        self.links = wiki_links(source) if "[[" in source else frozenset[str]()

    def may_be_in(self, run: str) -> bool:
        """Whether a run of words may hold any of them."""
        for sign in self._within:  # in half the time of `any`
            if sign in run:
                return True
        return run[:1] in _STARTS


def wiki_links(source: str) -> frozenset[str]:
    """The links of a wiki in the source of a document; none with a backslash before a bracket, which makes words of it."""
    return frozenset(found[0] for found in _WIKI_LINK.finditer(source.replace("\\|", "|")))


def read(run: str, signs: Signs, *, starts_line: bool) -> tuple[str, list[str]]:
    """The words as they are shown, and what to warn of. Links of a wiki lead nowhere from here, and are named by what they show.

    What only begins a line is not looked for behind other words: in `**Status**: open`, the run is `: open`.
    """
    told: list[str] = []
    links = signs.links
    if links and "[[" in run and any(found[0] in links for found in _WIKI_LINK.finditer(run)):
        told.append("a link of a wiki has no place here; its words are shown")
        run = _WIKI_LINK.sub(lambda m: f"{m[2]} ({m[1]})" if m[2] and m[0] in links else m[0], run)
    found = [at_start] if starts_line and (at_start := _FOUND_AT_LINE_START.match(run)) else []
    if any(sign in run for sign in ("{", "=", "++", "^")):
        found += _FOUND_ANYWHERE.finditer(run)
    told += dict.fromkeys(f"{_CALLED[one.lastgroup or '']} is shown as typed" for one in found)
    return run, told
