"""Advice in the console's words: errors name commands, and who reads them in the console looks for a button."""

from __future__ import annotations

import re
from functools import partial

_TEST = "a connection test (Test connection, under Destinations)"
_EDIT = "Edit, under Destinations"
# What an error says, and what it says here. `verb` forms go first: "run X" is "press Y" on a page.
_INSTEAD: tuple[tuple[str, str], ...] = (
    (r"run `afterword destination test[^`]*`", "press Test connection, under Destinations"),
    (r"`afterword destination test[^`]*`", _TEST),
    (r"run `afterword destination resume[^`]*`", "press Resume, under Destinations"),
    (
        r"`afterword destination (pause|resume)[^`]*` or `afterword destination (pause|resume)[^`]*`",
        "Pause or Resume, under Destinations",
    ),
    (
        r"remove it first: `afterword destination remove[^`]*`",
        "remove it first (Edit, then Remove…, under Destinations)",
    ),
    (r"store a new one with `destination set`", f"store a new one ({_EDIT})"),
    (r"store the credential anew with `afterword destination set[^`]*`", f"store the credential anew ({_EDIT})"),
    (r"(store one|add it) with `afterword destination set[^`]*`", r"\1 under Destinations"),
    (r"then `afterword destination set[^`]*`", f"then store it ({_EDIT})"),
    (r"`afterword destination set[^`]*` stores it anew", f"saving it again ({_EDIT}) stores it anew"),
    (r"`afterword destination set[^`]*`", _EDIT),
    (r"then `afterword job retry[^`]*`", "then press Retry"),
    (r"`afterword job retry[^`]*`", "the button Retry"),
    (r"`afterword job list[^`]*` shows them", "the page Jobs shows them"),
    (r"see it with `afterword publish[^`]*--dry-run`", "see it in the preview of the page Publish"),
    (r"`afterword render [^`]*` lists", "the preview of the page Publish lists"),
    (r"`afterword render [^`]*` prints", "the preview of the page Publish shows"),
    (r"store it first \(`afterword (document|issue) put[^`]*`\)", r"publish it here, or store the \1 first"),
    (r"with `--allow-private CIDR`", "in Allow private addresses, under Advanced"),
    (r"(allow|permit) it with `--allow-http`", r"\1 plain http (under Advanced)"),
    (r"name one \(`--to NAME`, `destination`\)", "choose one"),
    (r"`--allow-http`, `allow_http` in the API, the tick", "the tick"),
    (r"see `afterword audit verify`", "see Verify, on the page Audit"),
    (r"\bcontent_md\b", "document"),
)
_RULES = tuple((re.compile(pattern, re.IGNORECASE), words) for pattern, words in _INSTEAD)


def worded(text: str | None) -> str:
    """The text with the buttons and pages of the console for the commands that it names, as far as it has them."""
    said = text or ""
    for pattern, words in _RULES:
        said = pattern.sub(partial(_fitting, words), said)
    return said


def _fitting(words: str, found: re.Match[str]) -> str:
    """In the place of what was found: with a capital where that had one, or began a sentence with a command."""
    new, old, before = found.expand(words), found.group(), found.string[: found.start()].rstrip()
    begins = old[0].isupper() or (old[0] == "`" and (not before or before[-1] in ".!?"))
    return new[0].upper() + new[1:] if begins else new
