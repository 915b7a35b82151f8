"""What becomes of a finding: by its type, else by its category, and by destination."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, Self

import re2
from pydantic import Field, ValidationError, field_validator, model_validator

from tasks.model import DestinationName, Frozen, explain
from tasks.screening.finding import TYPES, Category, Finding, ScreeningFailed, merged

Action = Literal["allow", "redact", "hold", "block"]
DEFAULTS: Mapping[Category, Action] = {"secret": "block", "personal": "redact", "infrastructure": "allow"}
STRICTNESS: Mapping[str, int] = {"allow": 0, "pass": 0, "redact": 1, "hold": 2, "block": 3}  # of actions and verdicts
SHORTEST_NAME = 2  # letters
_NO_LETTER = re.compile(r"[\W_\d]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OWN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_WITHOUT_BLANKS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
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
    max_chars: int = Field(default=6_000_000, ge=1)

    @field_validator("categories")
    @classmethod
    def _each_category(cls, value: Mapping[Category, Action]) -> Mapping[Category, Action]:
        return {**DEFAULTS, **value}

    @field_validator("allow")
    @classmethod
    def _values(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_checked_value, values))

    @field_validator("names")
    @classmethod
    def _people(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if len(_NO_LETTER.sub("", name)) < SHORTEST_NAME:
                raise ValueError(f"{name[:60]!r} is no name: one has {SHORTEST_NAME} letters or more")
        return names

    @field_validator("patterns")
    @classmethod
    def _own(cls, patterns: Mapping[str, str]) -> Mapping[str, str]:
        for name, pattern in patterns.items():
            if name in TYPES or not _OWN.fullmatch(name):
                raise ValueError(
                    f"{name[:60]!r} can't be a type of your own: use letters and digits, and no type that there is"
                )
            if pattern_in(pattern).search(""):
                raise ValueError(f"{name}: {pattern[:60]!r} fits an empty text, too")
        return patterns

    @model_validator(mode="after")
    def _known_types(self) -> Self:
        known = {*TYPES, *self.patterns}
        for place, types in (
            ("types", self.types),
            *((f"destinations.{name}.types", special.types) for name, special in self.destinations.items()),
        ):
            for one in types:
                if one not in known:
                    near = get_close_matches(one, known, 1)
                    hint = f" (did you mean {near[0]}?)" if near else ""
                    raise ValueError(
                        f"{place}: there is no type {one[:60]!r}{hint}; there are {', '.join(sorted(known))}"
                    )
        return self

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
        raise ValueError(explain(error).removeprefix("value: ")) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _checked_value(value: str) -> str:
    """One value of the allow-list, a digest in small letters; raises `ValueError` for what allows nothing."""
    if value.startswith("re:"):
        if not value[3:]:
            raise ValueError("'re:' has no pattern behind it")
        pattern_in(value[3:])
    elif value.lower().startswith("sha256:"):
        value = value.lower()
        if not _DIGEST.fullmatch(value):
            raise ValueError(f"{value[:80]!r} is no digest: 64 hexadecimal digits follow sha256:")
    elif not value.strip():
        raise ValueError("an empty value allows nothing")
    return value


@lru_cache(maxsize=256)
def pattern_in(pattern: str) -> Any:
    """A pattern of the operator's; raises `ValueError` for what is none."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
        raise ValueError(f"{pattern[:60]!r} is no pattern (RE2): {said}") from None


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
            pattern_in(pattern[3:]).fullmatch(value.encode("utf-8", "replace").decode())
            for pattern in policy.allow
            if pattern.startswith("re:")
        )
    )


@lru_cache(maxsize=16)
def _people(names: tuple[str, ...]) -> Any:
    """Any of the names as words, in whatever case and however far apart, in UTF-8; where a script has no blanks, anywhere."""
    options = re2.Options()
    options.max_mem = 64 << 20
    options.log_errors = False  # they quote names
    longest_first = sorted(names, key=len, reverse=True)
    apart, within = (
        "|".join(_as_pattern(name) for name in longest_first if bool(_WITHOUT_BLANKS.search(name)) is unspaced)
        for unspaced in (False, True)
    )
    forms = [rf"(?:^|[^\pL\pN_])({apart})(?:$|[^\pL\pN_])"] * bool(apart) + [f"({within})"] * bool(within)
    return re2.compile(f"(?i){'|'.join(forms)}".encode(), options)


def _as_pattern(name: str) -> str:
    return r"[\s\x{a0}]+".join(map(re.escape, name.split()))


def _named(text: str, names: tuple[str, ...]) -> Iterator[Finding]:
    raw, at, place = text.encode("utf-8", "replace"), 0, 0
    while found := _people(names).search(raw, at):
        start, end = found.span(found.lastindex)
        place += len(raw[at:start].decode())
        length = len(raw[start:end].decode())
        yield Finding("Name", place, place + length, "medium", "personal")
        at, place = end, place + length


def _listed(text: str, policy: Policy) -> list[Finding]:
    """People whom the operator listed, as whole words in any case, and what his own patterns find."""
    found = [*_named(text, policy.names)] if policy.names else []
    clean = text.encode("utf-8", "replace").decode() if policy.patterns else ""
    for name, pattern in policy.patterns.items():
        found += [
            Finding(name, m.start(), m.end(), "medium", "personal")
            for m in pattern_in(pattern).finditer(clean)
            if m.end() > m.start()
        ]
    return found
