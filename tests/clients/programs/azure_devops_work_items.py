"""A work item as users of `azure-devops` make, find, change, discuss and delete one."""

import io
import json
import os

from azure.devops.connection import Connection
from azure.devops.exceptions import AzureDevOpsServiceError
from azure.devops.v7_1.work_item_tracking.models import (
    CommentCreate,
    CommentUpdate,
    JsonPatchOperation,
    TeamContext,
    Wiql,
    WorkItemBatchGetRequest,
    WorkItemDeleteUpdate,
)
from msrest.authentication import BasicAuthentication

connection = Connection(os.environ["URL"] + "/contoso", BasicAuthentication("", os.environ["SECRET"]))
wit = connection.clients_v7_1.get_work_item_tracking_client()
core = connection.clients_v7_1.get_core_client()


def add(path, value):
    return JsonPatchOperation(op="add", path=path, value=value)


def field(name, value):
    return add(f"/fields/{name}", value)


parent = wit.create_work_item([field("System.Title", "Outages")], "Operations", "Epic")
made = wit.create_work_item(
    [
        field("System.Title", "Down"),
        field("System.Tags", "rca; aw-1f"),
        field("System.AssignedTo", "abel.tuter@example.com"),
        add("/relations/-", {"rel": "System.LinkTypes.Hierarchy-Reverse", "url": parent.url}),
    ],
    "Operations",
    "Bug",
)
file = wit.create_attachment(io.BytesIO(b"one line\n"), project="Operations", file_name="trace.txt")
changed = wit.update_work_item(
    [field("System.Title", "Up"), add("/relations/-", {"rel": "AttachedFile", "url": file.url})], made.id
)
comment = wit.add_comment(CommentCreate(text="Seen."), "Operations", made.id)
read = wit.get_work_item(made.id, expand="All")
query = "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject]=@project AND [System.Tags] CONTAINS 'aw-1f'"
found = wit.query_by_wiql(Wiql(query=query), TeamContext(project="Operations"))
batch = wit.get_work_items_batch(WorkItemBatchGetRequest(ids=[made.id, parent.id], fields=["System.Title"]))
try:
    wit.create_work_item([field("System.Title", "x")], "Operations", "Incident")
    refused = ""
except AzureDevOpsServiceError as error:
    refused = error.type_key
second = wit.add_comment(CommentCreate(text="Twice."), "Operations", made.id)
wit.update_comment(CommentUpdate(text="Changed."), "Operations", made.id, second.id)
changed_text = wit.get_comment("Operations", made.id, second.id).text
wit.delete_comment("Operations", made.id, second.id)
recent = "SELECT [System.Id] FROM WorkItems WHERE [System.CreatedDate] >= @today - 7 AND [System.Tags] CONTAINS 'aw-1f'"
updates = wit.get_updates(made.id)
print(
    json.dumps(
        {
            "projects": sorted(project.name for project in core.get_projects()),
            "process": core.get_project("Starter", include_capabilities=True).capabilities["processTemplate"],
            "types": [kind.name for kind in wit.get_work_item_types("Starter")],
            "states": [state.name for state in wit.get_work_item_type_states("Operations", "Bug")],
            "areas": [node.name for node in wit.get_classification_node("Operations", "areas", depth=1).children],
            "fields": sum(field.reference_name.startswith("System.") for field in wit.get_work_item_fields()) > 10,
            "title": read.fields["System.Title"],
            "assigned": read.fields["System.AssignedTo"]["displayName"],
            "relations": sorted(row.rel for row in read.relations),
            "parent": [row.url == parent.url for row in read.relations if row.rel.endswith("Reverse")],
            "content": b"".join(wit.get_attachment_content(file.id)).decode(),
            "comments": [row.text for row in wit.get_comments("Operations", parent.id).comments],
            "comment": comment.text,
            "changed_text": changed_text,
            "left": [row.text for row in wit.get_comments("Operations", made.id).comments],
            "revisions": [row.fields["System.Title"] for row in wit.get_revisions(made.id)][:2],
            "recent": [row.id for row in wit.query_by_wiql(Wiql(query=recent)).work_items] == [made.id],
            "rev": changed.rev,
            "found": [row.id for row in found.work_items] == [made.id],
            "batch": [row.fields["System.Title"] for row in batch],
            "updates": [
                row.fields["System.Title"].new_value for row in updates if "System.Title" in (row.fields or {})
            ],
            "thrown": wit.delete_work_item(made.id).id == made.id,
            "deleted": [row.id for row in wit.get_deleted_work_items([made.id])] == [made.id],
            "back": wit.restore_work_item(WorkItemDeleteUpdate(is_deleted=False), made.id).id == made.id,
            "refused": refused,
        }
    )
)
