"""Whose trouble an answer tells of: every answer that is known of a vendor, and any that none of them could have given."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.destinations.azure_devops.verdict import verdict as azure_devops
from tasks.destinations.confluence.verdict import verdict as confluence
from tasks.destinations.jira.verdict import verdict as jira
from tasks.destinations.servicenow.verdict import verdict as servicenow
from tasks.errors import DestinationTrouble, Permanent, Transient
from tasks.http.message import Response
from tasks.http.reasons import reasons_of
from tasks.http.refusals import error_of
from tasks.http.verdict import Answer, Verdict

JUDGES = {"confluence": confluence, "servicenow": servicenow, "azure_devops": azure_devops, "jira": jira}
JSON, TEXT, HTML = ({"Content-Type": kind} for kind in ("application/json", "text/plain", "text/html"))


def v2(status, title, code="BAD_REQUEST"):
    return {"errors": [{"status": status, "code": code, "title": title, "detail": None}]}


def v1(status, message, **data):
    return {"statusCode": status, "data": data, "message": message}


def snow(message, detail=None):
    return {"error": {"message": message, "detail": detail}, "status": "failure"}


def ado(message, key="", **more):
    return {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": "",
        "typeKey": key,
        "errorCode": 0,
    } | more


def jira_error(*messages, **fields):
    return {"errorMessages": list(messages), "errors": fields}


TITLE = "A page with this title already exists: A page already exists with the same TITLE in this space"
STALE = "Version must be incremented when updating a page. Current Version: [6]. Provided version: [5]"
ACL = "ACL Exception Insert Failed due to security constraints"
READ_ONLY = "com.atlassian.confluence.api.service.exceptions.ReadOnlyException: READ_ONLY"
RULES = [{"fieldReferenceName": f"Custom.{n}", "errorMessage": f"TF401320: {n} is required."} for n in ("A", "B")]
OUT_OF_RANGE = "The requested REST API version of 9.9 is out of range for this server."

# vendor, status, body, whose trouble, its code
KNOWN = [
    ("confluence", 400, v2(400, TITLE), "job", "refused"),
    ("confluence", 400, v2(400, "no", "INVALID_REQUEST_PARAMETER"), "job", "refused"),
    ("confluence", 409, v2(409, STALE, "CONFLICT"), "transient", "conflict"),
    ("confluence", 401, {"code": 401, "message": "Unauthorized; scope does not match"}, "destination", "scope_missing"),
    (
        "confluence",
        409,
        v1(409, "Version must be incremented on update. Current version is: 8"),
        "transient",
        "conflict",
    ),
    ("confluence", 400, v1(400, None, errors=[{"message": {"key": "Title cannot be longer"}}]), "job", "refused"),
    ("confluence", 400, v1(400, "Error parsing xhtml: Unexpected character '['"), "job", "refused"),
    ("confluence", 403, v1(403, "Current user not permitted to use Confluence"), "destination", "not_permitted"),
    ("confluence", 404, v2(404, "Space not found or not permitted", "NOT_FOUND"), "job", "refused"),
    ("confluence", 404, v1(404, "null for uri: https://x/rest/api/nothing"), "destination", "no_such_api"),
    ("confluence", 405, v1(405, READ_ONLY), "destination", "read_only"),
    ("confluence", 405, {"reason": "READ_ONLY", "message": "Read-only mode is enabled."}, "destination", "read_only"),
    ("confluence", 410, v1(410, "This deprecated endpoint has been removed."), "destination", "no_such_api"),
    ("confluence", 413, v2(413, "The request is too large", "PAYLOAD_TOO_LARGE"), "job", "too_large"),
    ("confluence", 429, v2(429, "slow down", "TOO_MANY_REQUESTS"), "throttled", "throttled"),
    (
        "confluence",
        500,
        v1(500, "Transaction rolled back because it has been marked as rollback-only"),
        "transient",
        "remote_failure",
    ),
    (
        "servicenow",
        401,
        snow("User Not Authenticated", "Required to provide Auth information"),
        "destination",
        "credential_refused",
    ),
    ("servicenow", 400, snow("Invalid table incident"), "destination", "no_such_table"),
    ("servicenow", 400, snow("Requested URI does not represent any resource", "x"), "destination", "no_such_api"),
    ("servicenow", 400, snow("Exception while reading request", "The payload is not valid JSON."), "job", "refused"),
    (
        "servicenow",
        404,
        snow("No Record found", "Record doesn't exist or ACL restricts the record retrieval"),
        "job",
        "refused",
    ),
    ("servicenow", 403, snow("Operation Failed", ACL), "destination", "not_permitted"),
    ("servicenow", 403, snow("User Not Authorized"), "destination", "not_permitted"),
    ("servicenow", 403, snow("Operation Failed", "Error during insert of incident (x)"), "job", "refused"),
    ("servicenow", 403, snow("Operation Failed", "Data Policy Exception: mandatory: Category"), "job", "refused"),
    ("servicenow", 429, snow("Rate limit exceeded"), "throttled", "throttled"),
    ("servicenow", 500, snow("Transaction cancelled: maximum execution time exceeded"), "transient", "remote_failure"),
    (
        "azure_devops",
        400,
        ado("TF401320: Rule Error", "RuleValidationException", RuleValidationErrors=RULES),
        "job",
        "refused",
    ),
    ("azure_devops", 404, ado("TF200016: no project", "ProjectDoesNotExistWithNameException"), "job", "refused"),
    ("azure_devops", 404, ado("VS402323: no type", "WorkItemTypeNotFoundException"), "job", "refused"),
    ("azure_devops", 400, ado("TF51535: Cannot find field X.", "WorkItemFieldException"), "job", "refused"),
    ("azure_devops", 400, ado("TF401347: Invalid tree name", "WorkItemException"), "job", "refused"),
    (
        "azure_devops",
        403,
        ado("TF237111: no permissions", "UnauthorizedAccessException"),
        "destination",
        "not_permitted",
    ),
    ("azure_devops", 400, ado(OUT_OF_RANGE, "VssVersionOutOfRangeException"), "destination", "wrong_api_version"),
    ("azure_devops", 503, ado("TF24668: The organization is deactivated."), "destination", "deactivated"),
    ("azure_devops", 400, {"count": 1, "value": {"Message": "A potentially dangerous value"}}, "job", "refused"),
    ("azure_devops", 429, ado("TF400733: blocked"), "throttled", "throttled"),
    ("azure_devops", 412, ado("VS403351: Test Operation for path /rev failed."), "job", "refused"),
]

KNOWN += [
    ("jira", 400, jira_error(summary="You must specify a summary of the issue."), "job", "refused"),
    ("jira", 400, jira_error(priority="Field 'priority' cannot be set. It is not on the screen."), "job", "refused"),
    ("jira", 400, {"errors": {"project": "Specify a valid project ID or key"}}, "job", "refused"),
    ("jira", 400, jira_error("INVALID_INPUT"), "job", "refused"),
    ("jira", 400, jira_error(project="You cannot create issues in this project."), "destination", "not_permitted"),
    (
        "jira",
        400,
        jira_error(project="Anonymous users do not have permission to create issues in this project."),
        "destination",
        "credential_refused",
    ),
    (
        "jira",
        401,
        {"message": "Client must be authenticated to access this resource.", "status-code": 401},
        "destination",
        "credential_refused",
    ),
    ("jira", 401, {"code": 401, "message": "Unauthorized; scope does not match"}, "destination", "scope_missing"),
    ("jira", 403, jira_error("You do not have permission to edit issues."), "destination", "not_permitted"),
    ("jira", 404, jira_error("Issue does not exist or you do not have permission to see it."), "job", "refused"),
    (
        "jira",
        404,
        {"message": "null for uri: https://x/rest/api/3/x", "status-code": 404},
        "destination",
        "no_such_api",
    ),
    ("jira", 409, jira_error("The issue is being changed."), "transient", "conflict"),
    ("jira", 410, jira_error("The requested API has been removed."), "destination", "no_such_api"),
    ("jira", 413, jira_error("The request is too large."), "job", "too_large"),
    ("jira", 429, jira_error("Rate limit exceeded"), "throttled", "throttled"),
    ("jira", 503, jira_error("Jira is starting."), "transient", "remote_failure"),
    ("confluence", 403, v1(403, "Your license has expired."), "destination", "not_served"),
    ("jira", 400, jira_error("Your Jira license is expired."), "destination", "not_served"),
    ("confluence", 402, v2(402, "The site is suspended", "PAYMENT_REQUIRED"), "destination", "not_served"),
    ("jira", 402, jira_error("Your trial has ended."), "destination", "not_served"),
]


@pytest.mark.parametrize(("vendor", "status", "body", "whose", "code"), KNOWN)
def test_each_known_answer_of_a_vendor_has_its_verdict(vendor, status, body, whose, code):
    found = JUDGES[vendor](Answer(status, JSON, json.dumps(body).encode()))
    assert (found.whose, found.code) == (whose, code)


def test_recorded_refusals_are_known_for_the_vendors_own(shared):
    lines = (shared / "recordings" / "azure_devops.jsonl").read_text("utf-8").splitlines()
    recorded = [row for row in map(json.loads, lines) if row["status"] >= 400]
    codes = {
        azure_devops(Answer(row["status"], row["response_headers"], (row["response_body"] or "").encode())).code
        for row in recorded
    }
    assert recorded
    assert "not_the_vendor" not in codes
    for name, status in (("401", 401), ("record-404", 404)):
        body = (shared / "recordings" / "servicenow" / f"{name}.json").read_bytes()
        assert servicenow(Answer(status, JSON, body)).code != "not_the_vendor"


def test_an_expired_token_of_azure_devops_is_told_by_an_empty_401():
    assert azure_devops(Answer(401, {"WWW-Authenticate": "Basic"}, b"")).code == "credential_refused"


def test_a_login_that_failed_at_data_center_is_its_own_though_it_comes_as_a_page():
    headers = HTML | {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    found = confluence(Answer(401, headers, b"<html>Basic Authentication Failure</html>"))
    assert (found.code, found.passing) == ("credential_refused", "job")


def test_jiras_own_login_page_is_its_own_and_a_login_that_went_well_says_nothing():
    """The header says why a login failed; `OK` stands on every other answer, a proxy's copy too."""
    failed = HTML | {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    assert jira(Answer(401, failed, b"<html>Basic Authentication Failure</html>")).code == "credential_refused"
    for judge in (jira, confluence):
        assert judge(Answer(403, HTML | {"X-Seraph-LoginReason": "OK"}, b"<html>no</html>")).code == "not_the_vendor"
        assert judge(Answer(403, JSON | failed, b"{}")).code == "credential_refused"


@pytest.mark.parametrize("judge", [jira, confluence])
@pytest.mark.parametrize("status", [401, 403])
def test_an_account_that_must_solve_a_captcha_is_told_so(judge, status):
    """After some failed logins a Data Center takes the right password no more, until somebody logs in by hand."""
    headers = {"x-seraph-loginreason": "AUTHENTICATION_DENIED"}
    headers |= {"X-AUTHENTICATION-DENIED-REASON": "CAPTCHA_CHALLENGE; login-url=https://jira.example/login.jsp"}
    assert judge(Answer(status, HTML | headers, b"<html>Basic Authentication Failure</html>")).code == "captcha"


STRANGERS = [
    (404, TEXT, "default backend - 404"),
    (404, HTML, "<html><head><title>404 Not Found</title></head><body>nginx</body></html>"),
    (403, HTML, "<html><body>Your address is not permitted.</body></html>"),
    (407, HTML, "<html><body>Proxy Authentication Required</body></html>"),
    (407, TEXT, ""),
    (405, TEXT, "Method Not Allowed"),
    (410, HTML, "<h1>Gone</h1>"),
    (400, TEXT, "no"),
    (400, JSON, "[1]"),
    (418, JSON, '{"message": {"a": 1}, "errors": 5}'),
    (404, JSON, '{"message": "no Route matched with those values"}'),
    (404, JSON, '{"timestamp": 1, "status": 404, "error": "Not Found", "path": "/"}'),
    (404, JSON, '{"kind": "Status", "status": "Failure", "message": "not found", "code": 404}'),
    (404, JSON, '{"statusCode": 404, "message": "Resource not found"}'),
    (403, JSON, '{"statusCode": 403, "message": "Out of call volume quota."}'),
    (404, JSON, '{"statusCode": 404, "message": "Route POST:/x not found", "error": "Not Found"}'),
    (400, JSON, '{"statusCode": 400, "message": "Bad header", "error": "Bad Request"}'),
    (404, JSON, '{"errors": [{"status": "404", "code": "not_found", "title": "Not Found"}]}'),
    (404, JSON, '{"code": 404, "message": "page not found"}'),
    (400, JSON, '{"code": 3, "message": "Bad Request"}'),
    (401, HTML, "<html>Unauthorized</html>"),
    (305, TEXT, ""),
]


@pytest.mark.parametrize("vendor", JUDGES)
@pytest.mark.parametrize(("status", "headers", "body"), STRANGERS)
def test_what_no_vendor_says_is_the_destinations_trouble_and_costs_no_job(vendor, status, headers, body):
    found = JUDGES[vendor](Answer(status, headers, body.encode()))
    assert (found.whose, found.passing) == ("destination", "wait")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
REFUSING = st.integers(400, 499).filter(lambda status: status not in (408, 413, 414, 425, 429, 431))


@given(st.sampled_from(sorted(JUDGES)), REFUSING, ANY_JSON.map(json.dumps) | st.text(max_size=200))
def test_no_4xx_of_another_shape_is_ever_the_jobs(vendor, status, body):
    assume(not (vendor == "azure_devops" and status == 401 and not body.strip()))
    found = JUDGES[vendor](Answer(status, {}, body.encode("utf-8", "replace")))
    assert (found.whose, found.passing) == ("destination", "wait")


REASON = st.text(st.characters(codec="ascii", categories=("L", "Zs")), min_size=1, max_size=60)


@given(st.sampled_from([400, 422]), REASON)
def test_any_validation_error_in_a_vendors_own_shape_is_the_jobs(status, reason):
    for vendor, body in (
        ("confluence", v2(status, reason)),
        ("confluence", v1(status, reason)),
        ("servicenow", snow(reason, reason)),
        ("azure_devops", ado(reason, "RuleValidationException")),
        ("jira", jira_error(summary=reason)),
    ):
        assert JUDGES[vendor](Answer(status, JSON, json.dumps(body).encode())).whose == "job"


@given(st.sampled_from(sorted(JUDGES)), st.integers(100, 999), st.binary(max_size=300))
def test_every_answer_has_a_verdict(vendor, status, body):
    assert isinstance(JUDGES[vendor](Answer(status, {}, body)), Verdict)


def test_a_strangers_refusal_of_a_write_is_uncertain_and_the_vendors_own_is_not():
    stranger = confluence(Answer(404, TEXT, b"default backend - 404"))
    own = confluence(Answer(403, JSON, json.dumps(v1(403, "no")).encode()))
    assert not error_of(stranger, 404, "", None, wrote=True).certain
    assert not any(error_of(own, status, "", None, wrote=True).certain for status in (408, 429, 503))
    assert error_of(own, 403, "", None, wrote=True).certain
    assert error_of(stranger, 404, "", None, wrote=False).certain


def test_each_verdict_becomes_its_error():
    kinds = {"job": Permanent, "transient": Transient, "throttled": Transient, "destination": DestinationTrouble}
    for vendor, status, body, whose, code in KNOWN:
        error = error_of(
            JUDGES[vendor](Answer(status, JSON, json.dumps(body).encode())), status, "its words", None, wrote=False
        )
        assert (type(error), error.code) == (kinds[whose], code)
        assert f"({status})" in str(error)
        assert "its words" in str(error)


def test_a_body_that_is_too_large_is_called_so_whoever_says_it():
    own = confluence(Answer(413, JSON, json.dumps(v2(413, "large", "PAYLOAD_TOO_LARGE")).encode()))
    between = confluence(Answer(413, HTML, b"<html>413 Request Entity Too Large</html>"))
    assert (own.whose, own.code) == ("job", "too_large")
    assert (between.whose, between.code, between.passing) == ("destination", "too_large", "job")


# -- words -----------------------------------------------------------------------------------------------------------


def words(body) -> str:
    return Response(400, JSON, json.dumps(body).encode()).words()


def test_every_reason_is_told_wherever_it_stands():
    nested = v1(400, None, errors=[{"message": {"key": "title.too.long", "args": []}}, {"message": {"key": "no.body"}}])
    assert words(nested) == "title.too.long / no.body"
    assert words(ado("Rule Error", RuleValidationErrors=RULES)) == (
        "Rule Error / Custom.A: TF401320: A is required. / Custom.B: TF401320: B is required."
    )
    custom = ado("Rule Error", customProperties={"RuleValidationErrors": RULES})
    assert "Custom.B" in words(custom)
    assert words({"errorMessages": ["no"], "errors": {"project": "is required"}}) == "no / project: is required"
    assert words(snow("Operation Failed", ACL)) == f"Operation Failed / {ACL}"
    assert words({"error": "invalid_grant", "error_description": "expired"}) == "expired / invalid_grant"


@given(ANY_JSON)
def test_reasons_are_found_in_anything(value):
    assert all(isinstance(reason, str) and reason.strip() for reason in reasons_of(value))


@pytest.mark.parametrize("judge", [jira, confluence])
@pytest.mark.parametrize("reason", ["AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED"])
@pytest.mark.parametrize("status", [200, 400, 404])
def test_what_a_refused_credential_is_shown_as_an_anonymous_visitor_says_nothing_of_the_job(judge, reason, status):
    """Jira's Cloud answers a wrong token so: with what anybody may see, or that there is no such project."""
    body = json.dumps(jira_error("No project could be found with key 'OPS'.")).encode()
    found = judge(Answer(status, JSON | {"X-Seraph-LoginReason": reason}, body))
    assert (found.whose, found.code, found.passing) == ("destination", "credential_refused", "wait")
    assert not error_of(found, 200, "", None, wrote=True).certain, "it may have been done for nobody"
    assert judge(Answer(429, JSON | {"X-Seraph-LoginReason": reason}, body)).whose == "throttled"


def test_an_expired_token_of_azure_devops_may_be_told_on_a_page_and_in_a_header():
    told = HTML | {"X-TFS-ServiceError": "Access%20Denied%3A%20The%20Personal%20Access%20Token%20used%20has%20expired."}
    page = b"<html>401</html>"
    assert (azure_devops(Answer(401, told, page)).strange, azure_devops(Answer(401, HTML, page)).strange) == (
        False,
        True,
    )
    assert azure_devops(Answer(404, told, page)).code == "not_the_vendor", "a page of the site that is no API"


@pytest.mark.parametrize("vendor", JUDGES)
@pytest.mark.parametrize("status", [414, 431])
def test_addresses_and_headers_that_are_too_long_for_something_in_between_are_no_jobs_fault(vendor, status):
    found = JUDGES[vendor](Answer(status, HTML, b"<html>no</html>"))
    assert (found.code, found.passing) == ("not_the_vendor", "wait")


@pytest.mark.parametrize("operation", ["GET /table/incident", "POST /table/incident", "PATCH /table/incident/{sys_id}"])
def test_what_servicenow_breaks_off_is_a_failure_though_it_says_200(operation):
    """Beside the error stands what there was until then: an empty list is no proof that there is no record."""
    cut = {"result": [], **snow("Transaction cancelled: maximum execution time exceeded", "Check logs.")}
    found = servicenow(Answer(200, JSON, json.dumps(cut).encode(), operation))
    assert (found.whose, found.code) == ("transient", "remote_failure")
    assert not error_of(found, 200, "", None, wrote=True).certain
