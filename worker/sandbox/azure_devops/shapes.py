"""How Azure DevOps writes things down: work items, projects, types, locations."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

from worker.sandbox.azure_devops.process import READ_ONLY, Field, Process
from worker.sandbox.store import NAMESPACE, iso, project_id

ME = str(uuid.uuid5(NAMESPACE, "sandbox user"))
INSTANCE = str(uuid.uuid5(NAMESPACE, "sandbox instance"))
RELATIONS = {"System.LinkTypes.Hierarchy-Forward": "Child", "System.LinkTypes.Hierarchy-Reverse": "Parent"}
WIT, ITEMS, TYPES = ("{project}/_apis/{area}/" + name for name in ("{resource}", "workItems", "workItemTypes"))
AREAS = {"wit": "5264459e-e5e0-4bd8-b118-0985e68a4ec5", "core": "79134c72-4a58-4b42-976c-04e7115f32bf"}
# The ids by which Microsoft's own clients ask for a resource, with its area, name, path and version.
LOCATIONS = (
    ("00d9565f-ed9c-4a06-9a50-00e7896ccab4", "Location", "ConnectionData", "_apis/{resource}", 1),
    ("e81700f7-3be2-46de-8624-2eb35882fcaa", "Location", "ResourceAreas", "_apis/{resource}/{areaId}", 1),
    ("603fe2ac-9723-48b9-88ad-09305aa6c6e1", "core", "projects", "_apis/{resource}/{*projectId}", 4),
    ("62d3d110-0047-428c-ad3c-4fe872c91c74", "wit", "workItems", f"{WIT}/${{type}}", 3),
    ("72c7ddf8-2cdc-4f60-90cd-ab71c14a399b", "wit", "workItems", f"{WIT}/{{id}}", 3),
    ("908509b6-4248-4475-a1cd-829139ba419f", "wit", "workItemsBatch", WIT, 1),
    ("1a9c53f7-f243-4447-b110-35ef023636e4", "wit", "wiql", "{project}/{team}/_apis/{area}/{resource}", 2),
    ("7c8d7a76-4a09-43e8-b5df-bd792f4ac6aa", "wit", "workItemTypes", f"{WIT}/{{type}}", 2),
    ("7c9d7a76-4a09-43e8-b5df-bd792f4ac6aa", "wit", "workItemTypeStates", f"{TYPES}/{{type}}/states", 1),
    ("f5d33bc9-5b49-4a3c-a9bd-f3cd46dd2165", "wit", "workItemRelationTypes", "_apis/{area}/{resource}/{relation}", 2),
    ("b51fd764-e5c2-4b9b-aaf7-3395cf4bdd94", "wit", "fields", f"{WIT}/{{fieldNameOrRefName}}", 3),
    ("5a172953-1b41-49d3-840a-33f79c3ce89f", "wit", "classificationNodes", f"{WIT}/{{structureGroup}}/{{*path}}", 2),
    ("e07b5fa4-1499-494d-a496-64b860fd64ff", "wit", "attachments", f"{WIT}/{{id}}", 4),
    (
        "608aac0a-32e1-4493-a863-b9cf4566d257",
        "wit",
        "comments",
        f"{ITEMS}/{{workItemId}}/{{resource}}/{{commentId}}",
        4,
    ),
    ("6570bf97-d02c-4a91-8d93-3abe9895b1a9", "wit", "updates", f"{ITEMS}/{{id}}/{{resource}}/{{updateNumber}}", 4),
    ("a00c85a5-80fa-4565-99c3-bcd2181434bb", "wit", "revisions", f"{ITEMS}/{{id}}/{{resource}}/{{revisionNumber}}", 3),
    ("b70d8d39-926c-465e-b927-b1bf0e5ca0e0", "wit", "recyclebin", f"{WIT}/{{id}}", 2),
)


def locations() -> list[dict[str, Any]]:
    """The resources that clients may ask for."""
    fixed = {"minVersion": "1.0", "maxVersion": "7.2", "releasedVersion": "7.1"}
    return [
        {"id": i, "area": area, "resourceName": name, "routeTemplate": path, "resourceVersion": version} | fixed
        for i, area, name, path, version in LOCATIONS
    ]


def resource_areas(base: str) -> list[dict[str, str]]:
    """Where each area is served: all here."""
    return [{"id": number, "name": name, "locationUrl": base} for name, number in AREAS.items()]


def identity(base: str) -> dict[str, Any]:
    """The account as fields show it."""
    avatar = f"{base}/_apis/GraphProfile/MemberAvatars/aad.sandbox"
    return {
        "displayName": "Sandbox",
        "url": f"{base}/_apis/Identities/{ME}",
        "_links": {"avatar": {"href": avatar}},
        "id": ME,
        "uniqueName": "sandbox@example.com",
        "imageUrl": avatar,
        "descriptor": "aad.sandbox",
    }


ANONYMOUS = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"


def connection_data(me: dict[str, str], *, anonymous: bool = False) -> dict[str, Any]:
    """Who is signed in, and where. Organisations with public projects answer anonymous visitors, too."""
    user = {
        "id": ME,
        "descriptor": f"Microsoft.IdentityModel.Claims.ClaimsIdentity;{me['user_name']}",
        "subjectDescriptor": f"aad.{me['user_name']}",
        "providerDisplayName": me["name"],
        "customDisplayName": me["name"],
        "isActive": True,
        "properties": {"Account": {"$type": "System.String", "$value": me["email"]}},
        "resourceVersion": 2,
        "metaTypeId": 0,
    }
    if anonymous:
        user |= {
            "id": ANONYMOUS,
            "descriptor": f"System:PublicAccess;{ANONYMOUS}",
            "subjectDescriptor": "",
            "properties": {},
        }
        user |= {"providerDisplayName": "Anonymous", "customDisplayName": "Anonymous"}
    service = {
        "serviceOwner": INSTANCE,
        "defaultAccessMappingMoniker": "PublicAccessMapping",
        "lastChangeId": 1,
        "lastChangeId64": 1,
    }
    place = {
        "instanceId": INSTANCE,
        "deploymentId": INSTANCE,
        "deploymentType": "hosted",
        "locationServiceData": service,
    }
    return {"authenticatedUser": user, "authorizedUser": user} | place


def project(name: str, process: Process, base: str, *, single: bool, capabilities: bool) -> dict[str, Any]:
    """A project, in a list or by itself."""
    number = project_id(name)
    url = f"{base}/_apis/projects/{number}"
    row: dict[str, Any] = {"id": number, "name": name, "url": url, "state": "wellFormed"}
    if capabilities:
        control = {"sourceControlType": "Git", "gitEnabled": "True", "tfvcEnabled": "False"}
        template = {"templateName": process.name, "templateTypeId": str(uuid.uuid5(NAMESPACE, process.name))}
        row["capabilities"] = {"processTemplate": template, "versioncontrol": control}
    row |= {"revision": 1, "visibility": "private", "lastUpdateTime": iso(0)}
    if single:
        team = str(uuid.uuid5(NAMESPACE, f"{name} Team"))
        row["_links"] = {
            "self": {"href": url},
            "collection": {"href": f"{base}/_apis/projectCollections/{INSTANCE}"},
            "web": {"href": f"{base}/{name}"},
        }
        row["defaultTeam"] = {"id": team, "name": f"{name} Team", "url": f"{url}/teams/{team}"}
    return row


def work_item_type(name: str, process: Process, base: str, place: str) -> dict[str, Any]:
    """A work item type."""
    url = f"{base}/{place}/_apis/wit/workItemTypes/{name}"
    rules = process.rules(name)
    usual = ("System.Title", "System.State", "System.Tags", "System.AreaPath", "System.IterationPath")
    fields = [
        column(reference, base) | {"alwaysRequired": reference in ("System.Title", *rules.required)}
        for reference in dict.fromkeys((*usual, *rules.required, *rules.read_only))
    ]
    moves = process.moves(name).items()
    return {
        "name": name,
        "referenceName": f"Microsoft.VSTS.WorkItemTypes.{name.replace(' ', '')}",
        "description": f"{name} of the {process.name} process",
        "color": "CC293D" if name == "Bug" else "009CCC",
        "icon": {
            "id": "icon_insect" if name == "Bug" else "icon_clipboard",
            "url": f"{base}/_apis/wit/workItemIcons/icon",
        },
        "isDisabled": False,
        "xmlForm": "",
        "fields": fields,
        "fieldInstances": fields,
        "transitions": {old: [{"to": new} for new in news] for old, news in moves},
        "states": states(name, process),
        "_links": {"self": {"href": url}},
        "url": url,
    }


def states(name: str, process: Process) -> list[dict[str, str]]:
    """The type's states."""
    return [{"name": state, "color": "b2b2b2", "category": category} for state, category in process.states(name)]


