"""Short names of emoji, `:rocket:`, as chat and GitHub write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

# A run of names between colons; none that stands inside a word or path, such as `std::x::y` or `10:20:30`.
_RUN = re.compile(r"(?<![\w:])(?::[A-Za-z0-9_+-]{1,60}:)+(?![\w:])")
_NAME = re.compile(r":([A-Za-z0-9_+-]+):")


@lru_cache(maxsize=1)
def _known() -> Mapping[str, str]:
    import emoji

    names: dict[str, str] = {}
    for character, facts in emoji.EMOJI_DATA.items():
        if facts["status"] > emoji.STATUS["fully_qualified"]:
            continue
        for name in (facts["en"], *facts.get("alias", ())):
            names.setdefault(name.strip(":"), character)
    return names


def with_emoji(text: str) -> str:
    """The text with known names as the characters they stand for; unknown ones stay as written."""
    if ":" not in text:
        return text
    return _RUN.sub(lambda run: _NAME.sub(lambda m: _known().get(m.group(1), m.group()), run.group()), text)
