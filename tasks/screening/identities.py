"""Numbers that stand for a person: payment cards, accounts, social security and national identity numbers."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module

from stdnum import iban, luhn

from tasks.screening.before import Before
from tasks.screening.finding import Finding
from tasks.screening.view import compiled

_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|"
    r"6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:5018|5019|5020|5038|5893|6304|6759|676[1-3])\d{8,15}|220[0-4]\d{12}"
)
_GROUPED = re.compile(r"\d{4}([ .-])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{3})?(?!\d)|\d{4}([ .-])\d{6}\2\d{4,5}(?!\d)")
_PLAIN_CARD = re.compile(r"\d{12,19}(?![\d]|[.-]\d)")
_DASHED_SSN = re.compile(r"\d{3}-\d{2}-\d{4}(?![\d-])")
_ANY_SSN = re.compile(r"\d{3}[ .-]?\d{2}[ .-]?\d{4}(?!\d)")
_CARD_CONTEXT = re.compile(
    r"\b(?:card|cards|visa|mastercard|amex|american express|credit|debit|diners|discover|jcb|maestro|pan|cc|payment|kreditkarte|carte|tarjeta|billing)\b",
    re.IGNORECASE,
)
_NO_CARD = re.compile(
    r"(?:\b(?:order|orders|ticket|invoice|tracking|shipment|transaction|request|trace|span|session|build|run|job|epoch|timestamp|ts|commit|serial|"
    r"offset|lsn|snowflake|message|event|correlation|isbn|imei|ref|reference|id|ids|version|nanos|micros|millis|bytes|count)s?(?:[ _-]?(?:number|no|nr|id))?\W{0,4}|"
    r"[#$\w]/|/|[A-Za-z0-9_.-]=)$"
)
_SSN_CONTEXT = re.compile(
    r"\b(?:ssn|ssns|social[ -]security|social[ -]sec|sozialversicherung|tax[ -]?id|taxpayer)\b", re.IGNORECASE
)
_IN_URL = re.compile(r"(?:://|www\.)[^\s?]*$")
_NUMBER = re.compile(rb"[0-9](?:[ ./-]?[0-9A-Za-z]){4}")  # the shortest
_NO_DIGIT = re.compile(r"\D")
_WITHOUT_GAPS = str.maketrans("", "", " -")
_AS_DIGITS = {ord("A") + number: str(10 + number) for number in range(26)}


class Cards:
    """Payment card numbers in one text, asked for from its start to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._named = Before(text, _CARD_CONTEXT)

    def find(self, at: int, value: str) -> int:
        """The length of the number at `at`, which `value` begins with: by issuer (ISO/IEC 7812), length and check digit, never
        in a URL's path; 0 where there is none.
        """
        grouped = _GROUPED.match(value)
        shown = grouped or _PLAIN_CARD.match(value)
        if shown is None:
            return 0
        digits = _NO_DIGIT.sub("", shown.group())
        named = self._named.end(at) is not None
        if not (named or _CARD.fullmatch(digits)) or len(set(digits)) == 1 or not luhn.is_valid(digits):
            return 0
        if _IN_URL.search(self._text, max(at - 60, 0), at):
            return 0
        if not named and not grouped and _NO_CARD.search(self._text, max(at - 30, 0), at):
            return 0
        return shown.end()


class SocialNumbers:
    """US social security numbers in one text, asked for from its start to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._named = Before(text, _SSN_CONTEXT)

    def find(self, at: int, value: str) -> int:
        """The length of the number at `at`, which `value` begins with: one that can have been issued, with dashes or named as
        one; 0 where there is none.
        """
        found = _DASHED_SSN.match(value) or _ANY_SSN.match(value)
        if not found or self._text.endswith(("-", "+", ".", "/"), 0, at):
            return 0
        if found.re is _ANY_SSN and self._named.end(at) is None:
            return 0
        digits = _NO_DIGIT.sub("", found.group())
        area, group, serial = digits[:3], digits[3:5], digits[5:]
        issued = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
        return found.end() if issued else 0


def iban_length(value: str) -> int:
    """The length of the account number that `value` begins with (ISO 13616), 0 where it doesn't."""
    for end in range(len(value), 14, -1):
        if (
            value[end - 1] not in " -"
            and (end == len(value) or value[end] in " -")
            and _divides(value[:end])
            and iban.is_valid(value[:end], check_country=False)
        ):
            return end
    return 0


