"""`nodes.*`: the node types there are, whether one would work, and the states of nodes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import NodeId, ReplaceNode, TypeName
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.problems import Problem, Refusal, suggestion
from tonnetz.daemon.receipt import Receipt

from ..method_table import Call, Shell, method
from ..route import Route
from .graph import BaseRevision, DryRun, FadeMs, Strict
from .graph_edits import Config, one

ConfigSchema = Annotated[dict[str, Any], Meta(title="ConfigSchema", description="a JSON Schema, draft 2020-12")]


StateData = Annotated[dict[str, Any], Meta(description="a state, as nodes.get_state gives it")]
MOST_STATE_BYTES = 32 << 20  # in base64 43 MB: to write it holds up others for some 50 ms


class TakenState(msgspec.Struct, frozen=True):
    """A node's state as it was when frame `frame` was about to sound.

    `state` has the node's `type` and `fields` by name. Each has a `cell` (float32, float64, uint32 or uint64), a
    `shape` ([rows, columns]) and `data`: the cells row after row, little-endian, in base64; of a line, oldest first.
    """

    id: str
    frame: int
    state: dict[str, Any]


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


@method(
    "nodes.test",
    role="operator",
    mutates=True,
    shell=Shell("test <type> [<config:words>...]", "tonnetz test file_player path=jingle.wav"),
    http=Route("POST /api/nodes/{type}/test"),
)
async def try_node(call: Call, type: TypeName, config: Config | None = None) -> NodeTest:
    """Find out whether a node would work, without making one.

    The configuration is checked as that of a new node would be. Then the type tries it: a player opens and decodes the
    file, a recorder writes a moment of silence where the recording would go and deletes it, a device is opened and
    closed. Whatever does not answer is given up after some seconds.
    """
    return msgspec.convert(await call.session.test_node(known_type(call, type).type, config or {}), NodeTest)


@method(
    "nodes.get_state",
    role="viewer",
    shell=Shell("state <id>", example="tonnetz state eq"),
    http=Route("GET /api/graph/nodes/{id}/state"),
)
async def get_state(call: Call, id: NodeId) -> TakenState:
    """Give what sound has left in a node: filter memories, delay lines, phases.

    It is as at the block boundary `frame`, and the node does not notice. What glides counts as arrived. A state may
    have 32 MiB. Of a player or recorder, whose state is in its file, it is refused.
    """
    from tonnetz.daemon.graph.node_state import to_plain

    taken = await call.session.states.get(id, MOST_STATE_BYTES)
    return TakenState(id, taken.frame, to_plain(taken.state))


@method(
    "nodes.set_state",
    role="operator",
    mutates=True,
    http=Route("PUT /api/graph/nodes/{id}/state", whole="state", tagged=True),
)
async def set_state(
    call: Call,
    id: NodeId,
    state: StateData,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Let a node go on with a state that nodes.get_state gave, of it or of another of its type, channels and structure.

    It is replaced by one like it that has this state, and both fade against each other; what a delay heard by then
    ends, and what it hears from now on begins, with the same fade. Without one (`fade_ms` 0) it goes on bit for bit.
    """
    node = call.session.graph.nodes.get(id)
    if node is None:
        raise Refusal("not_found", f"There is no node '{id}'.{suggestion(id, call.session.graph.nodes)}")
    edit = ReplaceNode(id=id, type=node.type, config=dict(node.config), state=state)
    return await one(call, edit, base_revision, strict, fade_ms, dry_run)


def known_type(call: Call, type: str) -> NodeSpec:
    catalogue = call.session.catalogue
    if type not in catalogue:
        raise Refusal("not_found", f"There is no node type '{type}'.{suggestion(type, catalogue)}")
    return catalogue[type]
