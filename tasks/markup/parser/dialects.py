"""Constructs that other dialects have and this one shows as they were typed: how they are found, and what they are called."""

from __future__ import annotations

import re

_WIKI_LINK = re.compile(r"\[\[(?![\s\[])([^\[\]|\n]{1,300}?)(?:\|([^\[\]|\n]{1,300}))?(?<!\s)\]\]")
# What other dialects have and this one shows as it was typed: by name, how it is called and what it looks like.
_ANYWHERE = {
    "shortcode": ("a shortcode of Hugo", r"\{\{[<%].{1,200}?[>%]\}\}"),
    "template": ("a tag of Liquid or Jinja", r"\{%.{1,200}?%\}|\{\{(?![<%]).{1,200}?\}\}"),
    "highlight": ("a highlight between equals signs", r"(?<![=\w])==[^\s=](?:[^=]{0,200}[^\s=])?==(?![=\w])"),
    "note": ("a reference to a footnote that is missing", r"\[\^[^\]\s]{1,60}\]"),
    "attributes": ("a list of attributes", r"\{(?!#[A-Za-z][\w:.-]*\}\s*\Z)[:#.][^}]{1,200}\}\s*\Z"),
    "inline_note": ("a footnote in a line", r"\^\[[^\]]{1,300}\]"),
    "insertion": ("an insertion between plus signs", r"(?<![+\w])\+\+[^\s+](?:[^+]{0,200}[^\s+])?\+\+(?![+\w])"),
}
_AT_LINE_START = {
    "admonition": ("an admonition of an unknown kind", r"(?:!!!|\?\?\?\+?)[ \t]*[A-Za-z]"),
    "alert": ("an alert of an unknown kind", r"\[![A-Za-z]{1,40}\]"),
    "tab": ("a tab of MkDocs", r"===[!+]?[ \t]+\""),
    "abbreviation": ("an abbreviation", r"\*\[[^\]]{1,60}\]:"),
    "definition": ("a definition list", r":[ \t]+\S"),
}
_CALLED = {name: called for name, (called, _) in (_ANYWHERE | _AT_LINE_START).items()}
_FOUND_ANYWHERE, _FOUND_AT_LINE_START = (
    re.compile("|".join(f"(?P<{name}>{shape})" for name, (_, shape) in group.items()))
    for group in (_ANYWHERE, _AT_LINE_START)
)
# One of these is in the source of each: a backslash and an entity may stand for a sign. One character is looked for many times
# as fast as two, and most documents lack most of them.
_SIGNS = {
    "[": ("[[", "[^", "[!", "^[", "*["),
    "{": ("{",),
    "=": ("==",),
    "+": ("++",),
    "!": ("!!!",),
    "?": ("???",),
    "\\": ("\\",),
    "&": ("&",),
}
_DEFINITION = r"[^A-Za-z\n:]*:[ \t]"
_DEFINED, _DEFINED_FURTHER_DOWN = re.compile(_DEFINITION), re.compile(r"\n" + _DEFINITION)
_STARTS = ("!!!", "???", "*[", ":")


def may_be_anywhere(source: str) -> bool:
    """Whether the source of a document has a sign of any of them."""
    if any(sign in source for one, signs in _SIGNS.items() if one in source for sign in signs):
        return True
    return bool(_DEFINED.match(source) or _DEFINED_FURTHER_DOWN.search(source))


def may_be_in(run: str) -> bool:
    """Whether a run of words has a sign of any of them."""
    return "[" in run or "{" in run or "==" in run or "++" in run or run.startswith(_STARTS)


def read(run: str, *, starts_line: bool) -> tuple[str, list[str]]:
    """The words as they are shown, and what to warn of. Links of a wiki lead nowhere from here, and are named by what they show.

    What only begins a line is not looked for behind other words: in `**Status**: open`, the run is `: open`.
    """
    told: list[str] = []
    if "[[" in run and _WIKI_LINK.search(run):
        told.append("a link of a wiki has no place here; its words are shown")
        run = _WIKI_LINK.sub(lambda m: f"{m[2]} ({m[1]})" if m[2] else m[0], run)
    found = _FOUND_AT_LINE_START.match(run) if starts_line else None
    if not found and ("{" in run or "==" in run or "++" in run or "[^" in run or "^[" in run):
        found = _FOUND_ANYWHERE.search(run)
    if found:
        told.append(f"{_CALLED[found.lastgroup or '']} is shown as typed")
    return run, told
