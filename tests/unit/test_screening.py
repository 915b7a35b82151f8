"""What is found, what is no finding, and what becomes of the text. Planted secrets are put together from parts."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.screening import Policy, ScreeningFailed, assignments, engine, policy_in, scan, screen
from tasks.screening.before import Before
from tasks.screening.finding import TYPES
from tasks.screening.normalise import Reading, readings
from tasks.screening.shapes import SHAPES, by_shape
from tasks.screening.view import Triggers, compiled, view
from tests.corpus import people, secrets

P = "hunter" + "2-Xy99"
SECRETS = [
    f"**Password:** {P}",
    f'{{"password": "{P}"}}',
    f"DB_PASSWORD={P}",
    f"| password | {P} |",
    f"pass**word**: {P}",
    "Authorization: Basic " + base64.b64encode(f"svc:{P}".encode()).decode(),
    "key AKIA" + "Z7Q3XK5TBVW2MNPL",
    f"postgres://bob:{P}@db.internal/x",
    "Bearer abcDEF" + "123456789xyz",
    "pass&#119;ord=hun&#116;er22",
    "token = ghp_" + "a8Fk2Lq9Zx7Vb3Nm5Pw1Rt6Yu4Ic0OsEd2Gh",
    f"pwd\u200b: S3cr\u200b{P}",
    base64.b64encode(f"password={P}!".encode()).decode(),
    "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA " + "PRIVATE KEY-----",
    "password%3D" + P,
]
G, A = "ghp_" + "a8Fk2Lq9Zx7Vb3Nm5Pw1Rt6Yu4Ic0OsEd2Gh", "AKIA" + "Z7Q3XK5TBVW2MNPL"


def b64(text: str, encoding: str = "utf-8") -> str:
    return base64.b64encode(text.encode(encoding)).decode()


BROKEN_UP = {
    "encoded twice": b64(b64(f"password={P}!")),
    "encoded and wrapped": base64.encodebytes(("config dump\n" * 6 + f"password={P}\n").encode()).decode(),
    "encoded as Windows does": b64(f"$password='{P}'", "utf-16-le"),
    "hexadecimal": f"password={P}".encode().hex(),
    "percent twice": "".join(f"%25{ord(c):02X}" for c in A),
    "one star": f"pa*ssword: {P}",
    "bold inside": G[:10] + "**" + G[10:20] + "**" + G[20:],
    "link inside": f"[{A[:8]}](http://x){A[8:]}",
    "tag inside": f"{A[:8]}<b>{A[8:]}</b>",
    "comment inside": f"{A[:8]}<!-- x -->{A[8:]}",
    "hard break inside": G[:20] + "\\\n" + G[20:],
    "line break tag inside": G[:20] + "<br>" + G[20:],
    "full width": "".join(chr(ord(c) + 0xFEE0) for c in A),
}
ELSEWHERE = {
    "the next line": f"password:\n{P}",
    "a YAML block": f"password: >\n  {P}",
    "an element": f"<db.password>{P}</db.password>",
    "an option": f"app --password {P}",
    "mysql's option": f"mysql -u root -p{P} -h db",
    "sshpass": f"sshpass -p '{P}' ssh host",
    "a sentence": f"The password is {P}.",
    "German": f"Passwort: {P}",
    "French": f"mot de passe : {P}",
    "Spanish": f"contraseña: {P}",
    "a column": f"| User | Password |\n|---|---|\n| admin | {P} |",
    "a cookie": "Cookie: sessionid=3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c",
    "an age key": "AGE-SECRET-" + "KEY-1QQPQZRFR7ZZ2WCV3LQXXJ2GT8SHZQ7N4LQXK5TBVW2MNPLQQQQQQQQQQQQ",
}
PERSONAL = {
    "card 4111 1111 1111 1111": "CreditCard",
    "call +44 20 7946 0018 now": "Phone",
    "jane.doe@acme-corp.com": "Email",
    "ssn 123-45-6789": "SSN",
    "mac 00:1B:44:11:3A:B7": "MAC",
    "from 8.8.4.4": "IPv4",
    "2a02:6b8:0:1472:2741:0:8b6:43a1": "IPv6",
    "card 4111.1111.1111.1111": "CreditCard",
    "call 0044 20 7946 0018": "Phone",
    "jürgen@müller-gmbh.de": "Email",
    "mac 001b.4411.3ab7": "MAC",
    "SSN 123 45 6789": "SSN",
}
DECOYS = [
    "see app.log and main.py",
    "epoch 1712345678 and 1712345678901",
    "v1.2.3.4-rc1",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "550e8400-e29b-41d4-a716-446655440000",
    "db::add failed",
    "bob@example.com",
    "password=<your password>",
    "password=xxxx",
    "127.0.0.1 ::1 0.0.0.0",
    "the password was rotated",
    "Password reset emails",
    "token: expired",
    "password: ${DB_PASSWORD}",
    "password: [Password]",
    "std::vector::push 10:11:12",
    "secret: see vault",
    "tokens: 1200 per minute",
    "bearer of bad news today",
    "token bucket: refill",
    "| Token | Description |\n|---|---|",
    "Passwords: rotated all of them",
    "version 1.2.3.4",
    "release 10.15.7.2 of macOS",
    "1.2.3.4.5",
    "12:34:56:78:90:ab:cd",
    "password = input()",
    "password = os.getenv('DB_PASSWORD')",
    "password = config.password",
    "Password:\nThe policy asks for twelve characters.",
    "| Password | Rotated |\n|---|---|\n| required | yes |",
]


@pytest.mark.parametrize("text", SECRETS, ids=range(len(SECRETS)))
def test_secrets_are_found_and_block(text):
    assert screen(text, Policy()).action == "block"


@pytest.mark.parametrize("text", BROKEN_UP.values(), ids=BROKEN_UP.keys())
def test_secrets_that_are_encoded_or_broken_up_are_found_and_block(text):
    assert screen(f"before {text} after", Policy()).action == "block"


@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_secrets_are_found_wherever_people_put_them(text):
    verdict = screen(text, Policy())
    assert verdict.action == "block"
    assert P not in screen(text, Policy(), released=True).text


@pytest.mark.parametrize(("text", "kind"), PERSONAL.items(), ids=str)
def test_personal_data_is_found_and_redacted(text, kind):
    verdict = screen(text, Policy())
    assert verdict.action == "redact"
    assert f"[{kind}]" in verdict.text


@pytest.mark.parametrize("text", DECOYS)
def test_decoys_are_no_findings(text):
    assert scan(text) == []


def test_host_names_and_private_addresses_pass_with_a_note():
    verdict = screen("db01.corp.internal at 10.1.2.3", Policy())
    assert verdict.action == "pass"
    assert {finding.type for finding in verdict.findings} == {"Hostname", "PrivateIPv4"}


def test_a_redacted_address_takes_the_brackets_of_its_link_along():
    text = "Write to <ada@corp-mail.com> or <mailto:bob@corp-mail.com>, not <b>eve@corp-mail.com</b>."
    assert screen(text, Policy()).text == "Write to [Email] or [Email], not <b>[Email]</b>."


def test_released_secrets_go_out_redacted():
    verdict = screen(f"password: {P} jane@acme-corp.com", Policy(), released=True)
    assert verdict.action == "redact"
    assert P not in verdict.text


def test_a_secret_behind_thousands_of_encoded_runs_is_still_found():
    runs = " ".join(base64.b64encode(f"harmless words {n}".encode()).decode() for n in range(2500))
    assert screen(f"{runs} {SECRETS[12]}", Policy()).action == "block"


def test_policy_can_be_set_by_type_and_values_allowed():
    assert screen("jane@acme-corp.com", Policy(types={"Email": "hold"})).action == "hold"
    assert screen("jane@acme-corp.com", Policy(allow=("jane@acme-corp.com",))).action == "pass"
    assert screen("Call Jane Doe.", Policy(names=("Jane Doe",))).text == "Call [Name]."


def test_a_text_too_long_to_screen_does_not_pass():
    with pytest.raises(ScreeningFailed):
        screen("x" * 11, Policy(max_chars=10))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([*SECRETS, *PERSONAL, *DECOYS, " ", "\n", "é", "\ud800"]), max_size=8).map(" ".join))
def test_offsets_fit_and_redacting_again_finds_nothing_new(text):
    findings = scan(text)
    assert all(0 <= f.start < f.end <= len(text) for f in findings)
    assert all(a.end <= b.start for a, b in pairwise(findings))
    once = screen(text, Policy(), released=True).text
    again = screen(once, Policy(), released=True)
    assert again.text == once


def test_real_post_mortems_hold_no_secret(shared):
    for file in (shared / "inputs").glob("*.md"):
        assert [f for f in scan(file.read_text("utf-8")) if f.category == "secret"] == [], file.name


def found_whole(made, category="secret"):
    """Of labelled texts, those in which the value is found from its first to its last character."""
    for text, value in made:
        at = text.find(value)
        if not any(f.category == category and f.start <= at and at + len(value) <= f.end for f in scan(text)):
            yield text


@pytest.mark.parametrize("corpus", [secrets.everyday, secrets.tokens, secrets.providers, secrets.kinds])
def test_secrets_are_found_whole_where_people_leave_them(corpus):
    assert list(found_whole(corpus())) == []


def test_a_quick_look_misses_nothing_that_its_rule_would_find():
    texts = [
        text for corpus in (secrets.everyday, secrets.tokens, secrets.providers, secrets.kinds) for text, _ in corpus()
    ]
    rules = [(shape.pattern, shape.needs) for shape in SHAPES] + [(form[0], form[2]) for form in assignments._FORMS]
    rules = [(pattern, needs) for pattern, needs in rules if any(need.startswith("re:") for need in needs)]
    looks, tried = Triggers([needs for _, needs in rules]), set()
    for text in [*texts, *ELSEWHERE.values(), *secrets.harmless()]:
        for read in (text, *(reading.text for reading in readings(Reading(text)))):
            raw = view(read)
            finding = {number for number, (pattern, _) in enumerate(rules) if compiled(pattern).search(raw)}
            assert finding <= set(looks.of(raw)), (read, [rules[number] for number in finding - set(looks.of(raw))])
            tried |= finding
    assert len(tried) > len(rules) * 3 // 4


@pytest.mark.parametrize("between", ["", "A word. " * 40, "word" * 90, "\u6570\u636e" * 300, "9 of 9, " * 50], ids=len)
def test_an_identity_number_is_found_behind_whatever_was_named_and_had_none(between):
    text = f"The national number {between} CPF 529.982.247-25"
    assert [text[f.start :] for f in scan(text) if f.type == "NationalId"] == ["529.982.247-25"]


def test_what_only_looks_like_a_secret_is_none():
    assert [text for text in secrets.harmless() if any(f.category == "secret" for f in scan(text))] == []


def test_personal_data_is_found_whole_by_check_digits_and_context():
    assert list(found_whole(((text, value) for _, text, value in people.personal()), "personal")) == []


def test_numbers_that_are_nobodys_are_no_personal_data():
    assert [text for text in people.HARMLESS if any(f.category == "personal" for f in scan(text))] == []


KEY_LINES = "\n".join(base64.b64encode(bytes([n] * 48)).decode() for n in range(20))


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
@pytest.mark.parametrize("ending", [True, False], ids=["whole", "without its end"])
def test_a_private_key_is_found_to_its_last_line(kind, ending):
    armour = "Version: GnuPG v2\n\n" if "PGP" in kind else ""
    key = f"-----BEGIN {kind}-----\n{armour}{KEY_LINES}" + (f"\n-----END {kind}-----" if ending else "")
    left = screen(f"We found\n\n{key}\n\nin the log.", Policy(), released=True).text
    assert left == "We found\n\n[PrivateKey]\n\nin the log."


INVISIBLE = "\ufe0f\u034f\u180e\u061c\u2066\u200b\u200d\u2060\u00ad\u2069\ufeff\U000e0041\u0332"


@pytest.mark.parametrize("mark", [*INVISIBLE, "<ins>", "</ins>", "==", "<b>", "&shy;", "&#8203;"], ids=ascii)
def test_nothing_inside_a_token_hides_it(mark):
    text = f"see {G[:20]}{mark}{G[20:]} there"
    (finding,) = [f for f in scan(text) if f.category == "secret"]
    assert text[finding.start : finding.end] == f"{G[:20]}{mark}{G[20:]}"


def test_the_engine_finds_tokens_of_providers():
    raw = (G + " " + SECRETS[13]).encode()
    assert {f.type for f in engine.by_providers(raw)} >= {"ApiKey"}


def test_a_forked_process_refuses_to_scan_instead_of_hanging():
    scan("the first look loads the engine")
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            screen("anything", Policy())
        except ScreeningFailed:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_policy_is_stated_in_a_file():
    digest = hashlib.sha256(b"jane@acme-corp.com").hexdigest()
    policy = policy_in(
        f"""
        allow = ["sha256:{digest}", "re:[a-z]+@partner-corp[.]com"]
        names = ["Jane Doe"]
        [types]
        IPv4 = "allow"
        [patterns]
        Badge = "B-[0-9]{{6}}"
        [destinations.wiki.types]
        Email = "hold"
        """
    )
    text = "Jane Doe, B-123456, jane@acme-corp.com, bob@partner-corp.com, eve@acme-corp.com, 8.8.4.4"
    left = "[Name], [Badge], jane@acme-corp.com, bob@partner-corp.com, [Email], 8.8.4.4"
    assert screen(text, policy.of("other")).text == left
    assert screen(text, policy.of("wiki")).action == "hold"
    for wrong in ("types = 3", 'allow = ["re:("]', "[types]\nIPv4 = 'perhaps'", "= 1", "colour = 'red'"):
        with pytest.raises(ValueError, match=r"\w"):
            policy_in(wrong)


class Searched:
    """A pattern that writes down where it was asked to search."""

    def __init__(self, pattern):
        self.pattern, self.places = pattern, []

    def finditer(self, text, begin, end):
        self.places.append((begin, end))
        return self.pattern.finditer(text, begin, end)


NAMED = re.compile(r"\b(?:card|phone)\b")


@given(st.lists(st.sampled_from(["card ", "phone ", "4111 ", "x", "\n", ". ", "ordinary words "]), max_size=60))
def test_what_stands_before_each_number_is_found_and_no_text_is_searched_twice(parts):
    """As one search of the sixty characters before each number would find it, whose time grew with the numbers."""
    text = "".join(parts)
    words = Searched(NAMED)
    before = Before(text, words)
    for at in (found.start() for found in re.finditer("4111", text)):
        nearest = [found for found in NAMED.finditer(text, 0, at) if found.start() >= at - 60]
        assert before.end(at) == (nearest[-1].end() if nearest else None)
        between = nearest and at - nearest[-1].end() <= 40 and "\n" not in text[nearest[-1].end() : at]
        assert before.in_line(at, 40) == bool(between)
    assert all(begin >= end for (_, end), (begin, _) in pairwise(p for p in words.places if p[0] < p[1]))


def test_a_password_of_signs_alone_is_no_repetition_of_its_name():
    assert [finding.type for finding in scan("DB_PASSWORD='%%&&!!??'")] == ["Password"]


def test_a_key_without_armour_ends_where_the_words_behind_it_begin():
    key = "MHcCAQEE" + "IBase64OfNobodysKey1234567890abcdefghij" + "\n" + "Zz09" * 16
    (finding,) = scan(f"It was\n\n{key}\n\nThe team then rotated it and restarted all pods.")
    assert finding.end - finding.start == len(key)


@pytest.mark.parametrize("before", ["API key | ", "the secret -> ", "[PrivateKey] | "])
def test_a_name_behind_another_name_still_names_its_value(before):
    assert [finding.type for finding in scan(f"{before}password | hunter2-Xy99 |")] == ["Password"]


@pytest.mark.parametrize("kind", ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"])
def test_each_kind_of_token_of_github_is_known_by_its_shape(kind):
    text = "it was " + kind + G.removeprefix("ghp_")
    assert [finding.start for finding in by_shape(view(text), text)] == [7]


def test_an_account_number_is_found_where_nothing_else_in_the_text_looks_like_a_number():
    (finding,) = scan("Send it to MT18 MALT 0110 0ABC DEFG HJKL MNPQ RST instead.")
    assert (finding.type, finding.start, finding.end) == ("IBAN", 11, 49)


@pytest.mark.parametrize("rule", ["|---|---|", "|  ---  |  ---  |", "|\t---\t|\t:--\t|", "---  |  ---"])
def test_a_column_of_passwords_is_found_however_the_line_below_its_heading_is_spaced(rule):
    text = f"| user | password |\n{rule}\n| bob | {P} |\n"
    assert [text[finding.start : finding.end] for finding in scan(text)] == [P]


@pytest.mark.parametrize("name", ["2fa seed", "OTP seed", "totp secret", "MFA secret"])
def test_the_seed_of_a_second_factor_is_a_secret(name):
    (finding,) = scan(f"the {name} for the vpn is JBSWY3DPEHPK3PXPA2X7")
    assert finding.category == "secret"


@pytest.mark.parametrize("words", ["for instance", "For\tinstance", "FOR INSTANCE"])
def test_an_address_that_is_an_instance_of_something_is_no_machines(words):
    assert [finding.type for finding in scan(f"It came {words} 203.1.113.7 again")] == ["IPv4"]


def test_a_row_of_dashes_within_a_table_ends_no_column_and_the_next_table_begins_anew():
    table = f"| user | password |\n|---|---|\n| bob | {P} |\n|---|---|\n| eve | {P} |\n"
    assert len(scan(table)) == 2
    assert len(scan(f"{table}\n| user | note |\n|---|---|\n| ann | {P} |\n")) == 2


@pytest.mark.parametrize("form", ["{} ", "({})\n", "**{}**, "])
def test_of_a_long_list_of_tokens_the_engine_is_asked_for_the_first_ones(form, monkeypatch):
    """It takes a tenth of a millisecond for each that it finds."""
    asked, draw = engine.betterleaks.scan_string, secrets.Draw(4)
    told = []

    def counted(*arguments):
        told.extend(found := asked(*arguments))
        return found

    monkeypatch.setattr(engine.betterleaks, "scan_string", counted)
    tokens = [f"hf_{draw.of(secrets.LOWER + secrets.UPPER, 34)}" for _ in range(8000)]
    text = "".join(map(form.format, tokens))
    found = [text[finding.start : finding.end] for finding in scan(text)]
    assert len(told) < 3 * engine.MOST_OF_A_RULE
    assert sum(token in value for token, value in zip(tokens, found, strict=True)) == len(tokens)


def test_a_long_list_of_long_keys_is_screened(monkeypatch):
    """RE2 repeats nothing more than a thousand times."""
    monkeypatch.setattr(engine, "MOST_OF_A_RULE", 3)
    draw, kind = secrets.Draw(7), "RSA " + "PRIVATE KEY"
    keys = [
        "\n".join(["MIIE" + draw.of(secrets.ALNUM, 60), *(draw.of(secrets.ALNUM, 64) for _ in range(24))])
        for _ in range(30)
    ]
    text = "\n".join(f"-----BEGIN {kind}-----\n{key}\n-----END {kind}-----\n" for key in keys)
    assert screen(text, Policy()).action == "block"


def test_the_engine_is_not_asked_for_what_was_found_before(monkeypatch):
    asked, texts = engine.betterleaks.scan_string, []
    monkeypatch.setattr(
        engine.betterleaks, "scan_string", lambda text, settings: [texts.append(text), asked(text, settings)][1]
    )
    named, token = (
        f"heroku_key = '{secrets.Draw(5).of(secrets.HEX, 32)}'",
        "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2lnbmF0dXJl",
    )
    assert len(scan(f"{named} and {token}")) == 2
    assert texts
    assert not any(named[14:-1] in text or token in text for text in texts)


@pytest.mark.parametrize(("name", "found"), [("authenticity_token", 0), ("csrf-token", 0), ("api_key", 1), ("x", 1)])
def test_a_value_in_a_tag_is_a_secret_but_where_its_name_says_that_everybody_sees_it(name, found):
    value = secrets.Draw(6).of(secrets.ALNUM, 40)
    assert len(scan(f'<input type="hidden" name="{name}" id="i" value="{value}">')) == found


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ('allow = ["sha256:abc"]', "64 hexadecimal digits follow sha256:"),
        ('allow = ["re:("]', "allow: '(' is no pattern (RE2): missing ): ("),
        ('allow = ["re:"]', "no pattern behind it"),
        ('allow = [" "]', "an empty value allows nothing"),
        ('names = [""]', "names: '' is no name"),
        ('names = ["Ada", "-"]', "names: '-' is no name"),
        ('[types]\nEmial = "hold"', "types: there is no type 'Emial' (did you mean Email?); there are ApiKey, "),
        ('[types]\nBadge = "hold"', "there is no type 'Badge'"),
        ('[destinations.wiki.types]\nMail = "allow"', "destinations.wiki.types: there is no type 'Mail'"),
        ('[patterns]\nBadge = "B-("', "patterns: 'B-(' is no pattern (RE2): missing ): B-("),
        ('[patterns]\nBadge = "x*"', "fits an empty text"),
        ('[patterns]\nPassword = "B-[0-9]{6}"', "'Password' can't be a type of your own"),
        ('[patterns]\n"a]" = "B-[0-9]{6}"', "'a]' can't be a type of your own"),
        ("max_chars = 0", "max_chars: must be greater than or equal to 1"),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_a_policy_that_would_not_do_what_it_says_is_refused(stated, said, capfd):
    with pytest.raises(ValueError, match=re.escape(said)):
        policy_in(stated)
    assert capfd.readouterr() == ("", ""), "an engine says nothing past us"


def test_a_digest_in_capitals_allows_its_value():
    digest = hashlib.sha256(P.encode()).hexdigest().upper()
    assert screen(f"password={P}", policy_in(f'allow = ["SHA256:{digest}"]')).action == "pass"


def test_a_type_of_ones_own_has_its_action():
    stated = policy_in('[types]\nBadge = "hold"\n[patterns]\nBadge = "B-[0-9]{6}"')
    assert screen("badge B-123456", stated).action == "hold"


@pytest.mark.parametrize(
    ("names", "text", "clean"),
    [
        (["Ada Lovelace"], "Ada  Lovelace, ADA\nLOVELACE and Adam Lovelace", "[Name], [Name] and Adam Lovelace"),
        (["Ann Lee", "Ann"], "Ann Leesburg,Ann Lee,Ann,Anna", "[Name] Leesburg,[Name],[Name],Anna"),
        (["Zoë", "Łukasz", "Bo Jr."], "Zoë, ŁUKASZ: Bo Jr. (zoës)", "[Name], [Name]: [Name] (zoës)"),
        (["王小明", "김철수"], "昨天王小明说, 김철수가", "昨天[Name]说, [Name]가"),
        (["Ada"], "é\ud800 Ada 🔥 Ada", "é\ud800 [Name] 🔥 [Name]"),
    ],
)
def test_listed_people_are_found_as_words_in_any_case_and_script(names, text, clean):
    assert screen(text, Policy(names=tuple(names))).text == clean


def test_thousands_of_listed_people_take_no_longer_than_one():
    """By turns, each as quick as it ever was: Python's own patterns took a thousand times as long."""
    draw = secrets.Draw(8)
    made = [f"{draw.of(secrets.LOWER, 6)} {draw.of(secrets.LOWER, 8)}".title() for _ in range(2000)]
    text = " ".join(draw.of(secrets.LOWER, 7) for _ in range(20_000))
    few, many = Policy(names=tuple(made[:1])), Policy(names=tuple(made))

    def seconds(stated: Policy) -> float:
        began = time.process_time()
        screen(text, stated)
        return time.process_time() - began

    for stated in (few, many):
        screen(text, stated)  # compiled once
    rounds = [(seconds(few), seconds(many)) for _ in range(5)]
    assert min(many for _, many in rounds) < 3 * min(few for few, _ in rounds)


def test_every_type_of_finding_is_known_to_policies():
    texts = [*SECRETS, *BROKEN_UP.values(), *ELSEWHERE.values(), *PERSONAL, *secrets.harmless()]
    texts += [text for made in (secrets.everyday(), secrets.kinds()) for text, _ in made]
    found = {(one.type, one.category) for text in texts for one in scan(text)}
    assert found <= set(TYPES.items())
    assert {kind for kind, _ in found} >= {"ApiKey", "Password", "Email", "Hostname", "Bearer", "PrivateKey"}
    assert {shape.type for shape in SHAPES} <= TYPES.keys()
