"""What becomes of a finding: by its type, else by its category, and by destination."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Self

import re2
from pydantic import Field, ValidationError, field_validator

from tasks.model import DestinationName, Frozen, explain
from tasks.screening.finding import Category, Finding, ScreeningFailed, merged

Action = Literal["allow", "redact", "hold", "block"]
DEFAULTS: Mapping[Category, Action] = {"secret": "block", "personal": "redact", "infrastructure": "allow"}
STRICTNESS: Mapping[str, int] = {"allow": 0, "pass": 0, "redact": 1, "hold": 2, "block": 3}  # of actions and verdicts
_BETWEEN = "\n\n\n\n"  # what no finding crosses


class Exceptions(Frozen):
    """What one destination does otherwise than the rest."""

    categories: Mapping[Category, Action] = Field(default_factory=dict)
    types: Mapping[str, Action] = Field(default_factory=dict)
    unreadable_attachments: Literal["hold", "allow"] | None = None


class Policy(Frozen):
    """What is done with each finding: by its type, else by its category.

    `allow` lists values that are no finding: as they are, as `sha256:` and their digest in hexadecimal, or as `re:` and
    a pattern (RE2) for the whole value. `names` lists people, `patterns` types of personal data of one's own.
    """

    categories: Mapping[Category, Action] = Field(default_factory=lambda: dict(DEFAULTS))
    types: Mapping[str, Action] = Field(default_factory=dict)
    allow: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    patterns: Mapping[str, str] = Field(default_factory=dict)
    unreadable_attachments: Literal["hold", "allow"] = "hold"
    destinations: Mapping[DestinationName, Exceptions] = Field(default_factory=dict)
    max_chars: int = 6_000_000

    @field_validator("categories")
    @classmethod
    def _each_category(cls, value: Mapping[Category, Action]) -> Mapping[Category, Action]:
        return {**DEFAULTS, **value}

    @field_validator("allow", "patterns")
    @classmethod
    def _compilable(cls, value: Any) -> Any:
        patterns = value.values() if isinstance(value, Mapping) else [one[3:] for one in value if one.startswith("re:")]
        for pattern in patterns:
            try:
                re2.compile(pattern)
            except re2.error as error:
                raise ValueError(f"{pattern[:60]!r} is no pattern (RE2): {error}") from None
        return value

    def action(self, finding: Finding) -> Action:
        """What policy says about this finding."""
        return self.types.get(finding.type) or self.categories[finding.category]

    def of(self, destination: str) -> Self:
        """The policy for one destination."""
        if not (special := self.destinations.get(destination)):
            return self
        changed: dict[str, Any] = {
            "categories": {**self.categories, **special.categories},
            "types": {**self.types, **special.types},
            "unreadable_attachments": special.unreadable_attachments or self.unreadable_attachments,
        }
        return self.model_copy(update=changed)


def policy_in(toml: str) -> Policy:
    """The policy that a file states; raises `ValueError` saying which line or setting of it can't be used."""
    try:
        return Policy.model_validate(tomllib.loads(toml))
    except ValidationError as error:
        raise ValueError(explain(error)) from None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may leave: the strictest action that applies, the text with redactions, and every finding."""

    action: Literal["pass", "redact", "hold", "block"]
    text: str
    findings: tuple[Finding, ...] = ()


def screen(text: str, policy: Policy, *, released: bool = False) -> Verdict:
    """The verdict on one text.

    After a release what was held stays as written, and what is blocked goes out redacted. Raises `ScreeningFailed` for
    a text that is too long to screen, and when the scanner itself fails.
    """
    return screen_all({"": text}, policy, released=released)[""]


def screen_all(
    texts: Mapping[str, str],
    policy: Policy,
    *,
    released: bool = False,
    named: Collection[str] = (),
    fixed: Collection[str] = (),
) -> dict[str, Verdict]:
    """The verdicts on the texts of one job, by name, in one pass over all of them.

    Those in `named` and `fixed` may hold personal data; what is blocked in a `fixed` one is blocked after a release, too.
    """
    from tasks.screening.scanner import scan  # on use: who only reads a policy needs no finder

    for name, text in texts.items():
        if len(text) > policy.max_chars:
            said = f"{name or 'text'} has {len(text)} characters; {policy.max_chars} is the most that is screened"
            raise ScreeningFailed(f"The {said}.")
    whole = _BETWEEN.join(texts.values())
    try:
        found = merged([*scan(whole), *_listed(whole, policy)])
    except ScreeningFailed:
        raise
    except Exception as error:
        raise ScreeningFailed(f"The scanner failed ({type(error).__name__}).") from None
    verdicts, start, at = {}, 0, 0
    for name, text in texts.items():
        end, own = start + len(text), []
        while at < len(found) and found[at].start < end + len(_BETWEEN):
            one = found[at]
            if one.start < end:
                own.append(Finding(one.type, one.start - start, min(one.end, end) - start, one.severity, one.category))
            at += 1
        verdicts[name] = _verdict(
            text, own, policy, released=released and name not in fixed, named=name in named or name in fixed
        )
        start = end + len(_BETWEEN)
    return verdicts


def _verdict(text: str, found: list[Finding], policy: Policy, *, released: bool, named: bool) -> Verdict:
    if not found:
        return Verdict("pass", text)
    findings = [
        finding for finding in found if not (policy.allow and _allowed(text[finding.start : finding.end], policy))
    ]
    actions: list[tuple[Finding, Action]] = [
        (finding, "allow" if named and finding.category == "personal" else policy.action(finding))
        for finding in findings
    ]
    if released:
        eased: dict[str, Action] = {"hold": "allow", "block": "redact"}
        actions = [(finding, eased.get(action, action)) for finding, action in actions]
    strictest: Action = max((action for _, action in actions), key=STRICTNESS.__getitem__, default="allow")
    parts, position = [], 0
    for finding, action in actions:
        if action == "redact":
            start, end = _with_brackets(text, finding)
            parts += [text[position:start], f"[{finding.type}]"]
            position = end
    clean = "".join(parts) + text[position:]
    return Verdict("pass" if strictest == "allow" else strictest, clean, tuple(findings))


def _with_brackets(text: str, finding: Finding) -> tuple[int, int]:
    """Where a finding begins and ends, with the angle brackets around it that would have made it a link."""
    if text[finding.end : finding.end + 1] == ">":
        for opening in ("<", "<mailto:"):
            if text.endswith(opening, 0, finding.start):
                return finding.start - len(opening), finding.end + 1
    return finding.start, finding.end


def _allowed(value: str, policy: Policy) -> bool:
    digest = "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return (
        value in policy.allow
        or digest in policy.allow
        or any(
            re2.fullmatch(pattern[3:], value.encode("utf-8", "replace").decode())
            for pattern in policy.allow
            if pattern.startswith("re:")
        )
    )


@lru_cache(maxsize=16)
def _people(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        r"\b(?:" + "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) + r")\b", re.IGNORECASE
    )


def _listed(text: str, policy: Policy) -> list[Finding]:
    """People whom the operator listed, as whole words in any case, and what his own patterns find."""
    found = (
        [Finding("Name", m.start(), m.end(), "medium", "personal") for m in _people(policy.names).finditer(text)]
        if policy.names
        else []
    )
    clean = text.encode("utf-8", "replace").decode() if policy.patterns else ""
    for name, pattern in policy.patterns.items():
        found += [
            Finding(name, m.start(), m.end(), "medium", "personal")
            for m in re2.finditer(pattern, clean)
            if m.end() > m.start()
        ]
    return found
