"""Settings → Destinations: how a destination logs in, from the form to a delivered job, and no secret on any page."""

from __future__ import annotations

import json

import pytest

from tests.integration.test_credential_commands import pem

LOCAL = {"allow_http": "on", "allow_private": "127.0.0.0/8", "then": "test"}
FORMS = [
    ("servicenow", {"username": "bot", "auth": "client-credentials", "client_id": "c", "secret": "planted-secret"}),
    ("servicenow", {"username": "bot", "auth": "api-key", "secret": "planted-secret"}),
    (
        "servicenow",
        {
            "username": "bot",
            "auth": "password",
            "client_id": "c",
            "secret": "planted-1",
            "account_password": "planted-2",
        },
    ),
    ("servicenow", {"username": "bot", "auth": "jwt", "client_id": "c", "secret": "planted-1", "private_key": "PEM"}),
    ("azure_devops", {"auth": "certificate", "client_id": "c", "tenant": "contoso", "private_key": "PEM"}),
    ("azure_devops", {"auth": "", "secret": "planted-pat", "credential_expires": "2027-01-31"}),
    ("confluence", {"auth": "client-credentials", "client_id": "c", "secret": "planted-secret", "flavor": "cloud"}),
]
ADDRESS = {"confluence": "base_url", "servicenow": "instance_url", "azure_devops": "org_url"}


@pytest.mark.parametrize(
    ("kind", "form"), FORMS, ids=lambda part: part if isinstance(part, str) else part["auth"] or "pat"
)
async def test_a_form_logs_in_and_shows_no_secret_again(services, client, log_in, sandbox, kind, form):
    """What was filled in passes the connection test, comes back in the form, and none of it is secret."""
    token = await log_in("admin")
    key, _ = pem()
    filled = {name: value.replace("PEM", key) for name, value in form.items()}
    where = {ADDRESS[kind]: sandbox.url + ("/contoso" if kind == "azure_devops" else "")}
    given = {"csrf": token, "kind": kind, "name": "d", "work_item_type": "Bug", **where, **LOCAL, **filled}
    answer = await client.post("/settings/destinations", data=given)
    page = await answer.text()
    assert "the connection test passed" in page, page[-3000:]
    page += await (await client.get("/settings/destinations/d")).text()
    assert "planted" not in page
    assert "PRIVATE KEY" not in page
    record = await services.destinations.require("d")
    assert (record.settings.auth.type if record.settings.auth else "") == form["auth"]
    assert str(record.settings.credential_expires or "") == form.get("credential_expires", "")
    again = {name: value for name, value in given.items() if name not in ("secret", "account_password", "private_key")}
    kept = await client.post("/settings/destinations/d", data=again)
    assert "the connection test passed" in await kept.text(), "an empty secret keeps the stored one"


async def test_a_form_without_its_secret_says_which_part_is_missing(client, log_in):
    """In the words of the way to log in that was chosen."""
    token = await log_in("admin")
    form = {"csrf": token, "kind": "servicenow", "name": "d", "instance_url": "https://acme.example", "username": "u"}
    answer = await client.post("/settings/destinations", data=form | {"auth": "password", "client_id": "c"})
    assert answer.status == 422
    assert "client secret and the password of the account" in await answer.text()
    answer = await client.post("/settings/destinations", data=form | {"auth": "client-credentials", "secret": "x"})
    assert "client_id" in await answer.text()


async def test_a_destination_that_nobody_has_logged_in_to_says_how(client, log_in):
    """The login is a command's: its answer comes back to the machine that it runs on."""
    token = await log_in("admin")
    form = {"csrf": token, "kind": "confluence", "name": "d", "base_url": "https://acme.example", "flavor": "cloud"}
    await client.post("/settings/destinations", data=form | {"auth": "login", "client_id": "c"})
    page = await (await client.get("/settings/destinations")).text()
    assert "afterword destination login d" in page
    assert json.dumps("planted") not in page
