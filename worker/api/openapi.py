"""The OpenAPI 3.1 document, made from the routes and their models."""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from worker.api.problems import MEDIA_TYPE, Problem
from worker.api.route import Route
from worker.api.times import describe

REF = "#/components/schemas/{model}"
PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}}}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "string"}, "required": True}}
CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750", "schema": {"type": "string"}, "required": True}}
PROBLEM_HEADERS = {
    401: CHALLENGE,
    403: {"WWW-Authenticate": CHALLENGE["WWW-Authenticate"] | {"required": False}},
    429: RETRY_AFTER,
}
DESCRIPTION = (
    "Takes jobs that publish what is written after an incident, and says what became of them. Every error is a problem "
    "document (RFC 9457) whose `code` is a stable word. Keys come from `afterword apikey new`."
)
TAGS = {
    "documents": "Documents in Markdown, stored before their job or brought along with it.",
    "issues": "Issues, stored before their job or brought along with it.",
    "jobs": "One delivery each: submit, wait, list, and decide.",
    "destinations": "The systems that Afterword delivers to.",
    "receivers": "Who is notified of what needs a person.",
    "views": "Filters of the jobs page under a name.",
    "audit": "What was done, by whom, before and after every request.",
    "lookfirst": "Whether each attempt looks at the remote side first, after Redis lost something.",
    "service": "Health, metrics and this document.",
}
HEADINGS = {"lookfirst": "Look first"}  # of tags that aren't a word: generators name modules by the tag itself


def document_of(routes: Sequence[Route]) -> dict[str, Any]:
    """The document of those routes."""
    known, definitions = models_json_schema(_models(routes), ref_template=REF)
    describe(definitions.get("$defs", {}).values())
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.address, {})[route.method.lower()] = _operation(route, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Afterword", "version": "1", "description": DESCRIPTION},
        "tags": [
            {"name": name, "x-displayName": HEADINGS.get(name, name.capitalize()), "description": text}
            for name, text in TAGS.items()
        ],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "description": "`id.secret`"}},
        },
    }


def _models(routes: Sequence[Route]) -> list[tuple[type[BaseModel], JsonSchemaMode]]:
    found: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for route in routes:
        for model in (route.path, route.query, route.body):
            if model is not None:
                found[model, "validation"] = None
        for answer in route.answers.values():
            if isinstance(answer, type):
                found[answer, "serialization"] = None
    return list(found)


def _operation(route: Route, known: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "description": (route.handler.__doc__ or "").strip(),
        "security": [{"apiKey": [str(scope)]} for scope in route.scopes],
        "parameters": [*_parameters(route), *_headers(route)],
        "responses": _responses(route, known),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": known[route.body, "validation"]} | _examples(route)},
        }
    return operation


def _examples(route: Route) -> dict[str, Any]:
    shown = {name: {"summary": name, "value": value} for name, value in route.examples.items()}
    return {"examples": shown} if shown else {}


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = []
    for model, place in ((route.path, "path"), (route.query, "query")):
        if model is None:
            continue
        schema = model.model_json_schema(ref_template=REF)
        for name, facts in schema["properties"].items():
            required = place == "path" or name in schema.get("required", ())
            found.append({"name": name, "in": place, "required": required, "schema": _without_null(facts)})
    return found


def _without_null(facts: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; it can't be null."""
    kept = [choice for choice in facts.get("anyOf", ()) if choice.get("type") != "null"]
    if not kept:
        return facts
    outer = {name: value for name, value in facts.items() if name not in ("anyOf", "default")}
    return outer | (kept[0] if len(kept) == 1 else {"anyOf": kept})


def _headers(route: Route) -> list[dict[str, Any]]:
    return [{"name": name, "in": "header", "required": False, **facts} for name, facts in route.request_headers.items()]


def _responses(route: Route, known: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, answer in route.answers.items():
        response: dict[str, Any] = {"description": http.HTTPStatus(status).phrase}
        if isinstance(answer, str):
            response["content"] = {answer: {"schema": {"type": "string"}}}
        elif answer is not None:
            response["content"] = {"application/json": {"schema": known[answer, "serialization"]}}
        if route.answer_headers:
            response["headers"] = {
                name: {"description": words, "schema": {"type": "string"}, "required": True}
                for name, words in route.answer_headers.items()
            }
        found[str(status)] = response
    for status in sorted(_problems(route) - route.answers.keys()):
        problem: dict[str, Any] = {"description": http.HTTPStatus(status).phrase, **PROBLEM}
        if headers := PROBLEM_HEADERS.get(status):
            problem["headers"] = headers
        found[str(status)] = problem
    return found


def _problems(route: Route) -> set[int]:
    """The statuses of problems that an operation may answer with, from its parts."""
    found = {*route.problems, 400, 422, 500}
    if route.scopes:
        found |= {401, 403, 429, 503}
    if route.path is not None and route.method != "PUT":
        found |= {404}
    if route.body is not None:
        found |= {408, 413, 415}
    return found
