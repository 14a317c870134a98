"""`nodes.*`: the node types there are, and whether one would work."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import TypeName
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.problems import Problem, Refusal, suggestion

from ..method_table import Call, Shell, method
from .graph_edits import Config

ConfigSchema = Annotated[dict[str, Any], Meta(title="ConfigSchema", description="a JSON Schema, draft 2020-12")]


class Template(msgspec.Struct, frozen=True):
    """A node type: its ports, its parameters with units, ranges and defaults, and the words that explain them."""

    type: str
    category: Literal["source", "processor", "sink"]
    help: str
    ports: tuple[PortSpec, ...]
    parameters: tuple[ParameterSpec, ...]


class NodeTest(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a node would work, or why not: `reason` is the name of an [error](#errors).

    What was `found` depends on the type: of a file its codec, of a device the rate it gave. `problems` are those of
    the configuration.
    """

    ok: bool
    message: str
    reason: str | None
    problems: list[Problem]
    found: dict[str, Any]
    duration_ms: float


@method("nodes.templates", role="viewer", shell=Shell("types", example="tonnetz types"))
async def templates(call: Call) -> list[Template]:
    """List the node types.

    Sources come first, then processors, then sinks.
    """
    order = ["source", "processor", "sink"]
    specs = sorted(call.session.catalogue.values(), key=lambda spec: (order.index(spec.category), spec.type))
    return [Template(spec.type, spec.category, spec.help, spec.ports, spec.parameters) for spec in specs]


@method("nodes.schema", role="viewer", shell=Shell("schema <type>", example="tonnetz schema equalizer"))
async def schema(call: Call, type: TypeName) -> ConfigSchema:
    """Tell what a node type can be told.

    The answer is the JSON Schema of its configuration, with units, ranges, defaults and help.
    """
    from tonnetz.daemon.graph.schema import json_schema  # not needed to declare the method

    return json_schema(known_type(call, type))


@method(
    "nodes.test",
    role="operator",
    mutates=True,
    shell=Shell("test <type> [<config:words>...]", "tonnetz test file_player path=jingle.wav"),
)
async def try_node(call: Call, type: TypeName, config: Config | None = None) -> NodeTest:
    """Find out whether a node would work, without making one.

    The configuration is checked as that of a new node would be. Then the type tries it: a player opens and decodes the
    file, a recorder writes a moment of silence where the recording would go and deletes it, a device is opened and
    closed. Whatever does not answer is given up after some seconds.
    """
    return msgspec.convert(await call.session.test_node(known_type(call, type).type, config or {}), NodeTest)


def known_type(call: Call, type: str) -> NodeSpec:
    catalogue = call.session.catalogue
    if type not in catalogue:
        raise Refusal("not_found", f"There is no node type '{type}'.{suggestion(type, catalogue)}")
    return catalogue[type]
