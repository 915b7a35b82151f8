"""A dry run as people read it: what would become of the page, then its text with what goes and what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.terminal.base import plain

if TYPE_CHECKING:
    from rich.text import Text

    from tasks.destinations.contract import Preview
    from tasks.markup.compare import Change

SENTENCES = {
    "create": "A new page would be created.",
    "update": "The page would get a new version.",
    "unchanged": "The page is up to date: no new version.",
    "hold": "The job would be held: somebody edited the page. Below is what releasing it would change.",
    "keep": "The page would be kept as it is: somebody edited it. The changes below would not be made.",
}
MARKS = {"added": "+ ", "removed": "- ", "same": "  ", "gap": "  ", "changed": "~ "}
STYLES = {"added": "green", "removed": "red", "gap": "dim"}


def shown(preview: Preview) -> Text:
    """The preview, a line for each fact and each line of the difference."""
    from rich.text import Text

    facts = [SENTENCES[preview.action], *([preview.url] if preview.url else [])]
    if preview.title:
        before, after = preview.title
        facts.append(f"Title: {after}" if not before else f"Title: {before} → {after}")
    if preview.parent:
        before, after = (part or "top of the space" for part in preview.parent)
        facts.append(f"Parent: {after}" if preview.action == "create" else f"Parent: {before} → {after}")
    for words, names in (
        ("Labels added", preview.labels_added),
        ("Labels removed", preview.labels_removed),
        ("Files uploaded", preview.uploads),
        ("Note", preview.notes),
    ):
        if names:
            facts.append(f"{words}: {', '.join(names)}")
    text = Text("\n").join(plain(fact) for fact in facts)
    if preview.diff:
        text.append("\n\n")
        text.append_text(Text("\n").join(_line(change) for change in preview.diff))
    return text


def _line(change: Change) -> Text:
    """One line. Within a changed line, [-gone-] and {+new+} can be told apart without colours as well."""
    from rich.text import Text

    line = Text(MARKS[change.kind], style=STYLES.get(change.kind, ""))
    if change.kind != "changed":
        words = f"… {change.text} …" if change.kind == "gap" else change.text
        return line.append_text(plain(words)) if words else line
    for kind, words in change.parts:
        wrapped = {"removed": f"[-{words}-]", "added": f"{{+{words}+}}"}.get(kind, words)
        part = plain(wrapped)
        part.stylize(STYLES.get(kind, ""))
        line.append_text(part)
    return line
