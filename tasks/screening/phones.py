"""Telephone numbers: international ones anywhere, national ones by their form or by what stands before them."""

from __future__ import annotations

import re

import phonenumbers

from tasks.screening.before import Before

_WITHIN = 40  # characters between what names a number and the number
# Checking a number against every plan takes some 50 µs. A text with more than this many is one long list of them: the
# rest is taken for what it looks like, so that no text takes longer than a second or two.
CHECKED = 2500
_CONTEXT = re.compile(
    r"\b(?:phone|tel|telephone|tele|mobile|mob|cell|cellphone|call|calls|called|calling|fax|whatsapp|sms|text|contact|dial|reach|hotline|ring|pager|"
    r"handy|telefon|tlf|t[\xe9e]l[\xe9e]phone|m[\xf3o]vil|celular|telefone|landline|extension|number|numbers|ph|mob\.|on-call)\b",
    re.IGNORECASE,
)
_OTHER_NUMBER = re.compile(
    r"\b(?:order|ticket|invoice|case|serial|tracking|account|acct|build|run|job|request|id|ids|commit|version|part|model|incident|issue|bug|pr|card|routing|"
    r"epoch|timestamp|port|pid)s?(?: (?:number|no|id))?",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ]\d|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d\d")
_AMERICAN = re.compile(r"(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}|1[ .-]\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}")
_NATIONAL = re.compile(r"0[1-9](?:[ .]\d\d){4}(?![ .]?[0-9A-Fa-f])|\(?0\d{2,4}\)?[ -]\d{3,4}[ -]?\d{3,4}")
_DOUBLE_ZERO = re.compile(r"00[1-9]")
_NO_WORDS = re.compile(r"\W{0,4}")
_NO_DIGITS = re.compile(r"\D")
_GAP = re.compile(r"[ ()./-]+")
_BYTES = re.compile(r"(?:\b[0-9A-Fa-f]{2} |<Buffer )$")  # what stands before a byte in a dump
_ZERO = ("FR", "GB", "DE", "AU", "IT", "IN")
_REGIONS = (
    "US",
    "GB",
    "DE",
    "FR",
    "IN",
    "BR",
    "IT",
    "ES",
    "CN",
    "JP",
    "RU",
    "MX",
    "NL",
    "AU",
    "IL",
    "PL",
    "TR",
    "ZA",
    "KR",
    "ID",
    "CH",
    "SE",
    "PK",
    "NG",
    "BD",
    "PH",
    "VN",
    "EG",
    "TH",
    "AR",
    "BE",
    "AT",
    "UA",
    "SG",
    "IE",
    "PT",
    "NO",
    "DK",
    "FI",
)


class Phones:
    """Telephone numbers in one text, asked for from its start to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._named = Before(text, _CONTEXT)
        self._others = Before(text, _OTHER_NUMBER)
        self._left = CHECKED

    def is_named(self, at: int) -> bool:
        """Whether what stands before this place in its line says that a telephone number follows."""
        return self._named.in_line(at, _WITHIN)

    def find(self, at: int, value: str) -> int:
        """The length of the number at `at` that `value`, a run of digits and separators, begins with; 0 without one."""
        if self._text.endswith(("/", ".", "-") if value.startswith("+") else ("/", "=", ".", "-"), 0, at):
            return 0
        if _DATE.match(value) or self._is_other(at):
            return 0
        lead = value.lstrip("(")
        if lead.startswith("+") or _DOUBLE_ZERO.match(lead):
            skipped = len(value) - len(lead)
            plain = "+" + lead.lstrip("+")[0 if lead.startswith("+") else 2 :]
            found = self._longest(plain, (None,))
            return found + skipped + len(lead) - len(plain) if found else 0
        if (american := _AMERICAN.match(value)) and (found := self._longest(american.group(), ("US",))):
            return found
        if (
            (national := _NATIONAL.match(value))
            and not _BYTES.search(self._text, max(at - 8, 0), at)
            and len(_NO_DIGITS.sub("", national.group())) >= 10
            and (found := self._longest(national.group(), _ZERO))
        ):
            return found
        return self._longest(value, _REGIONS) if self.is_named(at) else 0

    def _is_other(self, at: int) -> bool:
        """Whether what stands right before the number says that it is another one, such as an order's."""
        end = self._others.end(at)
        return end is not None and _NO_WORDS.fullmatch(self._text, end, at) is not None

    def _longest(self, value: str, regions: tuple[str | None, ...]) -> int:
        """The length of the number with all its groups, or without those behind it that don't belong to it."""
        for end in sorted({len(value), *(gap.start() for gap in _GAP.finditer(value))}, reverse=True):
            digits = len(_NO_DIGITS.sub("", value[:end]))
            if digits < 7:
                return 0
            if digits <= 16 and self._valid(value[:end], digits, regions):
                return end
        return 0

    def _valid(self, value: str, digits: int, regions: tuple[str | None, ...]) -> bool:
        for region in regions:
            self._left -= 1
            if self._left < 0:
                return 9 <= digits <= 13
            try:
                number = phonenumbers.parse(value, region)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(number):
                return True
        return False
