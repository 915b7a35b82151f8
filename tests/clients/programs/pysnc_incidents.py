"""An incident as users of `pysnc` handle one: the GlideRecord that they know from the platform, over HTTP."""

import json
import os

from pysnc import ServiceNowClient

client = ServiceNowClient(os.environ["URL"], ("u", os.environ["SECRET"]), verify="ca.pem")
incident = client.GlideRecord("incident")
incident.initialize()
incident.short_description = "Down"
incident.impact = "1"
incident.urgency = "2"
incident.correlation_id = "k1"
incident.assignment_group = "Database"
number = str(incident.insert())

found = client.GlideRecord("incident")
found.add_query("correlation_id", "k1")
found.query()
assert found.next()
found.short_description = "Up"
found.work_notes = "Seen."
found.update()
found.add_attachment("trace.txt", b"one line\n", content_type="text/plain")
files = found.get_attachments()

read = client.GlideRecord("incident")
assert read.get(number)
journal = client.GlideRecord("sys_journal_field")
journal.add_query("element_id", number)
journal.query()

for title in ("a", "b", "c"):
    more = client.GlideRecord("incident")
    more.initialize()
    more.short_description = title
    more.category = "network"
    more.insert()
several = client.GlideRecord("incident", batch_size=2)
several.add_query("category", "network")
several.order_by("number")
several.query()
titles = [row.get_value("short_description") for row in several]

batch = client.GlideRecord("incident")
batch.add_query("category", "network")
batch.query()
deleted = batch.delete_multiple()
left = client.GlideRecord("incident")
left.query()
print(
    json.dumps(
        {
            "title": read.get_value("short_description"),
            "priority": read.get_value("priority"),
            "shown": read.get_display_value("priority"),
            "group": read.get_display_value("assignment_group"),
            "files": [[file.file_name, file.read().decode()] for file in files],
            "journal": [row.get_value("value") for row in journal],
            "titles": titles,
            "deleted": deleted,
            "left": len(left),
        }
    )
)
