"""A vendor's words are told without what was sent, in whatever form it is repeated, and otherwise as they were said."""

from __future__ import annotations

import base64
import codecs
import gzip
import html
import json
import os
import quopri
import sys
import time
import unicodedata
import zlib
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.http.echoes import (
    CONTENT_DROPPED,
    DROPPED,
    GROWS,
    LEFT_OUT,
    MARK,
    RUN,
    Content,
    Credential,
    Sent,
    _core,
    beside,
    credential_of,
    without_credential,
    without_echoes,
)
from tasks.http.encodings import forms
from tasks.http.message import Response

BODY = "The pool of connections was exhausted\nbecause a deploy raised the time-out to an hour."
PASSWORD = 'pl4nted-"not&a<secret>/' + "+Zx81"
ACCOUNT = "svc-afterword@corp-mail.com"


def folded(text: str) -> str:
    return "\r\n ".join(text[at : at + 7] for at in range(0, len(text), 7))


FORMS = {
    "as it is": lambda s: s,
    "HTML": html.escape,
    "HTML, numbered": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "HTML, hexadecimal": lambda s: "".join(f"&#x{ord(c):x};" for c in s),
    "HTML twice": lambda s: html.escape(html.escape(s)),
    "URL": lambda s: quote(s, safe=""),
    "URL, all of it": lambda s: "".join(f"%{b:02x}" for b in s.encode()),
    "URL twice": lambda s: quote(quote(s, safe=""), safe=""),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON, all of it": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)),
    "program": lambda s: "".join(f"\\x{b:02x}" for b in s.encode()),
    "octal, as short as can be": lambda s: "".join(f"\\{b:o}" for b in s.encode()),
    "octal numbers": lambda s: " ".join(f"{b:03o}" for b in s.encode()),
    "characters of a program": lambda s: "+".join(f"chr({b})" for b in s.encode()),
    "characters of SQL": lambda s: " || ".join(f"CHR({b})" for b in s.encode()),
    "URL of old scripts": lambda s: "".join(f"%u{ord(c):04x}" for c in s),
    "colours of a terminal": "\x1b[0m".join,
    "octal": lambda s: "".join(f"\\{b:03o}" for b in s.encode()),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 inside a text": lambda s: base64.b64encode(f"user=x;{s};end".encode()).decode(),
    "base64 of base64": lambda s: base64.b64encode(base64.b64encode(s.encode())).decode(),
    "base64 of UTF-16": lambda s: base64.b64encode(s.encode("utf-16-le")).decode(),
    "base64 over lines": lambda s: base64.encodebytes(f"{'x' * 50}{s}".encode()).decode(),
    "base32": lambda s: base64.b32encode(s.encode()).decode(),
    "base32 with the digits first": lambda s: base64.b32hexencode(s.encode()).decode(),
    "base85": lambda s: base64.b85encode(s.encode()).decode(),
    "base85 inside a text": lambda s: base64.b85encode(f"user=x;{s};end".encode()).decode(),
    "base85 of Adobe": lambda s: base64.a85encode(s.encode(), adobe=True).decode(),
    "base85 of Adobe, quoted": lambda s: json.dumps({"said": base64.a85encode(f"it is {s}".encode()).decode()}),
    "base64 backwards": lambda s: base64.b64encode(f"it is {s}".encode()).decode()[::-1],
    "base64 of a packed text": lambda s: base64.b64encode(gzip.compress(f"it is {s}".encode(), mtime=0)).decode(),
    "hexadecimal of a packed text": lambda s: zlib.compress(f"it is {s}".encode()).hex(),
    "bits": lambda s: "".join(f"{b:08b}" for b in s.encode()),
    "bits, apart": lambda s: " ".join(f"{b:08b}" for b in s.encode()),
    "bits of a program": lambda s: str([bin(b) for b in s.encode()]),
    "hexadecimal": lambda s: s.encode().hex(),
    "HEXADECIMAL": lambda s: s.encode().hex().upper(),
    "hexadecimal, apart": lambda s: s.encode().hex(" "),
    "hexadecimal, with colons": lambda s: s.encode().hex(":"),
    "capitals": str.upper,
    "small letters": str.lower,
    "over lines": lambda s: "\n".join(s[i : i + 6] for i in range(0, len(s), 6)),
    "letter by letter": " ".join,
    "with dots": ".".join,
    "behind marks": "\u200b".join,
    "in bold": lambda s: f"{s[:7]}<b>{s[7:]}</b>",
    "backwards": lambda s: s[::-1],
    "full width": lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
    "quoted-printable": lambda s: quopri.encodestring(s.encode("utf-16-be")).decode(),
    "rot13": lambda s: codecs.encode(s, "rot13"),
    "cut short": lambda s: s[:-6] + "…",
    "its end": lambda s: "…" + s[8:],
    "decimals, with semicolons": lambda s: ";".join(str(b) for b in s.encode()),
    "hexadecimals, with colons": lambda s: ":".join(f"0x{b:02x}" for b in s.encode()),
    "decimal numbers": lambda s: json.dumps({"type": "Buffer", "data": list(s.encode())}),
    "base32 of base64": lambda s: base64.b32encode(base64.b64encode(s.encode())).decode(),
    "JSON over lines": lambda s: folded("".join(f"\\u{ord(c):04x}" for c in s)),
    "HTML over lines": lambda s: folded("".join(f"&#{ord(c)};" for c in s)),
    "URL over lines": lambda s: folded("".join(f"%{b:02X}" for b in s.encode())),
    "JSON of UTF-16": lambda s: "".join(f"\\u{ord(c):04x}" for c in s).encode("utf-16-be").decode("latin-1"),
    "UTF-16 in JSON": lambda s: json.dumps(s.encode("utf-16-le").decode("latin-1")),
    "URL in HTML in JSON": lambda s: json.dumps(html.escape(quote(s, safe=""))),
}
FOUND = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60).filter(
    lambda s: sum(c.isalnum() and c.isascii() for c in s) >= 10
)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_credential_is_told_in_no_form(form):
    told = without_credential(f"The login {form(PASSWORD)} is wrong.", Credential((PASSWORD,)))
    assert told in (DROPPED, "The login [credential] is wrong.")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_credential_that_is_all_that_is_said_is_told_in_no_form(form):
    assert without_credential(form(PASSWORD), Credential((PASSWORD,))) in (DROPPED, "[credential]")


