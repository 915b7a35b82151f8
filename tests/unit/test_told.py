"""What is kept of an answer: a receipt by which the object can be found, and nothing that was sent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tasks.destinations.contract import Work
from tasks.errors import Transient
from tasks.exchanges import names_of, told
from tasks.http.echoes import LEFT_OUT, Content, Credential, Sent
from tasks.model import Document, PublishToConfluence, Receipt

SECRET = "tok3n" + "Q7Zx81Vb3Nm5Pw1Rt6Yu"
BODY = "The pool of connections was exhausted because a deploy raised the time-out."
TITLE = "Connections exhausted after a deploy"
URL = "https://acme.example/wiki/spaces/OPS/pages/7/Connections+exhausted+after+a+deploy"
MADE = Receipt(id="7", url=URL, ticket_number="INC0010023", version=3)


def http(*names: str) -> SimpleNamespace:
    sent = Sent(Credential((SECRET,)), Content((f"# {TITLE}\n\n{BODY}", TITLE)), names)
    return SimpleNamespace(sent=sent, base_url="https://acme.example/wiki")


def test_a_receipt_that_repeats_nothing_stays_as_it_is():
    assert told(MADE, http(TITLE)) == MADE


@pytest.mark.parametrize("said", [SECRET, SECRET[::-1], SECRET.encode().hex(), BODY, BODY.upper(), "9" * 300])
@pytest.mark.parametrize("part", ["id", "ticket_number"])
def test_an_echo_in_the_place_of_an_id_leaves_the_object_in_doubt(part, said):
    with pytest.raises(Transient) as refused:
        told(MADE.model_copy(update={part: said}), http(TITLE))
    assert (refused.value.code, refused.value.certain) == ("odd_answer", False)
    assert said not in str(refused.value)


@pytest.mark.parametrize(
    "said", [f"https://acme.example/{SECRET}", URL + "?" + BODY.replace(" ", "+"), "https://a/" + "b" * 3000]
)
def test_an_address_that_is_an_echo_becomes_the_destinations_own(said):
    assert told(MADE.model_copy(update={"url": said}), http(TITLE)).url == "https://acme.example/wiki"


def test_warnings_leave_out_what_repeats_something_and_keep_our_own():
    own = f"line 3: the image of {BODY[:30]} isn't shown"
    made = MADE.model_copy(update={"warnings": (own, f"incident {SECRET} is closed")})
    assert told(made, http(TITLE, own)).warnings == (own, f"incident {LEFT_OUT} is closed")


def test_what_an_earlier_receipt_said_may_stand_in_the_content():
    """A document may tell where its own page or ticket is."""
    number = "0123456789abcdef0123456789abcdef"
    page = Document(id="d", issue_id="i", title=TITLE, content_md=f"See {URL} and {number}.")
    known = Receipt(id=number, url=URL)
    command = PublishToConfluence(command="publish_to_confluence", doc_id="d", space_key="OPS")
    work = Work(job_id="j", subject="s", command=command, document=page, previous=known)
    client = SimpleNamespace(sent=Sent(content=Content((page.content_md,)), names=tuple(names_of(work))), base_url="")
    assert told(known, client) == known
