"""Settings → Destinations: how a destination logs in, from the form to a delivered job, and no secret on any page."""

from __future__ import annotations

import html
import json
import re

import pytest

from tasks.destinations import parse_settings
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


async def begun(client, log_in, sandbox, kind="jira"):
    """A destination that is to be logged in to, and the vendor's address that the console leads to."""
    token = await log_in("admin")
    form = {"csrf": token, "kind": kind, "name": "d", "base_url": sandbox.url, "flavor": "cloud", **LOCAL}
    await client.post("/settings/destinations", data=form | {"auth": "login", "client_id": "c", "then": "save"})
    page = await (await client.post("/settings/destinations/d/login", data={"csrf": token})).text()
    return token, html.unescape(re.search(r'href="([^"]*/authorize\?[^"]*)"', page)[1])


async def back_from(sandbox, address) -> str:
    """Where the sandbox sends the browser, which consents to everything, as a path of the console."""
    async with sandbox.session.get(address, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        return (
            answer.headers["Location"].partition("/settings")[1] + answer.headers["Location"].partition("/settings")[2]
        )


@pytest.mark.parametrize("kind", ["confluence", "jira"])
async def test_a_login_in_the_browser_comes_back_to_the_session_that_began_it(services, client, log_in, sandbox, kind):
    """The answer of the vendor becomes the destination's grant, once; no page and no record shows its code or tokens."""
    _, address = await begun(client, log_in, sandbox, kind)
    assert "code_challenge_method=S256" in address
    back = await back_from(sandbox, address)
    page = await (await client.get(back)).text()
    assert "d is logged in, and the connection test passed" in page
    assert "not the answer of a login" in await (await client.get(back)).text(), "an answer counts once"
    assert "sbxat" not in page


async def test_an_answer_without_the_session_gets_a_page_that_leads_on_and_nothing_more(client, log_in, sandbox):
    """The cookie isn't sent with the vendor's redirect; the link on our own page brings it along."""
    _, address = await begun(client, log_in, sandbox)
    back = await back_from(sandbox, address)
    cookies = {cookie.key: cookie.value for cookie in client.session.cookie_jar}
    client.session.cookie_jar.clear()
    page = await (await client.get(back)).text()
    assert html.escape(back) in page
    assert "logged in" not in page
    client.session.cookie_jar.update_cookies(cookies, client.make_url("/"))
    assert "d is logged in" in await (await client.get(back)).text()


async def test_an_answer_that_was_not_asked_for_is_refused(services, client, log_in, sandbox):
    """A wrong state, a refusal of the vendor, a changed destination and another person's session: none becomes a grant."""
    _, address = await begun(client, log_in, sandbox)
    path, _, query = (await back_from(sandbox, address)).partition("?")
    page = await (await client.get(f"{path}?{query.replace('state=', 'state=x')}")).text()
    assert "not the answer of a login" in page
    token, address = await begun(client, log_in, sandbox)
    state = re.search(r"state=([^&]+)", address)[1]
    page = await (await client.get(f"{path}?state={state}&error=access_denied&error_description=No%3Cb%3E")).text()
    assert "The login was refused: access_denied No&lt;b&gt;" in page
    token, address = await begun(client, log_in, sandbox)
    back = await back_from(sandbox, address)
    record = await services.destinations.require("d")
    await services.destinations.set("d", record.settings.model_copy(update={"burst": 2}), None, "test")
    assert "was changed meanwhile" in await (await client.get(back)).text()
    token, address = await begun(client, log_in, sandbox)
    back = await back_from(sandbox, address)
    await log_in("viewer")
    assert "not the answer of a login" in await (await client.get(back)).text()
    assert (await client.post("/settings/destinations/d/login", data={"csrf": token})).status == 403


async def test_a_destination_that_nobody_has_logged_in_to_says_how(client, log_in):
    """By a button here, or by a command whose answer comes back to the machine that it runs on."""
    token = await log_in("admin")
    form = {"csrf": token, "kind": "confluence", "name": "d", "base_url": "https://acme.example", "flavor": "cloud"}
    await client.post("/settings/destinations", data=form | {"auth": "login", "client_id": "c"})
    page = await (await client.get("/settings/destinations")).text()
    assert "afterword destination login d" in page
    assert json.dumps("planted") not in page


NEVER = 'caller = "Beth"\n\n[[rule]]\nwhen = { severity = "urgent" }\nassignment_group = "Database"\n'


async def test_a_stored_mapping_that_can_never_hold_is_told_in_its_place_and_stops_no_other_change(
    services, client, log_in
):
    """It was taken by an older version; the form says so beside it, and refuses only a change of it that is no better."""
    given = {"kind": "servicenow", "instance_url": "https://acme.example", "username": "bot", "mapping": NEVER}
    await services.destinations.set("snow", parse_settings(given, stored=True), "secret", "test")
    token = await log_in("admin")
    there = r'id="mapping-wrong">Line 4: &#39;urgent&#39; is no severity'
    page = await (await client.get("/settings/destinations/snow")).text()
    assert re.search(there, page)
    text = html.unescape(re.search(r'<textarea id="mapping"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)[1])
    form = {"csrf": token, "instance_url": "https://acme.example", "username": "bot", "then": "save"}
    kept = form | {"mapping": text.replace("\n", "\r\n"), "table": "problem"}
    assert "snow is saved" in await (await client.post("/settings/destinations/snow", data=kept)).text()
    record = await services.destinations.require("snow")
    assert (record.settings.table, record.settings.mapping) == ("problem", NEVER)
    worse = await client.post("/settings/destinations/snow", data=form | {"mapping": text.replace("urgent", "P9")})
    assert (worse.status, "Line 4: &#39;P9&#39; is no severity" in await worse.text()) == (422, True)
    better = form | {"mapping": text.replace("urgent", "critical")}
    assert "snow is saved" in await (await client.post("/settings/destinations/snow", data=better)).text()
    assert 'id="mapping-wrong"' not in await (await client.get("/settings/destinations/snow")).text()
    assert "critical" in (await services.destinations.require("snow")).settings.mapping
    emptied = await client.post("/settings/destinations/snow", data=form | {"mapping": ""})
    assert "snow is saved" in await emptied.text()
    assert (await services.destinations.require("snow")).settings.mapping == ""
