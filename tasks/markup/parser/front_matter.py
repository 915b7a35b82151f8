"""Front matter: a YAML mapping between lines of hyphens at a document's start, offered as labels and properties."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import yaml

LONGEST = 64_000
LABEL_LENGTH = 255
LABEL_FIELDS = ("labels", "tags", "keywords")
_BLOCK = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
# What Confluence refuses in a label.
_NOT_IN_LABEL = re.compile(r"[\s!#&()*,.:;<>?@\[\]^/\\|\"'`=+{}~%$]+")


class _Plain(yaml.SafeLoader):
    """YAML without aliases, by which a few lines could stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node; raises where it is an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def split(markdown: str) -> tuple[Mapping[str, Any] | None, str]:
    """The front matter's fields and the document below; None and the whole text where there is no YAML mapping on top."""
    found = _BLOCK.match(markdown[:LONGEST]) if markdown.startswith("---") else None
    if found is None:
        return None, markdown
    try:
        fields = yaml.load(found.group(1), Loader=_Plain)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        return None, markdown
    if not isinstance(fields, dict):
        return None, markdown
    return {str(key): _plain(value) for key, value in fields.items()}, markdown[found.end() :]


def _plain(value: Any) -> Any:
    """The value in JSON's types."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def labels_in(fields: Mapping[str, Any]) -> list[str]:
    """The words of the fields that hold labels."""
    words: list[str] = []
    for name, value in fields.items():
        if name.lower() in LABEL_FIELDS:
            listed = re.split(r"[,\n]", value) if isinstance(value, str) else value
            words += [str(word) for word in (listed if isinstance(listed, list) else [listed]) if word is not None]
    return words


def as_labels(words: Iterable[str]) -> tuple[str, ...]:
    """Labels as Confluence takes them: small letters, hyphens for what it refuses, each once."""
    made = (_NOT_IN_LABEL.sub("-", word.strip().lower()).strip("-")[:LABEL_LENGTH] for word in words)
    return tuple(dict.fromkeys(label for label in made if label))
