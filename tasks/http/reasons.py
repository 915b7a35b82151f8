"""All the reasons that an error body gives, wherever in it they stand. Pure."""

from __future__ import annotations

DEEPEST = 12
MOST = 20  # reasons, and rows of one list
PLAIN = ("message", "Message", "title", "detail", "translation", "errorMessage", "error_description", "reason")


def reasons_of(value: object) -> list[str]:
    """The human-readable strings of a vendor's error, each once, the outermost first.

    What a reason is about is named before it where the body says so: a field of Azure DevOps (`RuleValidationErrors[]`) or
    of Jira (`errors{}`). Atlassian's v1 nests some as `data.errors[].message.key`.
    """
    return list(dict.fromkeys(_reasons(value, "", 0)))[:MOST]


def _reasons(value: object, name: str, depth: int) -> list[str]:
    if depth > DEEPEST:
        return []
    if isinstance(value, list):
        return [
            reason
            for item in value[:MOST]
            for reason in (
                [item] if isinstance(item, str) and _holds_words(name) else _reasons(item, f"{name}[]", depth + 1)
            )
        ]
    if not isinstance(value, dict):
        return []
    about = value.get("fieldReferenceName")
    found = [text for key in PLAIN if (text := _words(value.get(key)))]
    if isinstance(about, str) and about:
        found = [text if about in text else f"{about}: {text}" for text in found]
    if not found and name == "message" and (key := _words(value.get("key"))):
        found = [key]
    if name == "errors":
        found += [f"{key}: {text}" for key, text in value.items() if key not in PLAIN and _words(text)]
    found += [text for key, text in value.items() if key == "error" and _words(text)]
    return found + [
        reason
        for key, inner in value.items()
        if isinstance(inner, dict | list)
        for reason in _reasons(inner, str(key), depth + 1)
    ]


def _words(value: object) -> str:
    return value if isinstance(value, str) and value.strip() else ""


def _holds_words(name: str) -> bool:
    """Whether a list of that name holds reasons as bare strings."""
    return name in ("errorMessages", "errors", "messages")
