"""`nodes.*`: the node types there are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import TypeName
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.problems import Refusal, suggestion

from ..method_table import Call, Shell, method
from ..route import Route

ConfigSchema = Annotated[dict[str, Any], Meta(title="ConfigSchema", description="a JSON Schema, draft 2020-12")]


class Template(msgspec.Struct, frozen=True):
    """A node type: its ports, its parameters with units, ranges and defaults, and the words that explain them."""

    type: str
    category: Literal["source", "processor", "sink"]
    help: str
    ports: tuple[PortSpec, ...]
    parameters: tuple[ParameterSpec, ...]


@method(
    "nodes.templates",
    role="viewer",
    shell=Shell("types", example="tonnetz types"),
    http=Route("GET /api/nodes/templates"),
)
async def templates(call: Call) -> list[Template]:
    """List the node types.

    Sources come first, then processors, then sinks.
    """
    order = ["source", "processor", "sink"]
    specs = sorted(call.session.catalogue.values(), key=lambda spec: (order.index(spec.category), spec.type))
    return [Template(spec.type, spec.category, spec.help, spec.ports, spec.parameters) for spec in specs]


@method(
    "nodes.schema",
    role="viewer",
    shell=Shell("schema <type>", example="tonnetz schema equalizer"),
    http=Route("GET /api/nodes/{type}/schema"),
)
async def schema(call: Call, type: TypeName) -> ConfigSchema:
    """Tell what a node type can be told.

    The answer is the JSON Schema of its configuration, with units, ranges, defaults and help.
    """
    from tonnetz.daemon.graph.schema import json_schema  # not needed to declare the method

    return json_schema(known_type(call, type))


def known_type(call: Call, type: str) -> NodeSpec:
    catalogue = call.session.catalogue
    if type not in catalogue:
        raise Refusal("not_found", f"There is no node type '{type}'.{suggestion(type, catalogue)}")
    return catalogue[type]