@given(FOUND, st.sampled_from(sorted(set(FORMS) - {"cut short", "its end"})), st.text(max_size=40))
@example("0000000000=<Tb2%0000230", "base85 of Adobe, quoted", "")  # with a backslash in it
def test_no_secret_is_told_in_any_form(secret, name, around):
    told = without_credential(f"{around} {FORMS[name](secret)} {around}", Credential((secret,)))
    assert told == DROPPED or "[credential]" in told
    assert secret not in told


TWICE = [
    "HTML",
    "HTML, numbered",
    "URL",
    "URL, all of it",
    "JSON",
    "JSON, all of it",
    "base64",
    "base64 for URLs",
    "base64 of UTF-16",
    "hexadecimal",
    "quoted-printable",
    "over lines",
]


@pytest.mark.parametrize("inner", TWICE)
@pytest.mark.parametrize("outer", TWICE)
def test_no_form_of_a_form_tells_a_credential(outer, inner):
    written = FORMS[outer](FORMS[inner](PASSWORD))
    told = without_credential(f"The login {written} is wrong.", Credential((PASSWORD,)))
    assert told in (DROPPED, "The login [credential] is wrong.")


def test_the_account_and_the_vendors_words_are_told():
    sent = base64.b64encode(f"{ACCOUNT}:{PASSWORD}".encode()).decode()
    credential = credential_of({"Authorization": f"Basic {sent}"})
    words = f"The account {ACCOUNT} may not create pages in OPS (403)."
    assert without_credential(words, credential) == words
    assert without_credential(f"Bad header: Basic {sent}", credential) == "Bad header: [credential]"
    assert PASSWORD not in repr(credential)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_an_answer_that_repeats_a_token_tells_none_of_it(form):
    token = "tok3n" + "Q7Zx81Vb3Nm5Pw1Rt6Yu"
    credential = credential_of({"Authorization": f"Bearer {token}"})
    body = json.dumps({"message": f"invalid: {form(token)}"}).encode()
    words = Response(400, {}, body, sent=Sent(credential)).words()
    assert words == DROPPED or "[credential]" in words
    assert token not in words


