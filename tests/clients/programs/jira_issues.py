"""An issue as users of `jira` make, find, change, discuss, attach to, link and move one."""

import io
import json
import os

from jira import JIRA
from jira.exceptions import JIRAError

cloud = os.environ["FLAVOR"] == "cloud"
account = (
    {"basic_auth": ("a@example.com", os.environ["SECRET"]), "options": {"rest_api_version": "3"}}
    if cloud
    else {"token_auth": os.environ["SECRET"]}
)
jira = JIRA(os.environ["URL"], **account, max_retries=0)


def text(words):
    """A body as each of the two takes it."""
    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": words}]}
    return {"type": "doc", "version": 1, "content": [paragraph]} if cloud else words


made = jira.create_issue(
    project="PAY", issuetype={"name": "Bug"}, summary="Down", description=text("one"), labels=["rca", "aw-1f"]
)
other = jira.create_issue(project="PAY", issuetype={"name": "Task"}, summary="Restore", description=text("two"))
made.update(summary="Up", priority={"name": "High"})
jira.add_comment(made, text("Seen."))
jira.add_comment(made, text("Twice.")).delete()
jira.add_issue_property(made, "p", {"a": 1})
jira.add_attachment(issue=made, attachment=io.BytesIO(b"one line\n"), filename="trace.txt")
jira.create_issue_link("Blocks", made, other)
jira.add_simple_link(made, {"url": "https://wiki.example/rca", "title": "RCA"})
jira.transition_issue(made, "Resolve Issue", fields={"resolution": {"name": "Fixed"}})
read = jira.issue(made.key)
try:
    jira.create_issue(project="PAY", issuetype={"name": "No such type"}, summary="x")
    refused = ""
except JIRAError as error:
    refused = error.text
print(
    json.dumps(
        {
            "key": made.key,
            "project": jira.project("PAY").name,
            "types": [kind.name for kind in jira.project("PAY").issueTypes],
            "priorities": [row.name for row in jira.priorities()][:2],
            "fields": {"summary", "description", "labels"} <= {row["id"] for row in jira.fields()},
            "summary": read.fields.summary,
            "priority": read.fields.priority.name,
            "status": read.fields.status.name,
            "comments": len(jira.comments(made)),
            "files": [row.filename for row in read.fields.attachment],
            "content": read.fields.attachment[0].get().decode(),
            "links": [row.outwardIssue.key for row in read.fields.issuelinks],
            "remote": [row.object.url for row in jira.remote_links(made)],
            "found": [row.key for row in jira.search_issues("project = PAY AND labels = aw-1f")],
            "property": jira.issue_property(made, "p").value.a,
            "link": jira.issue_link(read.fields.issuelinks[0].id).type.name,
            "people": [
                row.displayName for row in (jira.search_users(query="abel") if cloud else jira.search_users("abel"))
            ],
            "several": sorted(
                row.key for row in jira.search_issues("project = PAY and (summary ~ Up or not status = Resolved)")
            ),
            "priority_by_id": jira.priority(jira.priorities()[0].id).name,
            "me": bool(jira.myself()["displayName"]),
            "refused": refused,
        }
    )
)
