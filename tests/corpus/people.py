"""Personal data as people write it, made by rule: valid by check digit or plan, and of nobody."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from importlib import import_module

import phonenumbers
from stdnum import luhn
from stdnum.iso7064 import mod_97_10

# Country and module of python-stdnum, shape of the number (d digit, A capital letter) and how it is called there.
IDENTITIES = {
    "in_.aadhaar": ("dddddddddddd", "Aadhaar"),
    "in_.pan": ("AAAPAddddA", "PAN"),
    "us.itin": ("9dd-7d-dddd", "ITIN"),
    "pk.cnic": ("ddddd-ddddddd-d", "CNIC"),
    "br.cpf": ("ddd.ddd.ddd-dd", "CPF"),
    "ru.inn": ("dddddddddddd", "INN"),
    "jp.in_": ("dddddddddddd", "My Number"),
    "eg.tn": ("ddddddddd", "tax ID"),
    "vn.mst": ("dddddddddd", "MST"),
    "tr.tckimlik": ("ddddddddddd", "TC Kimlik No"),
    "de.idnr": ("ddddddddddd", "Steuer-ID"),
    "th.pin": ("ddddddddddddd", "national ID"),
    "gb.nhs": ("ddd ddd dddd", "NHS number"),
    "fr.nir": ("1 80 05 75 ddd ddd dd", "numéro de sécurité sociale"),
    "za.idnr": ("800101ddddddd", "ID number"),
    "kr.rrn": ("800101-1dddddd", "RRN"),
    "es.dni": ("ddddddddA", "DNI"),
    "es.nie": ("XdddddddA", "NIE"),
    "ar.dni": ("dd.ddd.ddd", "DNI"),
    "ar.cuit": ("20-dddddddd-d", "CUIT"),
    "co.nit": ("ddddddddd-d", "NIT"),
    "pl.pesel": ("800101ddddd", "PESEL"),
    "ca.sin": ("ddd-ddd-ddd", "SIN"),
}


class People:
    """Numbers as chance makes them, the same ones in each run."""

    def __init__(self, seed: int = 11) -> None:
        self._random = random.Random(seed)

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def digits(self, count: int) -> str:
        return "".join(self._random.choices("0123456789", k=count))

    def shaped(self, shape: str, fits: Callable[[str], bool]) -> str:
        for _ in range(60_000):
            made = "".join(
                self.digits(1) if c == "d" else self._random.choice("ABCDEFGHJKLMNPQRSTVWXYZ") if c == "A" else c
                for c in shape
            )
            if fits(made):
                return made
        raise AssertionError(f"no number of the shape {shape} fits")

    def card(self, prefix: str, length: int) -> str:
        body = prefix + self.digits(length - len(prefix) - 1)
        return body + luhn.calc_check_digit(body)

    def iban(self, country: str, length: int) -> str:
        bban = self.digits(length - 4)
        return country + mod_97_10.calc_check_digits(bban + country) + bban

    def phone(self, region: str) -> tuple[str, str]:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        for _ in range(500):
            national = str(example.national_number)
            number = phonenumbers.PhoneNumber(example.country_code, int(national[:-5] + self.digits(5)))
            if phonenumbers.is_valid_number(number):
                break
        form = phonenumbers.PhoneNumberFormat
        return phonenumbers.format_number(number, form.INTERNATIONAL), phonenumbers.format_number(number, form.NATIONAL)


# Issuer's prefix and length of its cards.
CARDS = (
    ("4", 16),
    ("4", 13),
    ("51", 16),
    ("2221", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("3530", 16),
    ("36", 14),
    ("62", 16),
)
# Country and length of accounts whose numbers hold digits only and have no check of their own.
ACCOUNTS = (("DE", 22), ("ES", 24), ("PL", 28), ("NO", 15), ("AT", 20), ("BE", 16))
REGIONS = "US GB DE FR IN BR IT ES CN JP RU MX NL AU IL PL TR ZA KR ID CH SE"
# What can't be drawn from a shape: made by hand, with a valid check digit.
NUMBERS = (
    ("resident identity card", "11010519491231002X"),
    ("NIK", "3171011708450001"),
    ("RFC", "GODE561231GR8"),
    ("codice fiscale", "RCCMNL83S18D969H"),
    ("CURP", "BOXW310820HNERXN09"),
    ("national ID number", "3171011708450001"),
    ("身份证号：", "11010519491231002X"),
    ("nomor KTP", "3171011708450001"),
    ("su CURP es", "BOXW310820HNERXN09"),
    ("C.F.", "RCCMNL83S18D969H"),
    ("NI number", "AB123456C"),
    ("Chinese ID", "11010519491231002X"),
    ("mã số thuế", "0100109106"),
    ("NAS", "046 454 286"),
    ("mon NAS est", "046-454-286"),
    ("n° de sécu :", "180057501234564"),
    ("D.N.I.:", "00000000T"),
    ("SA ID:", "8001015009087"),
    ("CF:", "RCCMNL83S18D969H"),
)
CALLS = (
    ("Her mobile is 32 12 34 56.", "32 12 34 56"),
    ("phone=+442079460018", "+442079460018"),
    ("Ring 20 12 34 56 tonight", "20 12 34 56"),
)


def personal() -> Iterator[tuple[str, str, str]]:
    """A type, a text and what in it is personal."""
    people = People()
    for _ in range(3):
        yield from _cards(people)
        yield from _accounts(people)
        yield from _phones(people)
        yield from _addresses(people)
        yield from _identities(people)
    for called, value in NUMBERS:
        yield "NationalId", f"{called} {value}", value
    for text, number in CALLS:
        yield "Phone", text, number


def _cards(people: People) -> Iterator[tuple[str, str, str]]:
    for prefix, length in CARDS:
        card = people.card(prefix, length)
        yield "CreditCard", f"The customer used {card} twice.", card
        if length == 16:
            spaced = _in_fours(card)
            yield "CreditCard", f"paid with {spaced}.", spaced
            yield "CreditCard", f"paid with {spaced.replace(' ', '-')}, refunded", spaced.replace(" ", "-")


def _accounts(people: People) -> Iterator[tuple[str, str, str]]:
    for country, length in ACCOUNTS:
        iban = people.iban(country, length)
        yield "IBAN", f"refund to {iban}", iban
        yield "IBAN", f"IBAN {_in_fours(iban)}, thanks", _in_fours(iban)


def _in_fours(number: str) -> str:
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def _phones(people: People) -> Iterator[tuple[str, str, str]]:
    for region in REGIONS.split():
        abroad, home = people.phone(region)
        yield "Phone", f"The on-call engineer is at {abroad}, ask there.", abroad
        yield "Phone", f"Phone: {home}", home


def _addresses(people: People) -> Iterator[tuple[str, str, str]]:
    for first in ("ada", "grace.hopper", "j_doe", "o'neil", "x+tag"):
        yield "Email", f"{first}@corp-mail.com wrote", f"{first}@corp-mail.com"
    for spelled in (
        "ada.l [at] corp-mail [dot] com",
        "ada(at)corp-mail.com",
        "ada.l at corp-mail dot com",
        "ada@corp-mail (dot) com",
        "ada\\u0040corp-mail.com",
        "ada\uff20corp-mail.com",
    ):
        yield "Email", f"{spelled} wrote", spelled
    v4 = ".".join(str(people.between(low, high)) for low, high in ((11, 99), (1, 254), (1, 254), (1, 254)))
    yield "IPv4", f"from {v4} at noon", v4
    v6 = "2a01:" + ":".join(f"{people.between(4096, 65535):x}" for _ in range(7))
    yield "IPv6", f"from {v6}", v6
    mac = ":".join(f"{people.between(0, 255):02X}" for _ in range(6))
    for form in (mac, mac.replace(":", "-"), mac.lower()):
        yield "MAC", f"station {form} roamed", form


def _identities(people: People) -> Iterator[tuple[str, str, str]]:
    ssn = f"{people.between(100, 665)}-{people.between(10, 99)}-{people.between(1000, 9999)}"
    yield "SSN", f"SSN {ssn}", ssn
    yield "SSN", f"social security number: {ssn.replace('-', '')}", ssn.replace("-", "")
    yield "NationalId", "NINO AB123456C", "AB123456C"
    for module, (shape, called) in IDENTITIES.items():
        made = people.shaped(shape, import_module(f"stdnum.{module}").is_valid)
        yield "NationalId", f"The form had {called} {made} in it.", made
        yield "NationalId", f"{called}: {made}", made


HARMLESS = [
    "The NAS has 12345678 files left",
    "See c.f. incident 12345678 for more",
    "order number 4556737586899855",
    "web.archive.org/web/20250314111052",
    "https://corp-host.com/orders/4556737586899855/items",
    "epoch 1712345678901",
    "timestamp 20250314111052",
    "2025-03-14 11:10:52 and 14.03.2025",
    "build 20250314.1",
    "trace 4bf92f3577b34da6",
    "version 10.15.7.2",
    "release 1.2.3.4",
    "ISBN 978-3-16-148410-0",
    "port 8080, pid 123456789",
    "took 1234567890 ns",
    "bytes=1099511627776",
    "ticket 415-555-2671",
    "12:34:56:78",
    "std::vector",
    "bob@example.com and noreply@corp-host.com",
    "pip install react@18.2.0",
    "127.0.0.1, ::1, 0.0.0.0, 192.0.2.7",
    "RFC 7231 and PR 123456",
    "id 7 of 12",
    "the request id 123456789 was lost",
    "number of requests: 1234567",
    "AS 64512, VLAN 1234, rack 12-34-56",
    "0.123456789 and 3.14159265358979",
    "1 000 000 000 requests",
    "sha 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "10/10/10 and 1/2/2024",
    "99.999 % of 12 345 678 calls",
    "upgraded V8 to 11.8.172.15",
    "rolled the proxy back to 1.2.3.4",
    "pycurl<7.45.4,>=7.43.0.5",
    "<Buffer 01 02 03 04 05 06 07 08>",
    "a0 8b 28 3f 01 00 00 00 50 32",
    "RFC 7540 8.1.2.4 and section 4.2.2.13",
    "joined 224.0.0.114",
    "meet at noon dot 5 rooms",
    "we looked at google dot com",
    "foo@2x.png and bar@3x.png",
    "called f (at) line 12",
    "range[at] corp.py",
]
