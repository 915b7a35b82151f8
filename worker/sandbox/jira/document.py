"""Whether a value is a document in Atlassian's format, as far as Jira Cloud itself refuses one."""

from __future__ import annotations

from typing import Any

NO_DOCUMENT = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
INVALID = "INVALID_INPUT"
TOO_LONG = "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
BLOCKS = frozenset(
    "paragraph heading bulletList orderedList listItem taskList taskItem codeBlock blockquote panel rule table tableRow "  # noqa: SIM905
    "tableHeader tableCell expand nestedExpand mediaSingle mediaGroup media decisionList decisionItem".split()
)
INLINES = frozenset("text hardBreak mention emoji inlineCard date status".split())  # noqa: SIM905
MARKS = frozenset("strong em strike code link underline subsup textColor backgroundColor".split())  # noqa: SIM905
INLINE_HOLDERS = frozenset(("paragraph", "heading", "codeBlock", "taskItem", "decisionItem"))
LEAVES = frozenset(("rule", "media", *INLINES))


def fault_of_document(value: object, limit: int) -> str | None:
    """Why Jira refuses it as a document; None where it takes it."""
    if not isinstance(value, dict) or value.get("type") != "doc" or value.get("version") != 1:
        return NO_DOCUMENT
    content = value.get("content")
    if not isinstance(content, list) or not all(_is_node(node, BLOCKS) for node in content):
        return INVALID
    return TOO_LONG if len("".join(_texts(value))) > limit else None


def _is_node(node: Any, allowed: frozenset[str]) -> bool:
    if not isinstance(node, dict) or node.get("type") not in allowed:
        return False
    kind, content = node["type"], node.get("content", [])
    if kind == "text":
        text, marks = node.get("text"), node.get("marks", [])
        known = all(isinstance(mark, dict) and mark.get("type") in MARKS for mark in marks)
        led = all(mark.get("attrs", {}).get("href") for mark in marks if mark.get("type") == "link")
        return isinstance(text, str) and text != "" and known and led
    if kind in LEAVES:
        return not content
    if kind == "heading" and node.get("attrs", {}).get("level") not in range(1, 7):
        return False
    within = INLINES if kind in INLINE_HOLDERS else BLOCKS
    return isinstance(content, list) and all(_is_node(child, within) for child in content)


def _texts(node: dict[str, Any]) -> list[str]:
    return [node.get("text", ""), *(text for child in node.get("content", []) for text in _texts(child))]
