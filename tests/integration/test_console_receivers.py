"""The console's page of receivers."""

from __future__ import annotations

import re

HERE = "/settings/notifications"


async def test_a_webhook_is_stored_and_its_secret_is_shown_once(client, log_in):
    """The answer to the form has it, the page later doesn't."""
    token = await log_in("admin")
    form = {
        "csrf": token,
        "name": "ops",
        "kind": "webhook",
        "url": "https://hooks.example/planted-55",
        "topics": "dead",
    }
    text = await (await client.post(HERE, data=form)).text()
    secret = re.search(r"whsec_[A-Za-z0-9+/]+=*", text)[0]
    later = await (await client.get(HERE)).text()
    assert "hooks.example" in later
    assert "Dead jobs" in later
    assert secret not in later
    assert "planted-55" not in text + later


async def test_an_e_mail_receiver_takes_several_mailboxes(client, log_in, services):
    """With commas between them."""
    token = await log_in("admin")
    form = {
        "csrf": token,
        "name": "post",
        "kind": "email",
        "smtp_host": "smtp.example",
        "smtp_port": "587",
        "security": "starttls",
        "sender": "a@example.com",
        "to": "b@example.com, c@example.com",
        "topics": "held",
    }
    assert (await client.post(HERE, data=form)).status == 200
    assert (await services.receivers.view("post")).to == ("b@example.com", "c@example.com")


async def test_what_does_not_fit_is_said_and_what_was_typed_stays(client, log_in, services):
    """Plain http was not allowed."""
    token = await log_in("admin")
    form = {"csrf": token, "name": "ops", "kind": "slack", "url": "http://hooks.example/planted-54", "topics": "dead"}
    answer = await client.post(HERE, data=form)
    text = await answer.text()
    assert answer.status == 422
    assert "plain http" in text
    assert 'value="ops"' in text
    assert "planted-54" not in text
    assert await services.receivers.names() == []


async def test_a_test_that_fails_is_told_and_a_removed_receiver_is_gone(client, log_in, services):
    """Both from the page."""
    token = await log_in("admin")
    form = {"csrf": token, "name": "ops", "kind": "slack", "url": "https://127.0.0.1:9/x", "topics": "dead"}
    await client.post(HERE, data=form)
    assert "not permitted" in await (await client.post(f"{HERE}/ops/test", data={"csrf": token})).text()
    await client.post(f"{HERE}/ops/remove", data={"csrf": token})
    assert await services.receivers.names() == []
