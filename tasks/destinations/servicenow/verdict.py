"""What a refusal of ServiceNow means. Sources: ServiceNow's REST references, and recorded traffic."""

from __future__ import annotations

import re

from tasks.http.reasons import reasons_of
from tasks.http.verdict import FAILED, FINE, GONE, NOT_PERMITTED, REFUSED, Answer, Row, Verdict, judged

TABLE_MISSING = Verdict(
    "destination",
    "no_such_table",
    "The instance has no such table, or doesn't show it to this account",
    "Correct the table (`table` of the destination, or of the job), the instance's address or the roles of the account (itil), "
    "then run `afterword destination test`. A job keeps the table that it was submitted with.",
    passing="job",
)
RULE = Verdict(
    "job",
    "refused",
    "A rule of the instance refused the record",
    "Supply what it asks for (`config.fields`), then `afterword job retry`.",
)
BAD_REQUEST = 400
TABLE = (
    Row((), r"does not represent any resource", GONE),
    Row((400, 404), r"Invalid table (?!or file)", TABLE_MISSING),
    # Without words, or with an access rule named, the account lacks a right; anything else is a business rule or policy.
    Row((403,), r"ACL|(?i:not authori[sz]ed|security constraints|insufficient rights)|^[\W\d_]*$", NOT_PERMITTED),
    Row((403,), "", RULE),
)


def verdict(answer: Answer) -> Verdict:
    """Whose trouble an answer tells of. An instance speaks the language of its account: a table that isn't there is known by
    its name at the end of the words, too. What it breaks off, because of a quota of its rules, it says with a good status.
    """
    found, asked = judged(answer, _said, TABLE), re.search(r"/table/(\w+)", answer.operation)
    if found is FINE and _said(answer) is not None:
        return FAILED
    if found is REFUSED and answer.status == BAD_REQUEST and asked:
        named = re.search(rf"\b{asked[1]}\W*$", _said(answer) or "")
        return TABLE_MISSING if named else found
    return found


def _said(answer: Answer) -> str | None:
    """The words of an answer that is ServiceNow's own: `{"error": {"message", "detail"}, "status": "failure"}`."""
    content = answer.json()
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(error, dict) or "message" not in error:
        return None
    if "detail" not in error and content.get("status") != "failure":
        return None
    return " / ".join(reasons_of(error))
