"""Every kind of credential from the command line, against the sandbox's strict servers."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import threading
import urllib.request

import aiohttp
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tasks import lifecycle
from tasks.model import JobState
from tests.integration.test_cli_commands import Cli, stored
from tests.integration.test_lifecycle import (
    DOCUMENT,
    INCIDENT,
    ISSUE,
    JIRA_ISSUE,
    PUBLISH,
    WORK_ITEM,
    run,
    submit,
)
from tests.integration.test_renewing import tokens
from worker.cli.callback import Callback

SET = ["destination", "set", "d", "--kind", "servicenow", "--instance-url", "https://acme.example", "--username", "u"]
PARTS = {"client_secret": "planted-client-77", "password": "planted-pass-77", "refresh_token": "planted-refresh-77"}


@pytest.fixture
def cli(settings, monkeypatch):
    """The command line as this test's instance."""
    from tests.conftest import environment

    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    return Cli()


def pem(days: int = 200) -> tuple[str, str]:
    """A fresh key with its certificate, and the certificate alone."""
    key, now = rsa.generate_private_key(65537, 2048), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "afterword")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(now - dt.timedelta(1)).not_valid_after(now + dt.timedelta(days))
    certificate = made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() + certificate, certificate


def options(sandbox, kind: str) -> list[str]:
    """What names a destination of the sandbox."""
    local = ["--allow-http", "--allow-private", "127.0.0.0/8", "--set", "total_timeout_s=3"]
    named = {
        "confluence": ["--base-url", sandbox.url, "--space", "OPS"],
        "datacenter": ["--base-url", sandbox.url, "--space", "OPS", "--flavor", "datacenter"],
        "servicenow": ["--instance-url", sandbox.url, "--username", "bot"],
        "azure_devops": ["--org-url", f"{sandbox.url}/contoso", "--project", "Operations"],
        "jira": ["--base-url", sandbox.url, "--project", "OPS"],
        "jira datacenter": ["--base-url", sandbox.url, "--project", "OPS", "--flavor", "datacenter"],
    }[kind]
    return ["--kind", {"datacenter": "confluence"}.get(kind, kind.split(maxsplit=1)[0]), *named, *local]


CASES = [
    ("confluence", ["--auth", "basic", "--email", "bot@example.com"], "planted-77"),
    ("confluence", ["--auth", "token", "--email", "bot@example.com"], "planted-scoped-77"),
    ("confluence", ["--auth", "client-credentials", "--client-id", "afterword"], PARTS["client_secret"]),
    ("datacenter", ["--auth", "token"], "planted-77"),
    ("datacenter", ["--auth", "client-credentials", "--client-id", "afterword"], PARTS["client_secret"]),
    ("datacenter", ["--auth", "basic", "--email", "bot"], "planted-77"),
    ("jira", ["--auth", "basic", "--email", "bot@example.com"], "planted-77"),
    ("jira", ["--auth", "token", "--email", "bot@example.com"], "planted-scoped-77"),
    ("jira", ["--auth", "client-credentials", "--client-id", "afterword"], PARTS["client_secret"]),
    ("jira datacenter", ["--auth", "token"], "planted-77"),
    ("jira datacenter", ["--auth", "basic", "--email", "bot"], "planted-77"),
    ("jira datacenter", ["--auth", "client-credentials", "--client-id", "afterword"], PARTS["client_secret"]),
    ("servicenow", ["--auth", "basic"], "planted-77"),
    ("servicenow", ["--auth", "token"], "planted-77"),
    ("servicenow", ["--auth", "api-key"], "planted-77"),
    ("servicenow", ["--auth", "client-credentials", "--client-id", "afterword"], PARTS["client_secret"]),
    (
        "servicenow",
        ["--auth", "password", "--client-id", "afterword"],
        f"{PARTS['client_secret']}\n{PARTS['password']}\n",
    ),
    ("servicenow", ["--auth", "jwt", "--client-id", "afterword"], PARTS["client_secret"] + "\nPEM"),
    ("azure_devops", ["--auth", "token"], "planted-77"),
    ("azure_devops", ["--auth", "basic"], "planted-77"),
    (
        "azure_devops",
        ["--auth", "client-credentials", "--client-id", "afterword", "--tenant", "contoso"],
        PARTS["client_secret"],
    ),
    ("azure_devops", ["--auth", "certificate", "--client-id", "afterword", "--tenant", "contoso"], "PEM"),
]


