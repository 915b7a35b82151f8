"""An incident as users of `pysnow` make, find, change, attach to and delete one."""

import json
import os
import pathlib

import pysnow

client = pysnow.Client(host=os.environ["HOST"], user="u", password=os.environ["SECRET"], use_ssl=False)
table = client.resource(api_path="/table/incident")
pathlib.Path("trace.txt").write_text("one line\n")

made = table.create(
    {"short_description": "Down", "impact": "1", "urgency": "2", "correlation_id": "k1", "nope": "x"}
).one()
row = table.get(query={"correlation_id": "k1"}).one()
changed = table.update(query={"sys_id": row["sys_id"]}, payload={"short_description": "Up"}).one()
table.attachments.upload(sys_id=row["sys_id"], file_path="trace.txt")
query = pysnow.QueryBuilder().field("priority").equals("2").AND().field("short_description").contains("p")
other = table.create({"short_description": "Another"}).one()
walked = table.get(query="caller_id.name=Nobody^ORassignment_group.name=Nobody", fields=["number"]).all()
ranged = table.get(query=pysnow.QueryBuilder().field("impact").between(1, 2), fields=["number"]).all()
deleted = table.delete(query={"number": other["number"]})
try:
    client.resource(api_path="/table/no_such_table").get(query={}).all()
    refused = ""
except Exception as error:  # the client's own classes differ by version
    refused = type(error).__name__
print(
    json.dumps(
        {
            "made": made["number"],
            "priority": row["priority"],
            "nope": "nope" in row,
            "title": changed["short_description"],
            "files": [file["file_name"] for file in table.attachments.get(sys_id=row["sys_id"])],
            "found": [found["number"] for found in table.get(query=query, fields=["number"]).all()],
            "walked": list(walked),
            "ranged": [found["number"] for found in ranged],
            "deleted": deleted["status"],
            "left": len(list(table.get(query={}, limit=10).all())),
            "refused": bool(refused),
        }
    )
)
