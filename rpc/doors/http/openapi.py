"""The method table as an OpenAPI 3.1 document: every method that has a route, and what the HTTP door adds itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from tonnetz.daemon.problems import ERROR_KINDS
from tonnetz.daemon.version import __version__

from ...method_table import Method, Parameter, load_methods
from ...schemas import Schema, described, plain, with_default
from .own_operations import OWN_OPERATIONS

OPENAPI_VERSION = "3.1.0"
DESCRIPTION = """\
A live audio graph. Every change is a transaction: all of it sounds from one block on.

The answer to a change of the graph bears the new revision as its ETag; If-Match makes a change conditional on it.
Beside these operations there are WebSockets: /api/ws/graph (JSON-RPC and events), /api/ws/monitoring (levels, scopes,
spectra) and /api/ws/listen/{node}/{port} (sound).
"""
# Of HTTP's own, beside those of the error table.
STATUSES: Mapping[int, str] = {
    401: "A token is missing, or is not known.",
    403: "The caller's role does not allow it, or a page of another site asked.",
    405: "Not with this verb.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    421: "Asked under a name that is not known here.",
    429: "Too many requests.",
}


@cache
def openapi_document(token_required: bool = False) -> dict[str, Any]:
    """The whole document, of a door that asks everybody for a token or of one that does not."""
    routed = (method for method in load_methods().values() if method.http is not None)
    methods, components = described(routed, _json_result)
    paths: dict[str, dict[str, Any]] = {}
    for one in methods:
        route = one.method.http
        assert route is not None
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(*one)
    for path, operations in OWN_OPERATIONS.items():
        paths[path] = {verb: _with_errors(dict(operation), (400, 404, 503)) for verb, operation in operations.items()}
    document = {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Tonnetz",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}] if token_required else [{}, {"token": []}],
        "tags": [{"name": noun} for noun in dict.fromkeys([*(one.method.noun for one in methods), "http"])],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": ERROR},
            "responses": {"Error": {"description": "What is wrong.", "content": _json("#/components/schemas/Error")}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return plain(document)


ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "name", "message", "data"],
            "properties": {
                "code": {"type": "integer"},
                "name": {"enum": list(ERROR_KINDS)},
                "message": {"type": "string"},
                "data": {"type": "object", "required": ["name"]},
            },
        }
    },
}


def _json_result(method: Method) -> Any:
    return None if method.result is str else method.result


def _operation(method: Method, parameters: list[tuple[Parameter, Schema]], result: Schema) -> dict[str, Any]:
    route = method.http
    assert route is not None
    gives = method.result not in (None, type(None))
    placed = [(parameter, schema, route.place(parameter.name)) for parameter, schema in parameters]
    operation: dict[str, Any] = {
        "operationId": method.name,
        "tags": [method.noun],
        "summary": method.summary,
        "description": method.text,
        "parameters": [
            _parameter(parameter, schema, place) for parameter, schema, place in placed if place in ("path", "query")
        ],
        "responses": {"200": _answer(method, result)} if gives else {"204": {"description": "It is done."}},
        "x-role": method.role,
        "x-method": method.name,
    }
    if method.parameter("base_revision"):
        operation["parameters"].append(IF_MATCH)
    if route.verb == "GET" and route.tagged:
        operation["parameters"].append(IF_NONE_MATCH)
        operation["responses"]["304"] = {"description": "The graph is still at that revision."}
    if route.has_body:
        body = [(parameter, schema) for parameter, schema, place in placed if place == "body"]
        operation["requestBody"] = _body(body, route.whole)
    return _with_errors(operation, (kind.status for kind in ERROR_KINDS.values()))


def _with_errors(operation: dict[str, Any], statuses: Iterable[int]) -> dict[str, Any]:
    errors = {str(status): {"$ref": "#/components/responses/Error"} for status in sorted({*statuses, *STATUSES})}
    return {**operation, "responses": {**errors, **operation["responses"]}}


def _answer(method: Method, schema: dict[str, Any]) -> dict[str, Any]:
    route = method.http
    assert route is not None
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if method.result is str:
        content = {"text/plain": {"schema": {"type": "string"}}}
    content |= {media: {} for media in route.media}
    shown: dict[str, Any] = {"description": "What is asked for, or what was done.", "content": content}
    if route.tagged:
        shown["headers"] = {"ETag": {"description": "The graph's revision.", "schema": {"type": "string"}}}
    return shown


def _parameter(parameter: Parameter, schema: dict[str, Any], place: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": parameter.name, "in": place, "required": place == "path" or parameter.required}
    if parameter.description:
        shown["description"] = parameter.description
    return {**shown, "schema": _written(schema)}


def _written(schema: dict[str, Any]) -> dict[str, Any]:
    """As far as it can be written in a query: no null there, which is left out, and no objects."""
    kinds = [kind for kind in _alternatives(schema) if kind.get("type") not in ("null", "object")]
    if not kinds:
        return schema
    others = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**kinds[0], **others} if len(kinds) == 1 else {"anyOf": kinds, **others}


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of a choice all that may be chosen, those within choices too; of anything else nothing."""
    for kind in schema.get("anyOf", ()):
        yield from _alternatives(kind) if "anyOf" in kind else [kind]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _body(parameters: list[tuple[Parameter, dict[str, Any]]], whole: str) -> dict[str, Any]:
    if whole:
        ((parameter, schema),) = [one for one in parameters if one[0].name == whole]
        content = {"application/json": {"schema": _without_null(schema)}}
        return {"required": True, "description": parameter.description, "content": content}
    required = [parameter.name for parameter, _ in parameters if parameter.required]
    schema = {
        "type": "object",
        "properties": {parameter.name: with_default(parameter, schema) for parameter, schema in parameters},
        "required": required,
        "additionalProperties": False,
    }
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def _json(reference: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": reference}}}


IF_MATCH: Mapping[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "only if the graph is at this revision still, as an ETag; else a conflict",
    "schema": {"type": "string", "pattern": '^(\\*|"?[0-9]{1,18}"?)$'},
}
IF_NONE_MATCH: Mapping[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "only if the graph is at another revision by now",
    "schema": {"type": "string"},
}
