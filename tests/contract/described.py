"""Whether a request is one that a vendor's own description knows: path, method, query, kind of body and what stands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import jsonschema

from tasks.http.message import Request
from tests.contract.sandbox_support import plain

# Microsoft types a patch document as an object; it is a list of what its own schema calls an operation.
PATCH = {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/JsonPatchOperation"}}
PLAIN = {"integer": r"-?\d+", "boolean": "true|false", "number": r"-?\d+(\.\d+)?"}


def operation_of(description: dict[str, Any], method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The template of a path and what is described for the method there; the one with the fewest variables counts.

    Microsoft's pages say that project and team may be left out where its files have them.
    """
    for template in sorted(description["paths"], key=lambda text: text.count("{")):
        pattern = re.sub(r"/\\\{(team|project)\\\}", "(?:/[^/]+)?", re.escape(template))
        pattern = re.sub(r"\\\{[^/]+?\\\}", "[^/]+", pattern)
        found = description["paths"][template].get(method.lower())
        if found is not None and re.fullmatch(pattern, path, re.IGNORECASE):
            return template, found
    return None


def faults_of(description: dict[str, Any], operation: dict[str, Any], request: Request) -> Iterator[str]:
    """What the description has against the request."""
    given = [_resolved(description, row) for row in operation.get("parameters", ())]
    known = {row["name"]: row for row in given if row["in"] == "query"}
    for name, value in request.params.items():
        if name not in known:
            yield f"no query parameter {name}"
        elif not _fits(description, known[name], value):
            yield f"{name}={value} is not {known[name].get('schema') or known[name].get('type')}"
    yield from (
        f"{name} is missing" for name, row in known.items() if row.get("required") and name not in request.params
    )
    yield from _body_faults(description, operation, given, request)


def _resolved(description: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The part, or what it refers to."""
    while "$ref" in part:
        found: Any = description
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def _fits(description: dict[str, Any], parameter: dict[str, Any], value: str) -> bool:
    schema = _resolved(description, parameter.get("schema") or parameter)
    several = schema.get("type") == "array"
    one = _resolved(description, schema.get("items", {})) if several else schema
    for text in value.split(",") if several else [value]:
        if one.get("enum") and text not in one["enum"]:
            return False
        if not re.fullmatch(PLAIN.get(one.get("type", ""), r"(?s).*"), text):
            return False
    return True


def _body_faults(
    description: dict[str, Any], operation: dict[str, Any], given: list[dict[str, Any]], request: Request
) -> Iterator[str]:
    own = next((row for row in given if row["in"] == "body"), None)
    content = _resolved(description, operation.get("requestBody", {})).get("content", {})
    kinds = operation.get("consumes", ()) if own else tuple(content)
    named = {name.lower(): value for name, value in request.headers.items()}.get("content-type", "")
    kind = named.partition(";")[0] or ("application/json" if request.json is not None else "")
    if not request.payload:
        if own and own.get("required"):
            yield "a body is missing"
        return
    if kind not in kinds:
        yield f"the body is {kind or 'of no kind'}, and not {', '.join(kinds) or 'wanted'}"
    elif "json" in kind:
        schema = PATCH if kind.endswith("json-patch+json") else (own or content[kind]).get("schema", {})
        whole = {**_any(plain(description)), **_any(plain(schema))}
        errors = jsonschema.Draft4Validator(whole).iter_errors(json.loads(request.payload))
        yield from (f"{list(error.absolute_path)}: {error.message[:200]}" for error in errors)


def _any(schema: Any) -> Any:
    """The schema with `anyOf` for `oneOf`: Atlassian's forms of a body are no two kinds that exclude each other."""
    if isinstance(schema, dict):
        return {{"oneOf": "anyOf"}.get(name, name): _any(part) for name, part in schema.items()}
    return [_any(part) for part in schema] if isinstance(schema, list) else schema


def path_of(request: Request) -> str:
    """The request's path as people write it."""
    return unquote(request.path)