@pytest.mark.parametrize(("kind", "how", "secret"), CASES, ids=lambda part: part if isinstance(part, str) else part[1])
async def test_each_kind_of_credential_passes_its_test_and_no_part_of_it_is_stored_or_shown(
    cli, settings, sandbox, kind, how, secret
):
    """A client, its certificate, a person's token: each from a file or stdin, and none of it comes out again."""
    key, certificate = pem()
    await tokens(sandbox, certificates={"afterword": certificate})
    secret = secret.replace("PEM", key)
    set_ = ("destination", "set", "d", *options(sandbox, kind), *how)
    await asyncio.to_thread(cli, *set_, stdin=secret)
    await asyncio.to_thread(cli, "destination", "test", "d")
    shown = await asyncio.to_thread(cli, "destination", "show", "d")
    told = await asyncio.to_thread(cli.json, "destination", "show", "d")
    assert told["credential"]["type"] == how[1]
    assert ("Access token:" in shown.stdout) == ("--client-id" in how)
    await asyncio.to_thread(cli, "audit", "tail")
    for hidden in (*secret.split("\n"), "sbxat-", "sbxrt-"):
        if len(hidden) > 5 and "-----" not in hidden:
            assert hidden not in cli.said
            assert hidden not in stored(settings)


JOBS = {"confluence": PUBLISH, "servicenow": INCIDENT, "azure_devops": WORK_ITEM, "jira": JIRA_ISSUE}
REFUSED = {
    "status": 400,
    "content_type": "application/json",
    "body": '{"error": "invalid_grant", "error_description": "It was revoked."}',
}


@pytest.mark.usefixtures("content")
@pytest.mark.parametrize(("kind", "how", "secret"), CASES, ids=lambda part: part if isinstance(part, str) else part[1])
async def test_each_kind_of_credential_delivers_and_tells_of_its_end_and_of_a_renewal_that_is_refused(
    cli, services, sandbox, kind, how, secret
):
    """As an operator walks it: set, deliver, see when it ends; then its grant is gone, jobs wait, and a good one goes on."""
    key, certificate = pem(days=6)
    await tokens(sandbox, certificates={"afterword": certificate})
    ends = (dt.datetime.now(dt.UTC) + dt.timedelta(days=6)).date().isoformat()
    expires = [] if "certificate" in how else ["--expires", ends]
    name = options(sandbox, kind)[1]
    command = JOBS[name] | {"destination": "d"}
    await asyncio.to_thread(
        cli, "destination", "set", "d", *options(sandbox, kind), *how, *expires, stdin=secret.replace("PEM", key)
    )
    first = await run(services, await submit(services, command))
    assert first.state is JobState.DELIVERED, first.error
    shown = await asyncio.to_thread(cli, "destination", "show", "d")
    assert ends in shown.stdout
    doctor = await asyncio.to_thread(cli.json, "doctor", status=1)
    assert any("ends in" in str(check) for check in doctor["checks"]), doctor
    if "--client-id" not in how:
        return
    await tokens(sandbox, expire=True, revoke=True)
    await sandbox.fault(fault="status", path="token", times=50, **REFUSED)
    content_key = "doc_id" if name == "confluence" else "issue_id"
    await services.contents.put_document(DOCUMENT.model_copy(update={"id": "doc-9", "title": "Another"}), "test")
    await services.contents.put_issue(ISSUE.model_copy(update={"id": "inc-9"}), "test")
    again = await submit(services, command | {content_key: "doc-9" if name == "confluence" else "inc-9"})
    await lifecycle.attempt(services.core, again.id)
    stored_job = await services.ledger.require(again.id)
    assert (stored_job.state, stored_job.last_error.code) == (JobState.QUEUED, "grant_refused")
    told = await asyncio.to_thread(cli, "destination", "test", "d", status=1)
    assert "It was revoked." in " ".join(told.stdout.split())
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/faults") as healed:
        assert healed.status == 204
    await asyncio.to_thread(cli, "destination", "test", "d")
    assert (await run(services, await services.ledger.require(again.id))).state is JobState.DELIVERED


