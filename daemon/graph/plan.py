"""What a graph means for the engine, as data: which node objects there must be, and which wires sound between them.

A plan says what should be, not how to get there: `engine/stage.py` compares it with what runs, and `csrc/plan_build.c`
lays out the steps. A node object is the same one in two plans if and only if it is the same `PlanNode`: then its state
lives on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..problems import Problem
from .model import Connection, Graph, Node
from .ports import Channels, NodeChannels, NodePorts, ports
from .spec import Catalogue, NodeSpec

Structure = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, eq=False)  # compared by identity: see above
class PlanNode:
    """One node object. A node of the graph gets another one when its type, channels or structure change, or when it
    is made anew."""

    id: str
    spec: NodeSpec
    generation: int
    channels: NodeChannels
    structure: Structure

    @property
    def is_sink(self) -> bool:
        return self.spec.category == "sink"


@dataclass(frozen=True)
class Wire:
    """A connection as it sounds, between port numbers. Around a bypassed node it leads from what fed it to what it
    fed."""

    source: PlanNode
    source_port: int
    target: PlanNode
    target_port: int


@dataclass(frozen=True)
class Plan:
    """All node objects by node id, and all wires."""

    nodes: Mapping[str, PlanNode]
    wires: frozenset[Wire]

    def __str__(self) -> str:
        lines = [f"{node.id}: {node.spec.type} {_counts(node.channels)}" for node in self.nodes.values()]
        lines += sorted(f"{w.source.id}.{w.source_port} -> {w.target.id}.{w.target_port}" for w in self.wires)
        return "\n".join(lines)


EMPTY = Plan({}, frozenset())


def _counts(channels: NodeChannels) -> str:
    return f"({', '.join(map(str, channels.inputs.values()))}) -> ({', '.join(map(str, channels.outputs.values()))})"


def make_plan(
    graph: Graph,
    catalogue: Catalogue,
    channels: Channels,
    generations: Mapping[str, int],
    previous: Plan = EMPTY,
    touched: Collection[str] | None = None,
    rewired: bool = True,
) -> tuple[Plan, list[Problem]]:
    """The plan of a graph that the rules accept. Node objects of `previous` that still fit are kept.

    A node's generation counts how often it was made anew under its id. `touched` names all nodes that may differ from
    those that `previous` was made of; None: any may. `rewired`: so may connections and bypasses. The problems are
    bypasses that would join channel counts that do not fit.
    """
    nodes = {} if touched is None else {name: node for name, node in previous.nodes.items() if name in graph.nodes}
    for name in graph.nodes if touched is None else touched:
        node = graph.nodes[name]
        nodes[name] = _plan_node(node, catalogue[node.type], channels[name], generations.get(name, 0), previous)
    if nodes == previous.nodes and not rewired:
        return previous, []
    wires, problems = _wires(graph, catalogue, channels, nodes)
    if nodes == previous.nodes and wires == previous.wires:
        return previous, problems
    return Plan(nodes, wires), problems


def _wires(
    graph: Graph, catalogue: Catalogue, channels: Channels, nodes: Mapping[str, PlanNode]
) -> tuple[frozenset[Wire], list[Problem]]:
    wires: set[Wire] = set()
    problems: list[Problem] = []
    numbers = _PortNumbers(catalogue)
    for connection in graph.connections.values():
        target = graph.nodes[connection.target_node]
        if target.bypass and catalogue[target.type].category == "sink":
            continue
        target_port = numbers.input(target, connection.target_port)
        for source_id, source_name in _sounding_sources(connection, graph, catalogue):
            source_port = numbers.output(graph.nodes[source_id], source_name)
            given = channels[source_id].outputs[source_name]
            taken = channels[target.id].inputs[connection.target_port]
            if given != taken and not {given, taken} <= {1, 2}:
                problems.append(_misfit(connection, source_id, given, taken))
            wires.add(Wire(nodes[source_id], source_port, nodes[target.id], target_port))
    return frozenset(wires), problems


def _plan_node(node: Node, spec: NodeSpec, channels: NodeChannels, generation: int, previous: Plan) -> PlanNode:
    structure = _structure(spec, node.config)
    kept = previous.nodes.get(node.id)
    if (
        kept is not None
        and kept.spec is spec
        and kept.generation == generation
        and (kept.channels is channels or kept.channels == channels)
        and kept.structure == structure
    ):
        return kept
    return PlanNode(node.id, spec, generation, channels, structure)


def _structure(spec: NodeSpec, config: Mapping[str, Any]) -> Structure:
    """What of a configuration a node object is built on: its structure parameters and how long its lists are."""
    return tuple(
        (parameter.name, len(config[parameter.name]) if parameter.kind == "list" else config[parameter.name])
        for parameter in spec.parameters
        if parameter.structure or parameter.kind == "list"
    )


class _PortNumbers:
    """A port's number is its place among the node's ports of its direction."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._numbers: dict[int, tuple[NodePorts, dict[str, int], dict[str, int]]] = {}

    def _of(self, node: Node) -> tuple[NodePorts, dict[str, int], dict[str, int]]:
        found = ports(self._catalogue[node.type], node.config)
        known = self._numbers.get(id(found))
        if known is None:
            inputs = {name: number for number, name in enumerate(found.inputs)}
            outputs = {name: number for number, name in enumerate(found.outputs)}
            known = self._numbers[id(found)] = (found, inputs, outputs)
        return known

    def input(self, node: Node, name: str) -> int:
        return self._of(node)[1][name]

    def output(self, node: Node, name: str) -> int:
        return self._of(node)[2][name]


def _sounding_sources(connection: Connection, graph: Graph, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """The outputs that sound through a connection: its own source, or what feeds it where that is bypassed."""
    source = graph.nodes[connection.source_node]
    if not source.bypass:
        yield source.id, connection.source_port
        return
    spec = catalogue[source.type]
    if spec.category != "processor":
        return  # a bypassed source is silent
    node_ports = ports(spec, source.config)
    if node_ports.outputs[connection.source_port].signal != "audio":
        return  # its control outputs say nothing meanwhile
    for feeding in graph.incoming.get(source.id, ()):
        port = node_ports.inputs[feeding.target_port]
        if port.signal == "audio" and not port.optional:  # not the side chain
            yield from _sounding_sources(feeding, graph, catalogue)


def _misfit(connection: Connection, source: str, given: int, taken: int) -> Problem:
    return Problem(
        "channel_mismatch",
        f"With '{connection.source_node}' bypassed, '{source}' would feed {given} channels into '{connection.target}', "
        f"which takes {taken}. Keep it active, or put a channel_map between them.",
        data={"connection": connection.id, "given": given, "taken": taken},
    )
