"""The method table as an OpenRPC 1.3 document, for client generators, documentation and the curious."""

from __future__ import annotations

from functools import cache
from typing import Any

from tonnetz.daemon.event_names import EVENT_NAMES
from tonnetz.daemon.problems import ERROR_KINDS
from tonnetz.daemon.version import __version__

from .method_table import Method, Parameter, load_methods
from .schemas import Schema, described, plain, with_default

OPENRPC_VERSION = "1.3.2"


@cache
def openrpc_document() -> dict[str, Any]:
    """The whole document. Extensions: `x-role`, `x-mutates` and `x-shell` of a method, `x-events` of the document."""
    methods, components = described(load_methods().values())
    document = {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "Tonnetz",
            "version": __version__,
            "description": "A live audio graph. Every change is a transaction: all of it sounds from one block on.",
            "license": {"name": "MIT"},
        },
        "methods": [_method(*method) for method in methods],
        "components": {
            "schemas": components,
            "errors": {
                name: {"code": kind.code, "message": name.replace("_", " ").capitalize(), "data": {"name": name}}
                for name, kind in ERROR_KINDS.items()
            },
        },
        "x-events": list(EVENT_NAMES),
    }
    return plain(document)


def _method(method: Method, parameters: list[tuple[Parameter, Schema]], result: Schema) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": method.name,
        "tags": [{"name": method.noun}],
        "summary": method.summary,
        "description": method.text,
        "paramStructure": "either",
        "params": [
            {"name": parameter.name, "required": parameter.required, "schema": with_default(parameter, schema)}
            | ({"description": parameter.description} if parameter.description else {})
            for parameter, schema in parameters
        ],
        "result": {"name": "result", "schema": result},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in ERROR_KINDS],
        "x-role": method.role,
        "x-mutates": method.mutates,
    }
    if method.shell is not None:
        shown["x-shell"] = f"tonnetz {method.shell.usage}"
    return shown
