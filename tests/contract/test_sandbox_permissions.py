"""The sandbox refuses what is denied, in each vendor's words, and leaves the rest alone."""

from __future__ import annotations

import pytest

AUTH = {"Authorization": "Bearer x1"}
PATCH = AUTH | {"Content-Type": "application/json-patch+json"}
NEW_ITEM = [{"op": "add", "path": "/fields/System.Title", "value": "x"}]
V2 = "/wiki/api/v2"


async def deny(sandbox, **given):
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/permissions", json=given) as answer:
        return answer.status


async def call(sandbox, method, path, **more):
    headers = more.pop("headers", AUTH)
    async with sandbox.session.request(method, sandbox.url + path, headers=headers, **more) as answer:
        return answer.status, await answer.json(content_type=None)


def page(space):
    return {"spaceId": space, "title": f"in {space}", "body": {"representation": "storage", "value": "<p/>"}}


async def test_a_space_without_the_right_to_create_says_so_and_another_takes_pages(sandbox):
    assert await deny(sandbox, vendor="confluence", target="ENG", deny=["create"]) == 201
    status, body = await call(sandbox, "POST", f"{V2}/pages", json=page("98301"))
    assert (status, body["errors"][0]["code"]) == (403, "FORBIDDEN")
    assert (await call(sandbox, "POST", f"{V2}/pages", json=page("98300")))[0] == 200
    _, rights = await call(sandbox, "GET", f"{V2}/spaces/98301/operations")
    assert {"operation": "create", "targetType": "page"} not in rights["operations"]
    v1 = {"type": "page", "title": "x", "space": {"key": "ENG"}, "body": {"storage": {"value": "<p/>"}}}
    status, body = await call(sandbox, "POST", "/rest/api/content", json=v1)
    assert (status, body["statusCode"]) == (403, 403)


async def test_a_missing_scope_for_labels_is_told_by_the_gateway(sandbox):
    _, made = await call(sandbox, "POST", f"{V2}/pages", json=page("98300"))
    await deny(sandbox, vendor="confluence", target="OPS", deny=["label"])
    path = f"/wiki/rest/api/content/{made['id']}/label"
    status, body = await call(sandbox, "POST", path, json=[{"name": "a"}])
    assert (status, body["message"]) == (401, "Unauthorized; scope does not match")
    assert (await call(sandbox, "GET", path))[0] == 200


@pytest.mark.parametrize("query", ["", "&validateOnly=true"])
async def test_a_locked_project_refuses_items_and_their_dry_run(sandbox, query):
    await deny(sandbox, vendor="azure_devops", target="Payments", deny=["create"])
    path = "/acme/{}/_apis/wit/workitems/$Bug?api-version=7.1" + query
    status, body = await call(sandbox, "POST", path.format("Payments"), json=NEW_ITEM, headers=PATCH)
    assert status == 403
    assert "TF237111" in body["message"]
    assert (await call(sandbox, "POST", path.format("Operations"), json=NEW_ITEM, headers=PATCH))[0] == 200


async def test_a_table_that_may_not_be_changed_is_refused_by_an_access_rule_until_all_is_permitted(sandbox):
    await deny(sandbox, vendor="servicenow", target="incident", deny=["create"])
    path, new = "/api/now/table/incident", {"short_description": "x"}
    status, body = await call(sandbox, "POST", path, json=new)
    assert (status, "ACL" in body["error"]["detail"]) == (403, True)
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/permissions") as answer:
        assert answer.status == 204
    assert (await call(sandbox, "POST", path, json=new))[0] == 201


async def test_what_is_not_understood_is_refused(sandbox):
    assert await deny(sandbox, vendor="nobody", target="x", deny=[]) == 400
    assert await deny(sandbox, vendor="confluence", target="x", deny=["everything"]) == 400


async def test_a_strangers_answer_and_a_vendors_words_come_as_they_were_asked_for(sandbox):
    await sandbox.fault(fault="status", status=407, body="<p>proxy</p>", content_type="text/html")
    async with sandbox.session.get(f"{sandbox.url}{V2}/spaces", headers=AUTH) as answer:
        assert (answer.status, answer.content_type, await answer.text()) == (407, "text/html", "<p>proxy</p>")
    await sandbox.fault(fault="status", status=503, message="TF24668: deactivated", type_key="X")
    status, body = await call(sandbox, "GET", "/acme/_apis/projects")
    assert (status, body["message"], body["typeKey"]) == (503, "TF24668: deactivated", "X")


async def test_a_version_that_is_newer_than_the_server_is_out_of_range(sandbox):
    status, body = await call(sandbox, "GET", "/acme/_apis/projects?api-version=9.9")
    assert (status, body["typeKey"]) == (400, "VssVersionOutOfRangeException")


async def test_a_credential_that_calls_itself_anonymous_is_nobodys(sandbox):
    headers = {"Authorization": "Bearer anonymous"}
    _, data = await call(sandbox, "GET", "/acme/_apis/connectionData", headers=headers)
    assert "System:PublicAccess" in data["authenticatedUser"]["descriptor"]
    _, user = await call(sandbox, "GET", "/wiki/rest/api/user/current", headers=headers)
    assert user["type"] == "anonymous"
