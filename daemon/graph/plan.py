"""What a graph means for the engine, as data: which node objects there must be, and which wires sound between them.

A plan says what should be, not how to get there: `engine/stage.py` compares it with what runs, and `csrc/plan_build.c`
lays out the steps. A node object is the same one in two plans if and only if it is the same `PlanNode`: then its state
lives on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from ..problems import Problem
from .config import Structure, structure_of
from .model import Connection, Graph, Node
from .ports import Channels, NodeChannels, layout, ports
from .rewiring import passage
from .spec import Catalogue, NodeSpec

Output = tuple[str, str]  # node id and port name
T = TypeVar("T")

MOST_WAYS = 256  # as many as connections may lead into a port


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


class Wire(NamedTuple):
    """A connection as it sounds, between port numbers.

    Around a bypassed node it leads from what fed it to what it fed. Where several ways lead around such nodes from one
    output to one input, `way` counts them: each is heard.
    """

    source: PlanNode
    source_port: int
    target: PlanNode
    target_port: int
    way: int = 0

    @property
    def fits(self) -> bool:
        """Whether one end gives as many channels as the other takes, or one of them 1 and the other 2."""
        given = list(self.source.channels.outputs.values())[self.source_port]
        taken = list(self.target.channels.inputs.values())[self.target_port]
        return given == taken or {given, taken} == {1, 2}


class Plan:
    """All node objects by node id, and the wires that each connection comes to."""

    def __init__(
        self,
        nodes: Mapping[str, PlanNode],
        by_connection: Mapping[str, tuple[Wire, ...]],
        wires: frozenset[Wire],
        *,
        around: bool = False,
    ) -> None:
        """`wires`: all those of `by_connection`. `around`: some lead around bypassed nodes."""
        self.nodes = nodes
        self.by_connection = by_connection
        self.objects = frozenset(nodes.values())
        self.wires = wires
        self.around = around
        self.base: Plan = self  # the plan without what compensates for latency (alignment.py)
        self.lateness: Mapping[str, int] = {}  # per node by how many frames its outputs are late, if any is

    def has(self, node: PlanNode) -> bool:
        """Whether this very object is in the plan."""
        return self.nodes.get(node.id) is node

    def __str__(self) -> str:
        lines = [f"{node.id}: {node.spec.type} {_counts(node.channels)}" for node in self.nodes.values()]
        lines += sorted(f"{w.source.id}.{w.source_port} -> {w.target.id}.{w.target_port}" for w in self.wires)
        return "\n".join(lines)


EMPTY = Plan({}, {}, frozenset())


def _each_way(wires: Iterable[Wire]) -> frozenset[Wire]:
    """Where several connections lead from one output to one input, around bypassed nodes: each is another way."""
    ways = Counter(wire._replace(way=0) for wire in wires)
    return frozenset(wire._replace(way=way) for wire, count in ways.items() for way in range(count))


def _counts(channels: NodeChannels) -> str:
    return f"({', '.join(map(str, channels.inputs.values()))}) -> ({', '.join(map(str, channels.outputs.values()))})"


def make_plan(
    graph: Graph,
    catalogue: Catalogue,
    channels: Channels,
    generations: Mapping[str, int],
    previous: Plan = EMPTY,
    touched: Collection[str] | None = None,
    anew: Collection[str] = (),
) -> tuple[Plan, list[Problem]]:
    """The plan of a graph that the rules accept. Node objects of `previous` that still fit are kept.

    A node's generation counts how often it was made anew under its id. `touched` names all nodes that may differ from
    those that `previous` was made of, or be connected otherwise; None: any may. Those named by `anew` get other
    objects even so. The problems are bypasses that would join channel counts that do not fit.
    """
    look_at: Collection[str] = graph.nodes if touched is None else touched
    fitting = {}
    for name in look_at:
        node = graph.nodes[name]
        kept = None if name in anew else previous.nodes.get(name)
        fitting[name] = _plan_node(node, catalogue[node.type], channels[name], generations.get(name, 0), kept)
    nodes, _ = _updated(previous.nodes, graph.nodes, fitting)
    wiring = _Wiring(graph, catalogue, channels, nodes)
    connections = graph.connections.values() if touched is None else wiring.depending_on(touched)
    found = {connection.id: wiring.wires(connection) for connection in connections}
    by_connection, changed = _updated(previous.by_connection, graph.connections, found)
    if nodes is previous.nodes and by_connection is previous.by_connection:
        return previous, wiring.problems
    if around := any(node.bypass for node in graph.nodes.values()):
        wires = _each_way(chain.from_iterable(by_connection.values()))
    elif previous.around:
        wires = frozenset(chain.from_iterable(by_connection.values()))
    else:
        wires = _wires(graph, previous, by_connection, changed)
    return Plan(nodes, by_connection, wires, around=around), wiring.problems


def _updated(
    before: Mapping[str, T], present: Mapping[str, Any], found: Mapping[str, T]
) -> tuple[Mapping[str, T], set[str]]:
    """With what was found and without what is not present any more, and the names that this changes; the same mapping
    where it changes none. All that is present and was not there before has been found."""
    changed = {name for name, value in found.items() if before.get(name) != value}
    come = sum(name not in before for name in changed)
    if len(present) < len(before) + come:
        changed |= before.keys() - present.keys()
    if not changed:
        return before, changed
    updated = {**before, **found}
    for name in changed - present.keys():
        del updated[name]
    return updated, changed


def _wires(
    graph: Graph, previous: Plan, by_connection: Mapping[str, tuple[Wire, ...]], changed: Collection[str]
) -> frozenset[Wire]:
    """All that `by_connection` comes to, of which `changed` names those that do not come to what they did. Several may
    come to the same wire, so one that goes is looked for among those that lead to the same node."""
    before = {wire for name in changed for wire in previous.by_connection.get(name, ())}
    around = (c.id for node in {wire.target.id for wire in before} for c in graph.incoming.get(node, ()))
    return (previous.wires - before).union(*(by_connection.get(name, ()) for name in chain(changed, around)))


def pacer(graph: Graph, plan: Plan, wanted: str) -> PlanNode | None:
    """The node whose sound card is the engine's clock: the one that is wanted; with "auto" the first that plays, else
    the first that captures. None: there is none, and the timer is the clock."""
    if not wanted:
        return None
    able = [plan.nodes[name] for name in graph.nodes if plan.nodes[name].spec.clock]
    if wanted == "auto":
        return min(able, key=lambda node: not node.is_sink, default=None)
    return next((node for node in able if node.id == wanted), None)


class _Wiring:
    """Finds the wires that connections come to."""

    def __init__(self, graph: Graph, catalogue: Catalogue, channels: Channels, nodes: Mapping[str, PlanNode]) -> None:
        self.problems: list[Problem] = []
        self._graph = graph
        self._catalogue = catalogue
        self._channels = channels
        self._nodes = nodes
        self._heard: dict[str, Mapping[Output, int]] = {}  # through bypassed nodes

    def depending_on(self, touched: Collection[str]) -> Iterator[Connection]:
        """The connections at these nodes, and those that sound through them where they are bypassed."""
        look_at, seen = list(touched), set(touched)
        for name in look_at:  # grows
            yield from self._graph.incoming.get(name, ())
            for connection in self._graph.outgoing.get(name, ()):
                yield connection
                target = connection.target_node
                if self._graph.nodes[target].bypass and target not in seen:
                    seen.add(target)
                    look_at.append(target)

    def wires(self, connection: Connection) -> tuple[Wire, ...]:
        target = self._graph.nodes[connection.target_node]
        if target.bypass and self._catalogue[target.type].category == "sink":
            return ()
        taken = self._channels[target.id].inputs[connection.target_port]
        target_port = layout(self._catalogue[target.type], target.config).index[connection.target_port]
        wires: list[Wire] = []
        for (source_id, source_name), ways in self._sources(connection).items():
            source = self._graph.nodes[source_id]
            given = self._channels[source_id].outputs[source_name]
            if given != taken and not {given, taken} <= {1, 2}:
                self.problems.append(_misfit(connection, source_id, given, taken))
            if ways > MOST_WAYS:
                self.problems.append(_too_many_ways(connection, source_id, ways))
                continue
            source_port = list(ports(self._catalogue[source.type], source.config).outputs).index(source_name)
            ends = (self._nodes[source_id], source_port, self._nodes[target.id], target_port)
            wires += [Wire(*ends, way) for way in range(ways)]
        return tuple(wires)

    def _sources(self, connection: Connection) -> Mapping[Output, int]:
        """The outputs that sound through a connection, each with the number of ways in which it does: its own source,
        or what feeds that where it is bypassed."""
        source = self._graph.nodes[connection.source_node]
        if not source.bypass:
            return {(source.id, connection.source_port): 1}
        found = passage(self._catalogue[source.type], source)
        if found is None or connection.source_port != found[1]:
            return {}  # a bypassed source is silent, and so are outputs beside the main one
        return self._passed_on(source.id)

    def _passed_on(self, node_id: str) -> Mapping[Output, int]:
        """What a bypassed node lets through. Without recursion: chains of them may be as long as a graph is large."""
        waiting = [] if node_id in self._heard else [node_id]
        while waiting:
            name = waiting[-1]
            node = self._graph.nodes[name]
            found = passage(self._catalogue[node.type], node)
            feeding = [c for c in self._graph.incoming.get(name, ()) if found is not None and c.target_port in found[0]]
            unknown = [c.source_node for c in feeding if self._is_unknown(c.source_node)]
            if unknown:
                waiting += unknown
                continue
            heard: Counter[Output] = Counter()
            for connection in feeding:
                heard.update(self._sources(connection))
            self._heard[name] = heard
            waiting.pop()
        return self._heard[node_id]

    def _is_unknown(self, node_id: str) -> bool:
        return self._graph.nodes[node_id].bypass and node_id not in self._heard


def _plan_node(node: Node, spec: NodeSpec, channels: NodeChannels, generation: int, kept: PlanNode | None) -> PlanNode:
    structure = structure_of(spec, node.config)
    if (
        kept is not None
        and kept.spec is spec
        and kept.generation == generation
        and (kept.channels is channels or kept.channels == channels)
        and kept.structure == structure
    ):
        return kept
    return PlanNode(node.id, spec, generation, channels, structure)


def _misfit(connection: Connection, source: str, given: int, taken: int) -> Problem:
    return Problem(
        "channel_mismatch",
        f"With '{connection.source_node}' bypassed, '{source}' would feed {given} channels into '{connection.target}', "
        f"which takes {taken}. Keep it active, or put a channel_map between them.",
        data={"connection": connection.id, "given": given, "taken": taken},
    )


def _too_many_ways(connection: Connection, source: str, ways: int) -> Problem:
    return Problem(
        "limit",
        f"Around bypassed nodes '{source}' would reach '{connection.target}' in {ways} ways at once; at most "
        f"{MOST_WAYS} are possible. Keep some of these nodes active.",
        data={"connection": connection.id, "count": ways, "maximum": MOST_WAYS},
    )
