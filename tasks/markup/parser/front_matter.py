"""Front matter: fields between lines of hyphens (YAML) or plus signs (TOML) at a document's start, for labels and properties.

It is read leniently, for people write `title: RCA: disk full`; what can't be read at all is left out with a warning.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import yaml

LONGEST = 64_000
LABEL_LENGTH = 255
LABEL_FIELDS = ("labels", "tags", "keywords")
_BLOCK = re.compile(r"\A\n*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TOML = re.compile(r"\A\n*\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
# Lines of which fields are made; a block of nothing else is front matter, whatever YAML says of it.
_FIELD = re.compile(r"((?:[^\W\d]|[\"'$@<])[\w .$@/<-]{0,60}?[\"']?)[ \t]*:(?:[ \t]+(.*))?\Z")
_TOML_FIELD = re.compile(r"([A-Za-z_][\w.-]{0,60})[ \t]*=[ \t]*(.*)\Z")
_NAMED = re.compile(r"[a-z][\w-]*[ \t]*[:=]")  # as fields are, and sentences aren't
_WITHOUT_BLANK = re.compile(r"([a-z][\w-]*):(?![/:\s])(.*)\Z")  # `tags:[rca]`, which YAML takes for words
_CONTINUED = re.compile(r"[ \t]+\S|-(?:[ \t]|\Z)|#|\[|\Z|[\]}]")
# What Confluence refuses in a label.
_NOT_IN_LABEL = re.compile(r"[\s!#&()*,.:;<>?@\[\]^/\\|\"'`=+{}~%$]+")


class _Plain(yaml.SafeLoader):
    """YAML without aliases, by which a few lines could stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node; raises where it is an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


@dataclass(frozen=True)
class Front:
    """The fields (None where there is no front matter), the document below them, and what couldn't be read."""

    fields: Mapping[str, Any] | None
    rest: str
    warnings: tuple[str, ...] = ()


def split(markdown: str) -> Front:
    """The front matter and the document below. What is no front matter stays in the document."""
    start = markdown[:LONGEST].lstrip("\n")[:3]
    yaml_block = _BLOCK.match(markdown[:LONGEST]) if start == "---" else None
    toml_block = _TOML.match(markdown[:LONGEST]) if start == "+++" else None
    found = yaml_block or toml_block
    if found is None:
        return Front(None, markdown)
    rest = markdown[found.end() :]
    if not found.group(1).strip():
        return Front({}, rest) if rest.strip() else Front(None, markdown)  # two rules, and nothing else
    for toml in (True, False) if toml_block else (False,):
        fields = _loaded(found.group(1), toml=toml)
        if fields is not None:
            return Front({str(key): _plain(value) for key, value in fields.items()}, rest)
        lenient = _by_lines(found.group(1), _TOML_FIELD if toml else _FIELD)
        if lenient is not None:
            return Front(lenient, rest, ("the front matter is no valid YAML or TOML; it was read line by line",))
    return Front(None, markdown)


def _loaded(block: str, *, toml: bool) -> dict[Any, Any] | None:
    """The mapping that a block holds; None where it holds none."""
    try:
        fields = tomllib.loads(block) if toml else yaml.load(block, Loader=_Plain)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _by_lines(block: str, pattern: re.Pattern[str]) -> dict[str, Any] | None:
    """Fields line by line, their values as text; None where a line can be none of a mapping's."""
    fields: dict[str, Any] = {}
    last = ""
    lines = textwrap.dedent(block).split("\n")
    first = next(filter(pattern.match, map(str.strip, lines)), "")
    is_sure = "\n\n" not in block and _NAMED.match(first) is not None
    for line in lines:
        if found := pattern.match(line if fields else line.strip()) or _WITHOUT_BLANK.match(line):
            last, value = _bare(found.group(1)), (found.group(2) or "").strip()
            listed = value.startswith("[") and value.endswith("]")
            fields[last] = [_bare(part) for part in value[1:-1].split(",")] if listed else _bare(value)
        elif not _CONTINUED.match(line):
            if not is_sure or (not last and " " in line.strip()):  # a sentence
                return None
            if last and isinstance(fields[last], str):
                fields[last] = f"{fields[last]} {line.strip()}"
        elif last and line[:1].isspace() and isinstance(fields[last], str) and fields[last]:
            fields[last] = f"{fields[last]} {line.strip()}"
        elif last and line.strip().startswith("- "):
            held = fields[last] if isinstance(fields[last], list) else [fields[last]] if fields[last] else []
            fields[last] = [*held, _bare(line.strip()[2:])]
    return fields if first or len(fields) > 1 else None


def _bare(value: str) -> str:
    """A value without its quotes."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _plain(value: Any) -> Any:
    """The value in JSON's types."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, date | datetime | time):
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
