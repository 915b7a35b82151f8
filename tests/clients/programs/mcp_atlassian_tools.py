"""A page and an issue as an assistant handles them over the Model Context Protocol, with `mcp-atlassian` as the server."""

import asyncio
import json
import os
import pathlib
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

site = {"CONFLUENCE_URL": os.environ["URL"], "JIRA_URL": os.environ["URL"]}
secrets = dict.fromkeys(("CONFLUENCE_PERSONAL_TOKEN", "JIRA_PERSONAL_TOKEN"), os.environ["SECRET"])
program = str(pathlib.Path(sys.executable).with_name("mcp-atlassian"))
server = StdioTransport(program, [], env=dict(os.environ) | site | secrets)


async def main():
    async with Client(server) as client:

        async def use(tool, **arguments):
            return json.loads((await client.call_tool(tool, arguments)).content[0].text)

        page = await use("confluence_create_page", space_key="OPS", title="RCA", content="# Cause\n\n| a |\n|-|\n| 1 |")
        number = page["page"]["id"]
        await use("confluence_update_page", page_id=number, title="RCA", content="Again.", is_minor_edit=False)
        await use("confluence_add_label", page_id=number, name="rca")
        await use("confluence_add_comment", page_id=number, body="Seen.")
        read = await use("confluence_get_page", page_id=number)
        found = await use("confluence_search", query='title = "RCA"')
        issue = await use("jira_create_issue", project_key="PAY", summary="Down", issue_type="Bug", description="*one*")
        key = issue["issue"]["key"]
        await use("jira_update_issue", issue_key=key, fields=json.dumps({"summary": "Up"}))
        await use("jira_add_comment", issue_key=key, body="Seen.")
        ways = await use("jira_get_transitions", issue_key=key)
        await use("jira_transition_issue", issue_key=key, transition_id=str(ways[0]["id"]))
        issue = await use("jira_get_issue", issue_key=key)
        search = await use("jira_search", jql="project = PAY")
        return {
            "body": read["metadata"]["content"]["value"],
            "version": read["metadata"]["version"],
            "found": [row["title"] for row in found],
            "summary": issue["summary"],
            "status": issue["status"]["name"],
            "comments": len(issue["comments"]),
            "search": [row["key"] for row in search["issues"]],
        }


print(json.dumps(asyncio.run(main())))