def test_what_was_sent_is_left_out_and_the_vendors_words_stay():
    said = "Error parsing xhtml near: was exhausted because a deploy raised the at [row,col]: [27,48]"
    assert without_echoes(said, Content((BODY,))) == f"Error parsing xhtml near:{MARK}at [row,col]: [27,48]"


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"as it is", "cut short", "its end"}))
def test_what_was_sent_is_left_out_in_other_forms_as_well(name):
    told = without_echoes(f"Error near {FORMS[name](BODY.splitlines()[0])}", Content((BODY,)))
    assert told == CONTENT_DROPPED or (MARK in told and len(told) < len("Error near ") + len(MARK) + RUN)


def test_short_matches_are_the_vendors_own_words():
    assert without_echoes("The deploy of connections failed", Content((BODY,))) == "The deploy of connections failed"


@given(st.text(max_size=300), st.text(min_size=RUN, max_size=300), st.integers(0, 300))
def test_no_run_of_a_text_survives_wherever_it_stands(around, sent, place):
    whole = " ".join(sent.split())
    told = without_echoes(f"{around[:place]}{whole}{around[place:]}", Content((sent,)))
    assert len(whole) < RUN or whole not in told


def test_a_text_of_five_megabytes_is_looked_through():
    sent = "".join(f"line {number} of the log " for number in range(250_000))
    assert without_echoes(f"no: {sent[2_000_001:2_000_200]}", Content((sent,))) == f"no: {MARK}"


TITLE = "Why the pool of connections was exhausted"
SENT = Sent(Credential((PASSWORD,)), Content((f"# {TITLE}\n\n{BODY}", TITLE)), (TITLE,))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("repeated", [PASSWORD, BODY])
def test_a_sentence_of_ours_tells_nothing_that_an_answer_repeats(form, repeated):
    told = SENT.tell(f"The incident {form(repeated)} is closed.")
    assert LEFT_OUT in told
    assert not SENT.is_repeated(told)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("repeated", [PASSWORD, BODY])
def test_names_that_are_looked_at_together_are_clean_where_none_of_them_repeats_anything(form, repeated):
    names = ("0123456789abcdef0123456789abcdef", "INC0010023", f"Two pages are called {TITLE!r}.")
    assert SENT.is_clean(names)
    assert not SENT.is_clean((*names, f"The incident {form(repeated)} is closed."))


@given(
    st.lists(st.text(st.sampled_from("aA9%=&<\\+/ -\u00e9\u201c") | st.characters(), max_size=40), max_size=4), FOUND
)
def test_names_that_are_clean_together_are_clean_each(names, secret):
    sent = Sent(Credential((secret,)), Content((BODY,)))
    assert sent.is_clean(names) == (not any(map(sent.is_repeated, names)))


def test_so_many_forms_that_they_are_not_looked_at_together_are_looked_at_each_by_itself():
    packed = base64.b64encode(os.urandom(6000)).decode()
    assert not SENT.is_clean([packed[at : at + 80] for at in range(0, 8000, 80)])


def test_what_a_few_lines_hold_packed_is_looked_at_as_far_as_they_could_be_long():
    said = [f"{n} a%41&amp;\\x41=41+ " * 6000 for n in range(12)]
    packed = " ".join(base64.b64encode(zlib.compress(text.encode(), 9)).decode() for text in said)
    assert sum(map(len, forms(packed))) < 200 * len(packed)


def test_an_answer_of_brackets_alone_takes_no_longer_than_one_of_words():
    """By turns, each as quick as it ever was."""

    def seconds(said: str) -> float:
        began = time.process_time()
        list(forms(said))
        return time.process_time() - began

    rounds = [(seconds("{[Ab1" * 960), seconds("{" * 4800)) for _ in range(5)]
    assert min(brackets for _, brackets in rounds) < 5 * min(words for words, _ in rounds)


def test_an_address_that_we_made_of_an_id_holds_nothing_but_the_id():
    assert beside("/nav_to.do?uri=incident.do?sys_id=0123", ("0123", "")) == ""
    assert beside("/browse/OPS-7", ("10007", "OPS-7")) == ""
    for other in ("/nav_to.do?uri=problem.do?sys_id=0123", "/spaces/OPS/pages/0123", "/browse/0123/x", ""):
        assert beside(other, ("0123", "")) == other


def test_only_the_word_that_repeats_something_is_left_out_of_a_sentence():
    assert SENT.tell(f"The incident {PASSWORD} is closed.") == f"The incident {LEFT_OUT} is closed."


