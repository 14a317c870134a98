"""The method table as an OpenRPC 1.3 document, for client generators, documentation and the curious."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any

import msgspec

from tonnetz.daemon.event_names import EVENT_NAMES
from tonnetz.daemon.graph.edits import AnyEdit
from tonnetz.daemon.problems import ERROR_KINDS
from tonnetz.daemon.version import __version__

from .method_table import Method, load_methods

OPENRPC_VERSION = "1.3.2"


@cache
def openrpc_document() -> dict[str, Any]:
    """The whole document. Extensions: `x-role`, `x-mutates` and `x-shell` of a method, `x-events` of the document."""
    table = load_methods()
    types = [kind for method in table.values() for kind in (*(p.type for p in method.parameters), method.result)]
    schemas, components = msgspec.json.schema_components([AnyEdit, *types], ref_template="#/components/schemas/{name}")
    remaining = iter(schemas)
    components["Edit"] = next(remaining)
    document = {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "Tonnetz",
            "version": __version__,
            "description": "A live audio graph. Every change is a transaction: all of it sounds from one block on.",
            "license": {"name": "MIT"},
        },
        "methods": [_method(method, list(islice(remaining, len(method.parameters) + 1))) for method in table.values()],
        "components": {
            "schemas": components,
            "errors": {
                name: {"code": kind.code, "message": name.replace("_", " ").capitalize(), "data": {"name": name}}
                for name, kind in ERROR_KINDS.items()
            },
        },
        "x-events": list(EVENT_NAMES),
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))  # lists for msgspec's tuples
    return plain


def _method(method: Method, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    *parameters, result = schemas
    described: dict[str, Any] = {
        "name": method.name,
        "tags": [{"name": method.noun}],
        "summary": method.summary,
        "description": method.text,
        "paramStructure": "either",
        "params": [
            {"name": parameter.name, "required": parameter.required, "schema": _with_default(parameter.default, schema)}
            | ({"description": parameter.description} if parameter.description else {})
            for parameter, schema in zip(method.parameters, parameters, strict=True)
        ],
        "result": {"name": "result", "schema": result},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in ERROR_KINDS],
        "x-role": method.role,
        "x-mutates": method.mutates,
    }
    if method.shell is not None:
        described["x-shell"] = f"tonnetz {method.shell.usage}"
    return described


def _with_default(default: Any, schema: dict[str, Any]) -> dict[str, Any]:
    if default is msgspec.NODEFAULT:
        return schema
    return {**schema, "default": msgspec.to_builtins(default)}