def _divides(value: str) -> bool:
    """Whether the check digits (ISO 7064, MOD 97-10) are right: what the library finds out as well, later."""
    number = value.translate(_WITHOUT_GAPS)
    return int((number[4:] + number[:4]).translate(_AS_DIGITS)) % 97 == 1


# Identity numbers of persons that python-stdnum can check: those of the largest countries, and of Europe.
_MODULES = (
    "cn.ric in_.aadhaar in_.pan in_.vid in_.epic us.ssn us.itin us.atin us.ptin id.nik id.npwp pk.cnic br.cpf "
    "ru.inn mx.curp mx.rfc jp.in_ eg.tn vn.mst tr.tckimlik tr.vkn de.idnr de.stnr th.pin th.tin gb.nhs gb.utr "
    "fr.nir fr.nif it.codicefiscale za.idnr za.tin kr.rrn es.dni es.nie es.nif co.nit ar.dni ar.cuit ua.rntrc "
    "pl.pesel pl.nip ca.sin nl.bsn be.nn ch.ssn at.vnr se.personnummer no.fodselsnummer dk.cpr fi.hetu pt.nif "
    "cz.rc ro.cnp au.tfn my.nric cl.rut pe.cui il.idnr hr.oib bg.egn ee.ik lt.asmens ie.pps gr.amka si.emso "
    "hu.anum sk.rc mk.edb al.nipt is_.kennitala tw.ubn ke.pin gh.tin dz.nif ma.ice tn.mf uy.rut ve.rif ec.ci"
)
_NINO = re.compile(r"(?:[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z])(?<!BG|GB|KN|NK|NT|TN|ZZ)\d{6}[A-D]")
_CONTEXT = (
    r"(?i)(?:\b(?:aadhaar|aadhar|uidai|voter|epic|pan(?: card)?|permanent account|cpf|curp|rfc|nik|ktp|npwp|cnic|nicop|inn|\xff{3,}|snils|my ?number|individual number|"
    r"tckn|t\.?c\.? ?kimlik|kimlik|vkn|steuer-?(?:id|nummer|identifikationsnummer)|steuerliche|idnr|idnummer|ausweis\w*|personalausweis|nhs|nino|national insurance|utr|"
    r"insee|s[\xe9e]cu|assurance sociale|ni (?:number|no)|nir|num[\xe9e]ro de s[\xe9e]curit[\xe9e]|s[\xe9e]curit[\xe9e] sociale|spi|num[\xe9e]ro fiscal|codice fiscale|d\.?n\.?i|n\.?i\.?[ef]|rrn|resident registration|pesel|nip|cuit|cuil|c[\xe9e]dula|"
    r"nit|sin|social insurance|bsn|burgerservicenummer|rijksregister\w*|personnummer|f\xf8dselsnummer|fodselsnummer|cpr|hetu|henkil\xf6tunnus|cnp|tfn|tax file|nric|rut|mst|"
    r"avs|oib|egn|jmbg|emso|amka|ppsn?|kennitala|isikukood|asmens kodas|rodn[e\xe9] [c\xff][i\xed]slo|"
    r"cccd|cmnd|rntrc|itin|atin|ptin|tin|ssn|ahv|sozialversicherungs\w*|tax ?(?:payer)?(?:[ -]?(?:id|identification|number|no))|"
    r"(?:national|identity|identification|citizen|personal|resident|id)[ -]?(?:identity|identification|id|insurance|tax|code|card|registration)?[ -]?(?:id|card|number|no|nr|code)\b|"
    r"national[ -]id\w*|identity|passport|id[ -]?(?:card|number|no)|citizenship|ric|personal id|government id|"
    r"(?:african|american|argentine|brazilian|british|canadian|chinese|colombian|dutch|egyptian|french|german|indian|indonesian|italian|japanese|korean|mexican|"
    r"pakistani|polish|russian|spanish|thai|turkish|ukrainian|vietnamese|sa|za) id)\b|[\xff]{2,}|m\xe3 so thue)"
)
_REACH = 100  # characters behind a mention that are looked at for a number
_WITHIN = 40  # characters between what names a number and the number
# A date, or a section's number such as `4.2.2.13`.
_NO_IDENTITY = re.compile(r"^(?:19|20)\d\d-\d\d-\d\d(?:\D|$)|\.\d\.")
_CANDIDATE = r"\b(?:[A-Z]{1,6}[ ./-]?)?[0-9](?:[ ./-]?[0-9A-Za-z]){4,22}\b"


