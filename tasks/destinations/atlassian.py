"""What Atlassian's products share: where they are logged in to, and the gateway that scoped tokens and OAuth work at.

Sources: Atlassian's pages on OAuth 2.0 (3LO), service accounts and scoped tokens; Data Center's page on its OAuth 2.0 provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tasks.credentials.kinds import ClientCredentials, Endpoints, Login
from tasks.destinations.settings import endpoints_of
from tasks.http.verdict import CREDENTIAL, THROTTLED, UNPAID, Answer, Row, Verdict

AUTHORITY = "https://auth.atlassian.com"
GATEWAY = "https://api.atlassian.com"
NO_SITE = "No message available"  # what the gateway says of a cloud id that it doesn't know
SERVER_ERROR = 500
NOBODYS_REASONS = ("AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED")
LOGIN_HEADERS = ("x-seraph-loginreason", "x-failure-category", "x-authentication-denied-reason")
CAPTCHA = Verdict(
    "destination",
    "captcha",
    "After failed logins the account has to solve a CAPTCHA",
    "Log in with the account in a browser once, see that the stored secret is right, then run `afterword destination test`.",
)
LOGIN_ROWS = (
    Row((401, 403), r"(?i)captcha", CAPTCHA),
    Row((401, 403), r"AUTHENTICATED_FAILED|AUTHENTICATION_DENIED|FAILURE_", CREDENTIAL),
)
# A Data Center whose licence has ended shows what it has, and takes nothing.
LICENCE_ENDED = Row((400, 403), r"(?i)\blicen[cs]e\b.{0,40}\bexpired|expired.{0,20}\blicen[cs]e\b", UNPAID)
TAKEN_FOR_NOBODY = replace(CREDENTIAL, passing="wait")
NO_CLOUD = Verdict(
    "destination",
    "wrong_cloud_id",
    "Atlassian's gateway knows no such site, or doesn't let this client to it",
    "Check `cloud_id`, or leave it out: then the site itself is asked. A client of OAuth has to be granted the site, too.",
)


def endpoints(
    auth: ClientCredentials | Login, site: str, vendors: Callable[[str], str], scopes: tuple[str, ...], *, cloud: bool
) -> Endpoints:
    """Atlassian's authorization server for Cloud, asked for `scopes` and for going on without the person; a Data Center has
    its own. `vendors` places what Atlassian runs.

    A service account has its scopes from its administrator: it asks for none.
    """
    login = isinstance(auth, Login)
    if not cloud:
        own = f"{site}/rest/oauth2/latest"
        return endpoints_of(auth, f"{own}/token", ("WRITE",), authorize_url=f"{own}/authorize")
    authority = vendors(AUTHORITY)
    more: Mapping[str, str] = {"audience": "api.atlassian.com", "prompt": "consent"}
    return endpoints_of(
        auth,
        f"{authority}/oauth/token",
        (*scopes, "offline_access") if login else (),
        authorize_url=f"{authority}/authorize",
        authorize_more=dict(more),
    )


def gateway_says(content: Mapping[str, object], status: int) -> bool:
    """Whether an answer is in the gateway's shape, and one that it gives: it lets somebody not in, or knows no such site.

    Others have that shape, too, and the gateway says nothing of a job's own request: it hands that on.
    """
    if content.keys() != {"code", "message"} or not is_number(content["code"]):
        return False
    return status in (401, 403) or (status == 404 and content["message"] == NO_SITE)


def is_cloud_site(host: str | None) -> bool:
    """Whether it is the host of a site in the Cloud, whose products stand at fixed places."""
    return (host or "").lower().endswith(".atlassian.net")


def login_says(answer: Answer) -> str:
    """Why a login failed, as products of Atlassian say it in headers whatever the body is; empty where none did. `OK` stands on
    other answers, too.
    """
    named = {name.lower(): value for name, value in answer.headers.items()}
    told = " ".join(named.get(name, "") for name in LOGIN_HEADERS).strip()
    return told if answer.status in (401, 403) and told != "OK" else ""


def taken_for_nobody(answer: Answer) -> bool:
    """Whether the credential was refused and the question answered all the same, as anonymous visitors are: with what they may
    see, or "there is no such project". It says nothing about what there is.
    """
    named = {name.lower(): value for name, value in answer.headers.items()}
    reason = named.get("x-seraph-loginreason", "")
    answered = answer.status < SERVER_ERROR and answer.status not in (401, 403, THROTTLED)
    return answered and reason in NOBODYS_REASONS


def is_number(value: object) -> bool:
    """Whether a value of JSON is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
