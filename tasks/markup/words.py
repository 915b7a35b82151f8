"""Names that targets know: code languages and panels of Confluence's macros."""

from __future__ import annotations

import re

_LANGUAGE = re.compile(r"[\s{}]*\.?([^\s{},:=]+)(?::([^\s{}]+))?(?![^\s]*=)")


def language_of(info: str) -> tuple[str, str]:
    """The language that stands behind a fence, in small letters, and the file named with it: `yaml:a.yml`, `{.bash #id}`."""
    found = _LANGUAGE.match(info)
    return (found[1].lower(), found[2] or "") if found else ("", "")


# What a fence says → what Cloud and Data Center both know.
LANGUAGES = {
    "bash": "bash",
    "sh": "bash",
    "shell": "bash",
    "zsh": "bash",
    "console": "bash",
    "c": "c",
    "cpp": "cpp",
    "c++": "cpp",
    "cs": "c#",
    "csharp": "c#",
    "c#": "c#",
    "css": "css",
    "diff": "diff",
    "patch": "diff",
    "erlang": "erl",
    "erl": "erl",
    "go": "go",
    "golang": "go",
    "groovy": "groovy",
    "java": "java",
    "js": "js",
    "javascript": "js",
    "json": "json",
    "ts": "typescript",
    "typescript": "typescript",
    "perl": "perl",
    "pl": "perl",
    "php": "php",
    "text": "text",
    "txt": "text",
    "plain": "text",
    "plaintext": "text",
    "log": "text",
    "powershell": "powershell",
    "ps1": "powershell",
    "py": "py",
    "python": "py",
    "python3": "py",
    "rb": "ruby",
    "ruby": "ruby",
    "rust": "rust",
    "rs": "rust",
    "scala": "scala",
    "sql": "sql",
    "xml": "xml",
    "html": "xml",
    "yaml": "yaml",
    "yml": "yaml",
    "ini": "ini",
    "toml": "ini",
}
# The panel that an alert or admonition becomes.
PANELS = {
    "note": "info",
    "info": "info",
    "abstract": "info",
    "summary": "info",
    "example": "info",
    "question": "info",
    "quote": "info",
    "tip": "tip",
    "hint": "tip",
    "success": "tip",
    "important": "note",
    "attention": "note",
    "warning": "warning",
    "caution": "warning",
    "danger": "warning",
    "error": "warning",
    "failure": "warning",
    "bug": "warning",
}
