"""What is found, what is no finding, and what becomes of the text. Planted secrets are put together from parts."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.screening import Policy, ScreeningFailed, scan, screen

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


@settings(max_examples=200, deadline=None)
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
