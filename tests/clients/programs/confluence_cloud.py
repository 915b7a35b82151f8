"""A page as users of `atlassian-python-api` 5 write, find and describe one by version 2 of Confluence Cloud."""

import json
import os

from atlassian.confluence_v2 import ConfluenceV2

wiki = ConfluenceV2(url=os.environ["URL"] + "/wiki", username="a@example.com", password=os.environ["SECRET"])
space = wiki.get_spaces(keys=["OPS"])[0]
parent = wiki.create_page(space_id=space["id"], title="Post-mortems", body="<p></p>")
page = wiki.create_page(space_id=space["id"], title="RCA", body="<p>one</p>", parent_id=parent["id"])
wiki.update_page(page["id"], title="RCA", body="<p>two</p>", status="current")
wiki.create_page_property(page["id"], "afterword", {"subject": "s1"})
found = wiki.get_pages(space_id=space["id"], title="RCA")
kept = wiki.get_page_property_by_key(page["id"], "afterword")
wiki.delete_page(parent["id"])
print(
    json.dumps(
        {
            "id": page["id"],
            "found": [row["id"] for row in found],
            "below": page["parentId"] == parent["id"],
            "body": wiki.get_page_by_id(page["id"], body_format="storage")["body"]["storage"]["value"],
            "keys": [row["key"] for row in wiki.get_page_properties(page["id"])],
            "kept": kept["value"],
        }
    )
)
