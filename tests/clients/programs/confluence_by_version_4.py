"""A page as users of `atlassian-python-api` 4 write, find, label, attach to, discuss and move one."""

import json
import os
import pathlib

from atlassian import Confluence

cloud = os.environ["FLAVOR"] == "cloud"
account = {"username": "a@example.com", "password": os.environ["SECRET"]} if cloud else {"token": os.environ["SECRET"]}
wiki = Confluence(url=os.environ["URL"] + ("/wiki" if cloud else ""), cloud=cloud, **account)
pathlib.Path("trace.txt").write_text("one line\n")

parent = wiki.create_page("OPS", "Post-mortems", "<p></p>")
page = wiki.create_page("OPS", "RCA", "<p>one</p>", parent_id=parent["id"])
wiki.update_page(page["id"], "RCA", "<p>two</p>", minor_edit=True, version_comment="again")
wiki.append_page(page["id"], "RCA", "<p>three</p>")
wiki.set_page_label(page["id"], "rca")
wiki.set_page_property(page["id"], {"key": "afterword", "value": {"subject": "s1"}})
wiki.attach_file("trace.txt", page_id=page["id"])
wiki.add_comment(page["id"], "<p>Seen.</p>")
again = wiki.update_or_create(parent["id"], "RCA", "<p>four</p>")
read = wiki.get_page_by_title("OPS", "RCA", expand="body.storage,version,ancestors")
print(
    json.dumps(
        {
            "exists": wiki.page_exists("OPS", "RCA"),
            "absent": wiki.page_exists("OPS", "No such page"),
            "again": again["id"] == page["id"],
            "id": wiki.get_page_id("OPS", "RCA") == page["id"],
            "space": wiki.get_page_space(page["id"]),
            "body": read["body"]["storage"]["value"],
            "version": read["version"]["number"],
            "below": [row["title"] for row in read["ancestors"]][-1],
            "children": [row["title"] for row in wiki.get_page_child_by_type(parent["id"])],
            "labels": [row["name"] for row in wiki.get_page_labels(page["id"])["results"]],
            "property": wiki.get_page_property(page["id"], "afterword")["value"],
            "files": [row["title"] for row in wiki.get_attachments_from_content(page["id"])["results"]],
            "comments": len(wiki.get_page_comments(page["id"])["results"]),
            "found": [row["content"]["title"] for row in wiki.cql('space = OPS and title = "RCA"')["results"]],
            "either": sorted(
                row["content"]["title"] for row in wiki.cql('title = RCA or title = "Post-mortems"')["results"]
            ),
            "by_me": [
                row["content"]["title"]
                for row in wiki.cql(f"ancestor = {parent['id']} and creator = currentUser()")["results"]
            ],
            "first": wiki.get_content_history_by_version_number(page["id"], 1)["number"],
            "history": wiki.history(page["id"])["lastUpdated"]["number"],
            "ancestors": [row["title"] for row in wiki.get_page_ancestors(page["id"])][-1],
        }
    )
)
