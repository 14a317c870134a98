"""The JSON Schemas of what methods take and give, as OpenRPC and OpenAPI both describe them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from tonnetz.daemon.graph.edits import AnyEdit

from .method_table import Method, Parameter

Schema = dict[str, Any]


class Described(NamedTuple):
    """A method with the schemas of its parameters, in their order, and of its result."""

    method: Method
    parameters: list[tuple[Parameter, Schema]]
    result: Schema


def described(
    methods: Iterable[Method], result_of: Callable[[Method], Any] = lambda method: method.result
) -> tuple[list[Described], dict[str, Schema]]:
    """All of them, and the components that their schemas refer to; `Edit` is there whoever refers to it, since lists of
    edits are checked by the graph and declared as plain objects."""
    methods = list(methods)
    types = [kind for method in methods for kind in (*(p.type for p in method.parameters), result_of(method))]
    schemas, components = msgspec.json.schema_components([AnyEdit, *types], ref_template="#/components/schemas/{name}")
    edit, *rest = schemas
    components["Edit"] = edit
    remaining = iter(rest)
    found = [
        Described(method, [(parameter, next(remaining)) for parameter in method.parameters], next(remaining))
        for method in methods
    ]
    return found, components


def with_default(parameter: Parameter, schema: Schema) -> Schema:
    """The schema, and what holds where the parameter is left out."""
    if parameter.required:
        return schema
    return {**schema, "default": msgspec.to_builtins(parameter.default)}


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document as whoever reads it has it: lists for msgspec's tuples."""
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return read
