"""A page as users of `atlassian-python-api` 5 write one to a Data Center."""

import json
import os

from atlassian.confluence import ConfluenceServer

wiki = ConfluenceServer(url=os.environ["URL"], token=os.environ["SECRET"])
storage = {"representation": "storage"}
page = wiki.create_content(
    {"type": "page", "title": "RCA", "space": {"key": "OPS"}, "body": {"storage": {"value": "<p>one</p>"} | storage}}
)
body = {"storage": {"value": "<p>two</p>", "representation": "storage"}}
wiki.update_content(page["id"], {"type": "page", "title": "RCA", "version": {"number": 2}, "body": body})
print(
    json.dumps(
        {
            "id": page["id"],
            "space": wiki.get_space("OPS")["key"],
            "version": wiki.get_content_by_id(page["id"])["version"]["number"],
        }
    )
)
