"""Constructs that other dialects have and this one shows as they were typed: how they are found, and what they are called."""

from __future__ import annotations

import re

_WIKI_LINK = re.compile(r"\[\[(?![\s\[])([^\[\]|\n]{1,300}?)(?:\|([^\[\]|\n]{1,300}))?(?<!\s)\]\]")
# What other dialects have and this one shows as it was typed: by name, how it is called and what it looks like.
_CONSTRUCTS = {
    "shortcode": ("a shortcode of Hugo", r"\{\{[<%].{1,200}?[>%]\}\}"),
    "template": ("a tag of Liquid or Jinja", r"\{%.{1,200}?%\}"),
    "admonition": ("an admonition of an unknown kind", r"\A(?:!!!|\?\?\?\+?)[ \t]*[A-Za-z]"),
    "highlight": ("a highlight between equals signs", r"(?<![=\w])==[^\s=](?:[^=]{0,200}[^\s=])?==(?![=\w])"),
    "note": ("a reference to a footnote that is missing", r"\[\^[^\]\s]{1,60}\]"),
    "abbreviation": ("an abbreviation", r"\A\*\[[^\]]{1,60}\]:"),
    "definition": ("a definition list", r"\A:[ \t]+\S"),
    "attributes": ("a list of attributes", r"\{:[^}]{1,200}\}\s*\Z"),
}
_DIALECTS = {name: called for name, (called, _) in _CONSTRUCTS.items()}
_AS_TYPED = re.compile("|".join(f"(?P<{name}>{shape})" for name, (_, shape) in _CONSTRUCTS.items()))
_STARTS = ("!!!", "???", "*[", ":")


def may_be_in(run: str) -> bool:
    """Whether a run of words has a sign of any of them."""
    return "[" in run or "{" in run or "==" in run or run.startswith(_STARTS)


def read(run: str) -> tuple[str, list[str]]:
    """The words as they are shown, and what to warn of. Links of a wiki lead nowhere from here, and are named by what they show."""
    told: list[str] = []
    if "[[" in run and _WIKI_LINK.search(run):
        told.append("a link of a wiki has no place here; its words are shown")
        run = _WIKI_LINK.sub(lambda m: f"{m[2]} ({m[1]})" if m[2] else m[0], run)
    signed = "{" in run or "==" in run or "[^" in run or run.startswith(_STARTS)
    if signed and (found := _AS_TYPED.search(run)):
        told.append(f"{_DIALECTS[found.lastgroup or '']} is shown as typed")
    return run, told