async def test_a_workload_needs_no_secret_but_its_platforms_token_file(cli, sandbox, tmp_path):
    """Kubernetes or a pipeline keeps the token; each renewal reads it again."""
    file = tmp_path / "token"
    how = ["--auth", "workload-identity", "--client-id", "afterword", "--tenant", "contoso", "--token-file", file]
    await asyncio.to_thread(cli, "destination", "set", "d", *options(sandbox, "azure_devops"), *how)
    failed = await asyncio.to_thread(cli, "destination", "test", "d", status=1)
    assert "token file" in failed.stdout
    claims = {"aud": "api://AzureADTokenExchange", "exp": dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)}
    file.write_text(jwt.encode(claims, "a-key-of-the-platform-of-32-bytes", algorithm="HS256"))
    await asyncio.to_thread(cli, "destination", "test", "d")
    how[how.index("contoso")] = "fabrikam"
    await asyncio.to_thread(cli, "destination", "set", "d", *options(sandbox, "azure_devops"), *how)
    await asyncio.to_thread(cli, "destination", "test", "d")


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("confluence", []),
        ("datacenter", []),
        ("jira", []),
        ("jira datacenter", []),
        ("servicenow", []),
        ("azure_devops", ["--tenant", "contoso"]),
    ],
)
async def test_a_login_in_a_browser_comes_back_and_goes_on_by_its_refresh_token(cli, sandbox, kind, more):
    """The address that is printed leads a person there and back; after that the token is renewed without them."""
    how = ["--auth", "login", "--client-id", "afterword", *more]
    await asyncio.to_thread(cli, "destination", "set", "d", *options(sandbox, kind), *how)
    failed = await asyncio.to_thread(cli, "destination", "test", "d", status=1)
    assert "destination login" in failed.stdout
    done = await asyncio.to_thread(log_in, cli, sandbox)
    assert "Its connection test passes" in done.stdout
    await tokens(sandbox, expire=True)
    await asyncio.to_thread(cli, "destination", "test", "d")
    assert (await asyncio.to_thread(cli.json, "destination", "show", "d"))["credential"]["logged_in"] is True


def log_in(cli, sandbox):
    """Run the command, and open the printed address as a browser does: following where it is sent."""
    from worker.terminal.base import Context

    opened: list[threading.Thread] = []
    tell = Context.tell

    def follow(context, line):
        tell(context, line)
        if found := re.search(r"http\S+", line):
            opened.append(threading.Thread(target=lambda: urllib.request.urlopen(found[0]).read()))
            opened[-1].start()

    Context.tell = follow
    try:
        return cli("destination", "login", "d", "--no-browser", "--callback", "http://127.0.0.1:0/callback")
    finally:
        Context.tell = tell
        for thread in opened:
            thread.join()


async def test_an_answer_without_the_state_is_not_the_one_that_is_awaited():
    """Any page that a browser has open may call a port of this machine."""
    async with Callback("http://127.0.0.1:0/callback", "the-state") as back, aiohttp.ClientSession() as session:
        waiting = asyncio.ensure_future(back.code(30))
        for bad in ("?code=stolen", "?code=stolen&state=another", "?error=access_denied"):
            async with session.get(back.address + bad) as answer:
                assert answer.status == 400
        assert not waiting.done()
        async with session.get(f"{back.address}?code=ours&state=the-state") as answer:
            assert answer.status == 200
        assert await waiting == "ours"


@pytest.mark.parametrize(
    ("how", "secret", "said", "status"),
    [
        (["--auth", "client-credentials"], "x", "client_id", 2),
        (["--client-id", "afterword"], "x", "--auth", 2),
        (["--auth", "api-key"], "planted-a\nplanted-b", "several lines", 1),
        (["--auth", "password", "--client-id", "c"], "planted-a", "password of the account is missing", 1),
        (["--auth", "password", "--client-id", "c"], '{"planted-a": "b"}', "parts", 1),
        (["--auth", "jwt", "--client-id", "c"], "planted-a", "private key (PEM) is missing", 1),
        (["--auth", "certificate", "--client-id", "c"], "planted-a", "auth", 2),
        (
            ["--auth", "client-credentials", "--client-id", "c", "--token-url", "http://other.example/t"],
            "x",
            "plain http",
            1,
        ),
        (["--auth", "client-credentials", "--client-id", "c", "--scope", 'a"b'], "x", "scope", 2),
    ],
)
def test_a_credential_that_can_t_work_is_refused_at_once_and_not_repeated(cli, how, secret, said, status):
    """What is wrong is told by name, and never with the secret."""
    failed = cli(*SET, *how, stdin=secret, status=status)
    assert said in failed.output
    assert "planted" not in failed.output


def test_another_way_to_log_in_asks_for_the_secret_again(cli):
    """A stored secret goes nowhere but where it was given for."""
    cli(*SET, stdin="planted")
    failed = cli(*SET, "--auth", "client-credentials", "--client-id", "c", stdin="", status=1)
    assert "Give the secret again" in failed.output
    cli(*SET, "--auth", "client-credentials", "--client-id", "c", stdin="planted-2")
    moved = ("--token-url", "https://evil.example/token")
    failed = cli(*SET, "--auth", "client-credentials", "--client-id", "c", *moved, stdin="", status=1)
    assert "Give the secret again" in failed.output