@pytest.mark.parametrize(
    "said",
    [
        "The title is taken (https://acme.example/wiki/spaces/OPS/pages/7/Why+the+pool+of+connections+was+exhausted).",
        "https://acme.example/display/OPS/Why%20the%20pool%20of%20connections%20was%20exhausted",
        f"Two pages are called {TITLE!r}.",
        "INC0010023",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_the_objects_own_name_and_address_are_told(said):
    assert SENT.tell(said) == said


def test_a_short_title_hides_no_content():
    sent = Sent(content=Content((BODY,)), names=("e",))
    assert sent.is_repeated(BODY.splitlines()[0])


def test_words_of_ours_that_a_password_holds_are_told():
    sent = Sent(Credential(("Confluence" + "2024",)))
    assert sent.tell("Confluence refused the page (400).") == "Confluence refused the page (400)."


SHORT = ["hunter22", "P@ss w0rd", "ab12cd", "7Zq#9", "1234", "x9!Q", "pä$$wörd", "пароль12", "密码密码密码", "Ключ9"]
SHORT_FORMS = {
    "as it is": str,
    "percent signs": lambda p: quote(p, safe=""),
    "percent signs twice": lambda p: quote(quote(p, safe=""), safe=""),
    "HTML": lambda p: "".join(f"&#{ord(sign)};" for sign in p),
    "JSON": lambda p: json.dumps(p)[1:-1],
    "JSON in JSON": lambda p: json.dumps(json.dumps(p))[1:-1],
    "base64": lambda p: base64.b64encode(p.encode()).decode(),
    "base64 for addresses": lambda p: base64.urlsafe_b64encode(p.encode()).decode().rstrip("="),
    "base64 twice": lambda p: base64.b64encode(base64.b64encode(p.encode())).decode(),
    "hexadecimal": lambda p: p.encode().hex(),
    "capitals": str.upper,
    "small letters": str.lower,
    "backwards": lambda p: p[::-1],
    "spaced out": " ".join,
    "the wrong charset": lambda p: p.encode().decode("latin-1"),
}


@pytest.mark.parametrize("form", SHORT_FORMS)
@pytest.mark.parametrize("password", SHORT)
def test_a_short_password_is_told_in_no_form(password, form):
    """By a vendor's error, in whatever script; by a sentence of ours from 8 letters on, or from 6 that no word has."""
    credential = credential_of({"Authorization": aiohttp.encode_basic_auth("svc", password)})
    told = SHORT_FORMS[form](password)
    for said in (
        f"Login of svc failed: {told}",
        f"bad '{told}'",
        f'{{"password":"{told}"}}',
        f"user=svc&password={told}",
    ):
        assert told not in without_credential(said, credential)
        if form == "as it is" or len(password) >= 8 or password == "ab12cd":
            assert told not in Sent(credential).tell(said)


@pytest.mark.parametrize("password", ["demo", "test", "123456"])
def test_a_password_that_names_hold_makes_no_address_and_no_id_unusable(password):
    """Instances that somebody tries out have such passwords, and are called so."""
    sent = Sent(Credential((password,)))
    for said in (
        f"https://{password}.example.com/x",
        f"https://a.example/spaces/{password}/2",
        f"A-{password}",
        f"{password}-1",
    ):
        assert not sent.is_repeated(said)
    assert sent.is_repeated(f"The account uses '{password}'.")


def test_a_short_password_is_left_out_and_makes_no_id_unusable():
    """A password of an instance that somebody tries out may be the key of its project."""
    sent = Sent(Credential(("test",)))
    assert not sent.is_repeated("TEST-1")
    assert sent.tell("The latest issue test is closed.") == f"The latest issue {LEFT_OUT} is closed."


@pytest.mark.parametrize("said", ["ß" * 7, "\u00bc" * 7, "\ufdfa", "\ufb03" * 5])
def test_a_password_is_found_in_fewer_signs_than_it_has(said):
    """Signs stand for several letters: a text that is shorter than a password may be one all the same."""
    whole = unicodedata.normalize("NFKC", said).casefold()
    letters = "".join(sign for sign in whole if sign.isalnum())
    assert len(letters) > len(said)
    assert without_credential(said, Credential((letters,))) == DROPPED


def test_no_sign_stands_for_more_letters_than_texts_are_passed_over_for():
    for code in range(sys.maxunicode + 1):
        sign = chr(code)
        most = 1 if code < 0x80 else 2 if code < 0x100 else GROWS
        assert len(_core(sign)) <= most
        assert len(sign.casefold()) <= most
