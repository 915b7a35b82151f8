"""A public address stays where the words beside it call it a machine's, and is somebody's in any doubt."""

from __future__ import annotations

import pytest

from tasks.screening import Policy, screen

MACHINES = (
    "The DNS server {} did not answer.",
    "DNS server: {}",
    "Requests went to the load balancer ({}).",
    "the attacker's IP {} was blocked",
    "The scan came from {} at noon.",
    "{} - the phishing email sending server",
    "{} is our mail server",
    "The instance {} was stopped.",
)
PEOPLES = (
    "from {} at noon",
    "requests to the server from {}",
    "{} tried to reach the server",
    "Somebody logged in to the server {} from home.",
    "The customer's server {} was slow.",
    "Some requests were slow, for instance {} and its neighbour.",
    "For instance: {}",
    "Top IPs hitting our server: {}",
    "Connections seen on the proxy: {}",
    "blocked: {}",
)


@pytest.mark.parametrize("words", MACHINES)
def test_an_address_that_is_called_a_machines_stays(words):
    text = words.format("81.2.69.142")
    verdict = screen(text, Policy())
    assert {finding.type for finding in verdict.findings} == {"ServerIPv4"}
    assert verdict.text == text


@pytest.mark.parametrize("words", PEOPLES)
def test_an_address_that_may_be_a_persons_is_replaced(words):
    assert screen(words.format("81.2.69.142"), Policy()).text == words.format("[IPv4]")
