"""The API's reference page, made from its OpenAPI document: no script, no other host, readable by everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tasks.model import Frozen
from worker.console.visit import Route, Visit

PREFIX = "#/components/schemas/"


class Field(Frozen):
    """One parameter or one field of a body: its name, type in words, whether it must be there, and what it means."""

    name: str
    type: str
    required: bool = False
    text: str = ""


class Operation(Frozen):
    """One operation of the API, as the page shows it."""

    method: str
    path: str
    summary: str
    text: str
    scopes: tuple[str, ...]
    parameters: tuple[Field, ...]
    bodies: tuple[tuple[str, tuple[Field, ...]], ...]
    examples: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, str, tuple[Field, ...]], ...]


async def reference(visit: Visit) -> web.StreamResponse:
    """The page."""
    specification = visit.console.specification
    groups = [
        (
            tag["name"],
            tag["x-displayName"],
            tag["description"],
            [each for name, each in operations(specification) if name == tag["name"]],
        )
        for tag in specification["tags"]
    ]
    return await visit.page("reference.html", about=specification["info"]["description"], groups=groups)


def operations(specification: Mapping[str, Any]) -> list[tuple[str, Operation]]:
    """Every operation with its tag, in the document's order."""
    schemas = specification["components"]["schemas"]
    return [
        (operation["tags"][0], _operation(path, method, operation, schemas))
        for path, methods in specification["paths"].items()
        for method, operation in methods.items()
    ]


def _operation(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Operation:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = body.get("examples", {}).values()
    return Operation(
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation["description"],
        scopes=tuple(scope for entry in operation["security"] for scope in entry["apiKey"]),
        parameters=tuple(
            Field(
                name=each["name"],
                type=_type(each["schema"], schemas),
                required=each["required"],
                text=each.get("description") or each["schema"].get("description", ""),
            )
            for each in operation["parameters"]
        ),
        bodies=_shapes(body["schema"], schemas) if body else (),
        examples=tuple((each["summary"], json.dumps(each["value"], indent=2)) for each in examples),
        answers=tuple(_answer(status, answer, schemas) for status, answer in operation["responses"].items()),
    )


def _answer(status: str, answer: Mapping[str, Any], schemas: Mapping[str, Any]) -> tuple[str, str, tuple[Field, ...]]:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    shapes = _shapes(schema, schemas) if schema else ()
    return status, answer["description"], shapes[0][1] if shapes else ()


def _shapes(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> tuple[tuple[str, tuple[Field, ...]], ...]:
    """Each form that a body may have, by the value that tells it from the others, with its fields."""
    choices = schema.get("oneOf") or schema.get("anyOf") or [schema]
    found: list[tuple[str, tuple[Field, ...]]] = []
    for choice in choices:
        name = choice.get("$ref", "").removeprefix(PREFIX)
        whole = schemas.get(name, choice)
        if "properties" not in whole and (whole.get("oneOf") or whole.get("anyOf")):
            found += _shapes(whole, schemas)
            continue
        required = whole.get("required", ())
        fields = tuple(
            Field(name=key, type=_type(facts, schemas), required=key in required, text=facts.get("description", ""))
            for key, facts in whole.get("properties", {}).items()
        )
        told = (f"{key} is {facts['const']}" for key, facts in whole.get("properties", {}).items() if "const" in facts)
        found.append((next(told, ""), fields))
    return tuple(found)


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        return _type(schemas[name], schemas) if "enum" in schemas.get(name, {}) else name
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(map(json.dumps, schema["enum"]))
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " | ".join(dict.fromkeys(_type(each, schemas) for each in choices if each.get("type") != "null"))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), schemas)}"
    return kind


ROUTES = (Route("GET", "/docs", reference, None),)
