"""What every peer sends: one incident or page of 4 kB, as Afterword would render it, and where to."""

from __future__ import annotations

import base64
import os
import sys

REDIS = os.environ.get("PEERS_REDIS", "redis://127.0.0.1:6379/0")
VENDOR = os.environ.get("PEERS_VENDOR", "http://127.0.0.1:8080")
ENDPOINT = f"{VENDOR}/api/now/table/incident"
WIKI = f"{VENDOR}/wiki/api/v2"
AT_ONCE = 64
# A made-up credential: the stand-in for the vendor takes any.
HEADERS = {"Authorization": "Basic " + base64.b64encode(b"bench:not-a-secret").decode()}
PARAGRAPH = (
    "At 09:14 the checkout service answered every third request with a time-out. The pool of connections to the orders "
    "database was exhausted: a nightly report had kept its sessions open since 06:00. The report was stopped, the pool "
    "grew from 40 to 80, and answers were normal again after twelve minutes.\n\n"
    "* Customers saw an error page and could try again.\n"
    "* No order was lost; 214 were placed late.\n"
    "* The alert came after six minutes, because its threshold was an average over ten.\n\n"
)
DESCRIPTION = (PARAGRAPH * 10)[:4000].rstrip()


def title(number: int) -> str:
    """The title by which an incident is known."""
    return f"Checkout times out, case {number}"


def incident(number: int) -> dict[str, str]:
    """The fields of one POST."""
    return {
        "short_description": title(number),
        "description": DESCRIPTION,
        "correlation_id": f"case-{number}",
        "correlation_display": "Bench",
        "impact": "1",
        "urgency": "2",
    }


def page(number: int) -> dict[str, object]:
    """The fields of a page, without its space."""
    paragraphs = "".join(f"<p>{text}</p>" for text in DESCRIPTION.split("\n\n"))
    body = {"representation": "storage", "value": paragraphs}
    return {"title": title(number), "status": "current", "body": body}


def count() -> int:
    """How many are to be sent: the program's last argument."""
    return int(sys.argv[-1])