@lru_cache(maxsize=1)
def _validators() -> tuple[Callable[[str], bool], ...]:
    found = [import_module(f"stdnum.{name}").is_valid for name in _MODULES.split()]
    return (*found, lambda value: bool(_NINO.fullmatch(value.replace(" ", "").upper())))


@lru_cache(maxsize=4096)
def is_identity(value: str) -> bool:
    """True for a number whose check digits fit those of some country's identity or tax numbers of persons."""
    return any(is_valid(value) for is_valid in _validators())


_MENTIONED = (
    r"(?i)(?:\bid\b|identi|national|aadha|voter|epic|\bpan\b|cpf|curp|rfc|\bnik\b|ktp|npwp|cnic|\binn\b|number|kimlik|tckn|vkn|steuer|idn|ausweis|nhs|nino|insur|assurance|\bni n|s[\xe9e]cu|m\xe3 s|utr|insee|"
    r"\bnir\b|s[\xe9e]curit|fiscal|dni|\bd\.n\.i|\bn\.?i\.?[ef]\b|rrn|resident|pesel|\bnip\b|cui[tl]|dula|\bnit\b|\bsin\b|bsn|burger|rijks|nummer|cpr|hetu|cnp|tfn|tax|nric|\brut\b|\bmst\b|"
    r"cccd|cmnd|rntrc|itin|\btin\b|passport|citizen|tunnus|\bahv|\bavs\b|sozialvers|snils|nicop|uidai|\boib\b|\begn\b|jmbg|emso|amka|\bppsn?\b|kennitala|isikukood|kodas|rodn|\xff{2,})"
)
# Words that mean other things as well, a store of files and "compare", with the one form that they name.
NAMED_FORM = (
    r"(?i)\bnas\b[^0-9\n]{1,40}([0-9]{3}[ -][0-9]{3}[ -][0-9]{3})\b|"
    r"\bc\.?f\b[.:][^0-9\n]{0,40}\b([A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z])\b"
)
# So many are checked in one text; what is named as one behind that is taken for one: no text takes long.
CHECKED = 400


def in_named_forms(raw: bytes, text: str) -> Iterator[Finding]:
    """National identity numbers by a word that means other things as well, and their form."""
    for found in compiled(NAMED_FORM).finditer(raw):
        start, end = found.span(found.lastindex)
        if is_identity(text[start:end]):
            yield Finding("NationalId", start, end, "high", "personal")


def in_context(raw: bytes, text: str) -> Iterator[Finding]:
    """National identity numbers that are named as such within the forty characters before them."""
    last = number = at = -1
    left = CHECKED
    names = _Names(raw)
    while mention := compiled(_MENTIONED).search(raw, at):
        at = behind = mention.end()
        if behind <= last:
            continue
        line = raw.find(b"\n", behind, behind + _REACH)
        stop = line if line >= 0 else min(behind + _REACH, len(raw))
        if number < behind:
            if (following := _NUMBER.search(raw, behind)) is None:
                return
            number = following.start()
        if number >= stop:
            at = max(raw.rfind(b" ", behind, max(number - 2 * _REACH, behind)) + 1, behind)
            continue
        for found in compiled(_CANDIDATE).finditer(raw, max(behind, last), stop):
            start, end = found.span()
            if left > 0 and not names.before(start):
                continue
            left -= 1
            length = _identity_length(text[start:end], listed=left < 0)
            if length:
                last = start + length
                yield Finding("NationalId", start, last, "high", "personal")


class _Names:
    """Where a text names such numbers, found in one pass once somebody asks."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._ends: list[int] | None = None

    def before(self, at: int) -> bool:
        """Whether a number at this place is named, in its line."""
        if self._ends is None:
            self._ends = [found.end() for found in compiled(_CONTEXT).finditer(self._raw)]
        place = bisect_right(self._ends, at)
        if place == 0 or at - (end := self._ends[place - 1]) > _WITHIN:
            return False
        return self._raw.find(b"\n", end, at) < 0


def _identity_length(value: str, *, listed: bool) -> int:
    if _NO_IDENTITY.search(value) or sum(map(str.isdigit, value)) < 4:
        return 0
    for end in range(len(value), 7, -1):
        if (end == len(value) or value[end] in " /") and (listed or is_identity(value[:end])):
            return end
    return 0