def column(reference: str, base: str) -> dict[str, Any]:
    """A field as a query names it."""
    name = reference.rpartition(".")[2]
    return {"referenceName": reference, "name": name, "url": f"{base}/_apis/wit/fields/{reference}"}


def field(found: Field, base: str) -> dict[str, Any]:
    """A field's description."""
    marks = {
        "readOnly": found.name in READ_ONLY,
        "isIdentity": found.type == "identity",
        "isPicklist": bool(found.values),
    }
    return column(found.name, base) | {"type": found.shown_type} | marks


def work_item(item: dict[str, Any], base: str, *, expand: str, only: list[str], single: bool) -> dict[str, Any]:
    """A work item. `expand` is `none`, `relations`, `fields`, `links` or `all`; `only` limits the fields."""
    number = project_id(item["fields"]["System.TeamProject"])
    url = f"{base}/{number}/_apis/wit/workItems/{item['id']}"
    fields = {**item["fields"], "System.CommentCount": item["comments"]}
    for name in ("System.CreatedBy", "System.ChangedBy"):
        fields[name] = identity(base)
    if expand == "all" or only:
        fields |= {"System.Id": item["id"], "System.Rev": item["rev"]}
    wanted = {name.lower() for name in only}
    shown = {name: value for name, value in fields.items() if not wanted or name.lower() in wanted}
    row: dict[str, Any] = {"rev": item["rev"], "fields": shown, "multilineFieldsFormat": dict(item["formats"])}
    if item["id"]:
        row = {"id": item["id"]} | row
    if item["relations"] and expand in ("relations", "all"):
        row["relations"] = [
            r | {"attributes": {"isLocked": False, "name": _relation_name(r)} | r["attributes"]}
            for r in item["relations"]
        ]
    if single or expand in ("links", "all"):
        row["_links"] = {
            "self": {"href": url},
            "workItemUpdates": {"href": f"{url}/updates"},
            "workItemRevisions": {"href": f"{url}/revisions"},
            "workItemComments": {"href": f"{url}/comments"},
            "html": {"href": f"{base}/{number}/_workitems/edit/{item['id']}"},
            "workItemType": {
                "href": f"{base}/{number}/_apis/wit/workItemTypes/{item['fields']['System.WorkItemType']}"
            },
            "fields": {"href": f"{base}/{number}/_apis/wit/fields"},
        }
    return row | {"url": url}


def _relation_name(row: dict[str, Any]) -> str:
    """What a link is called: by its kind, or a file's own name."""
    if row["rel"] == "AttachedFile":
        return parse_qs(urlsplit(str(row["url"])).query).get("fileName", [""])[0]
    return RELATIONS.get(row["rel"], str(row["rel"]))
