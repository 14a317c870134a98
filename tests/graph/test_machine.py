"""Random transactions, many of them wrong, against what must hold whatever comes.

A refused transaction changes nothing; an accepted one leaves a graph that a check of everything finds right; its
inverse gives back what was; undo and redo walk up and down without end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import networkx as nx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tonnetz.daemon.graph.changes import changes
from tonnetz.daemon.graph.difference import difference, place_of, reversed_changes, taken_back, travelled
from tonnetz.daemon.graph.document import edits_between, edits_from_plain, parse_document, to_document
from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Disconnect,
    MoveNode,
    RemoveNode,
    RenameGraph,
    RenameNode,
    ReplaceNode,
)
from tonnetz.daemon.graph.model import Connection, Graph, Position
from tonnetz.daemon.graph.ports import resolve_channels
from tonnetz.daemon.graph.rules import Limits, check
from tonnetz.daemon.graph.transaction import Accepted, apply_edits
from tonnetz.daemon.problems import Refusal

from .specs import CATALOGUE, built

LIMITS = Limits(nodes=9, connections=12, links_per_port=3)
IDS = ["a", "b", "c", "d", "e", "f", "gain_1", "mixer_1", "tone_1"]
PORTS = [
    "out",
    "out",
    "out",
    "gain_reduction_db",
    "in",
    "in",
    "in",
    "in_1",
    "in_2",
    "in_3",
    "in_5",
    "sidechain",
    "depth",
]
KINDS = ["tone", "gain", "gain", "mixer", "compressor", "channel_map", "lfo", "tremolo", "null_output", "stereo_output"]

CONFIGS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "tone": st.builds(lambda n: {"channels": n}, st.sampled_from([1, 2, 2, 3])),
    "gain": st.builds(lambda db: {"gain_db": db}, st.floats(-100, 20)),
    "mixer": st.one_of(
        st.builds(lambda n: {"inputs": [{}] * n}, st.integers(1, 5)),
        st.builds(lambda i, db: {"inputs": {i: {"gain_db": db}}}, st.integers(0, 4), st.floats(-100, 0)),
    ),
    "channel_map": st.builds(lambda i, o: {"in_channels": i, "out_channels": o}, st.integers(1, 3), st.integers(1, 3)),
}
WRONG: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda key, value: {key: value},
    st.sampled_from(["nonsense", "gain_db", "inputs", "channels"]),
    st.sampled_from([99, "x"]),
)
WIRES = ["a.out > b.in", "b.out > c.in_2", "c.out > d.in", "a.out > d.sidechain", "d.out > e.in", "f.out > e.depth"]
POSITIONS = st.none() | st.builds(Position, x=st.floats(-100, 100), y=st.floats(-100, 100))


def draw_edit(draw: st.DrawFn, nodes: dict[str, str], wires: list[str]) -> AnyEdit:
    """An edit that mostly speaks of what is there, or was made a moment ago: `nodes` are types by id."""
    seldom = st.sampled_from([False] * 11 + [True])
    kinds = st.sampled_from(KINDS)
    there = st.sampled_from(IDS) if draw(seldom) or not nodes else st.sampled_from(sorted(nodes))

    def config(kind: str) -> dict[str, Any]:
        return draw(WRONG) if draw(seldom) else draw(st.just({}) | CONFIGS.get(kind, st.just({})))

    def end(direction: str) -> str:
        node_id = draw(there)
        if node_id not in nodes or draw(seldom):
            return f"{node_id}.{draw(st.sampled_from(PORTS))}"
        known = [port for port in CATALOGUE[nodes[node_id]].ports if port.direction == direction]
        name = draw(st.sampled_from(known)).name if known else draw(st.sampled_from(PORTS))
        return f"{node_id}.{name.replace('#', str(draw(st.integers(1, 5))))}"

    verb = draw(st.sampled_from(["add"] * 5 + ["connect"] * 8 + ["remove", "disconnect", "configure", "configure"]
                                + ["replace", "rename", "move", "bypass", "title"]))  # fmt: skip
    if verb == "add" or not nodes:
        kind = "nonsense" if draw(seldom) else draw(kinds)
        new = draw(st.none() | st.sampled_from(IDS))
        if new is not None and kind in CATALOGUE:
            nodes[new] = kind
        return AddNode(
            type=kind, id=new, config=config(kind), label=draw(st.sampled_from(["", "Desk"])), position=draw(POSITIONS),
            bypass=draw(seldom),
        )  # fmt: skip
    if verb == "title":
        return RenameGraph(name=draw(st.sampled_from(["", "Morning", "Evening"])))
    if verb == "connect":
        source, target = end("output"), end("input")
        wires.append(f"{source}:{target}")
        return Connect(source=source, target=target)
    if verb == "disconnect":
        if not wires or draw(seldom):
            return Disconnect(source=end("output"), target=end("input"))
        return Disconnect(id=draw(st.sampled_from(wires)))
    return draw_change(draw, verb, draw(there), nodes, config)


def draw_change(
    draw: st.DrawFn, verb: str, node_id: str, nodes: dict[str, str], config: Callable[[str], dict[str, Any]]
) -> AnyEdit:
    """An edit of one node."""
    match verb:
        case "remove":
            return RemoveNode(id=node_id, strategy=draw(st.sampled_from(["fade", "immediate", "bridge", "bridge"])))
        case "configure":
            return ConfigureNode(id=node_id, config=config(nodes.get(node_id, "gain")))
        case "replace":
            nodes[node_id] = draw(st.sampled_from(KINDS))
            return ReplaceNode(id=node_id, type=nodes[node_id], config=config(nodes[node_id]))
        case "rename":
            return RenameNode(id=node_id, label=draw(st.sampled_from(["", "One", "Two"])))
        case "move":
            return MoveNode(id=node_id, x=draw(st.floats(-100, 100)), y=draw(st.floats(-100, 100)))
        case _:
            return BypassNode(id=node_id, bypass=draw(st.booleans()))


@st.composite
def transactions(draw: st.DrawFn, graph: Graph) -> list[AnyEdit]:
    nodes = {node.id: node.type for node in graph.nodes.values()}
    wires = list(graph.connections)
    return [draw_edit(draw, nodes, wires) for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 6])))]


def afresh(graph: Graph) -> Graph:
    """The same graph, knowing nothing of itself yet."""
    return Graph(name=graph.name, nodes=dict(graph.nodes), connections=dict(graph.connections))


def inspect(refusal: Refusal, edits: int) -> None:
    """A refusal has problems, each at one of the edits, unless a limit is what they all together exceed."""
    assert refusal.problems
    for problem in refusal.problems:
        assert problem.message
        found = re.match(r"edits\[(\d+)\]", problem.where)
        assert problem.kind == "limit" or (found and int(found[1]) < edits), problem
    msgspec.json.encode(refusal.data)


class Editing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.graph = Graph()
        self.past: list[tuple[Graph, tuple[AnyEdit, ...]]] = []
        self.future: list[tuple[Graph, tuple[AnyEdit, ...]]] = []

    def attempt(self, transaction: list[AnyEdit]) -> Accepted | None:
        before = self.graph
        image = msgspec.json.encode(before)
        try:
            accepted = apply_edits(before, transaction, CATALOGUE, LIMITS)
        except Refusal as refusal:
            inspect(refusal, len(transaction))
            return None
        finally:
            assert self.graph is before
            assert msgspec.json.encode(before) == image
        assert len(accepted.ids) == len(transaction)
        self.past.append((before, accepted.inverse))
        self.future.clear()
        self.graph = accepted.graph
        return accepted

    @initialize(width=st.sampled_from([1, 2, 3]), wires=st.sets(st.sampled_from(WIRES)))
    def begin(self, width: int, wires: set[str]) -> None:
        """Something to edit: what there is in the beginning can't be undone."""
        self.graph = built(
            ("a", "tone", {"channels": width}), ("b", "gain"), ("c", "mixer"), ("d", "compressor"), ("e", "tremolo"),
            ("f", "lfo"), *sorted(wires),
        )  # fmt: skip

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        before = self.graph
        transaction = data.draw(transactions(before))
        accepted = self.attempt(transaction)
        if accepted is None:
            return
        assert edits_from_plain(msgspec.to_builtins(transaction)) == transaction
        self.compare(before, accepted)

    def compare(self, before: Graph, accepted: Accepted) -> None:
        """What is said of a change is what changed."""
        after = accepted.graph
        gone = {name for name in before.nodes if name not in after.nodes}
        assert gone <= set(accepted.strategies)
        assert accepted.touched <= set(after.nodes)
        for name, node in after.nodes.items():
            old = before.nodes.get(name)
            if old is None or (old.type, old.config, old.bypass) != (node.type, node.config, node.bypass):
                assert name in accepted.touched
            if old is not None and old.type != node.type:
                assert name in accepted.renewed
        changed = difference(before, after, accepted.affected)
        assert set(map(place_of, changed)) == set(map(place_of, difference(before, after)))
        assert travelled(before, changed) == after and travelled(after, reversed_changes(changed)) == before
        assert taken_back(after, changed) == (before, []), "nobody has changed anything since"
        old_channels, new_channels = resolve_channels(before, CATALOGUE), resolve_channels(after, CATALOGUE)
        both = [name for name in after.nodes if name in before.nodes]
        assert accepted.reshaped == {name for name in both if old_channels[name] != new_channels[name]}

    @rule(data=st.data())
    def connect_what_is_there(self, data: st.DataObject) -> None:
        """Connections between nodes that exist are refused exactly if the graph with them, checked whole, is wrong."""
        if not self.graph.nodes:
            return
        there = st.sampled_from(sorted(self.graph.nodes))
        sources = st.builds("{}.{}".format, there, st.sampled_from(["out"] * 40 + PORTS))
        targets = st.builds("{}.{}".format, there, st.sampled_from(["in"] * 12 + PORTS))
        drawn = data.draw(st.lists(st.builds(Connection, source=sources, target=targets), min_size=1, max_size=3))
        new = {wire.id: wire for wire in drawn if wire.id not in self.graph.connections}
        whole = Graph(name=self.graph.name, nodes=self.graph.nodes, connections={**self.graph.connections, **new})
        problems = check(whole, CATALOGUE, LIMITS)
        accepted = self.attempt([Connect(source=c.source, target=c.target) for c in new.values()])
        assert (accepted is None) == bool(problems)
        if accepted is not None:
            assert accepted.graph == whole

    @precondition(lambda self: self.past)
    @rule()
    def undo(self) -> None:
        was, inverse = self.past.pop()
        accepted = apply_edits(self.graph, inverse, CATALOGUE, LIMITS)
        assert accepted.graph == was
        self.future.append((self.graph, accepted.inverse))
        self.graph = accepted.graph

    @precondition(lambda self: self.future)
    @rule()
    def redo(self) -> None:
        was, inverse = self.future.pop()
        accepted = apply_edits(self.graph, inverse, CATALOGUE, LIMITS)
        assert accepted.graph == was
        self.past.append((self.graph, accepted.inverse))
        self.graph = accepted.graph

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def jump(self, data: st.DataObject) -> None:
        """To any graph there was, in one transaction."""
        goal = data.draw(st.sampled_from([was for was, _ in self.past]))
        self.attempt(list(edits_between(self.graph, goal, CATALOGUE)))
        assert self.graph == goal

    @invariant()
    def the_graph_is_right(self) -> None:
        fresh = afresh(self.graph)
        assert check(fresh, CATALOGUE, LIMITS) == []
        digraph: nx.DiGraph = nx.DiGraph()
        digraph.add_edges_from((c.source_node, c.target_node) for c in self.graph.connections.values())
        assert nx.is_directed_acyclic_graph(digraph)

    @invariant()
    def what_it_knows_of_itself_is_true(self) -> None:
        fresh = afresh(self.graph)
        assert resolve_channels(self.graph, CATALOGUE) == resolve_channels(fresh, CATALOGUE)
        for ours, theirs in ((self.graph.incoming, fresh.incoming), (self.graph.outgoing, fresh.outgoing)):
            assert {name: set(connections) for name, connections in ours.items()} == {
                name: set(connections) for name, connections in theirs.items()
            }

    @invariant()
    def it_survives_being_written_down(self) -> None:
        for full in (False, True):
            text = msgspec.json.encode(to_document(self.graph, CATALOGUE, full))
            assert parse_document(msgspec.json.decode(text), CATALOGUE, LIMITS) == self.graph

    @invariant()
    def events_tell_the_whole_story(self) -> None:
        """Somebody who has the graph of before and hears the events knows the graph of after."""
        if not self.past:
            return
        before = to_document(self.past[-1][0], CATALOGUE, full=True)
        nodes, title = {node["id"]: node for node in before["nodes"]}, before["name"]
        wires = {f"{c['source']}:{c['target']}" for c in before["connections"]}
        for name, params in changes(self.past[-1][0], self.graph, CATALOGUE):
            match name:
                case "node_added":
                    nodes[params["node"]["id"]] = params["node"]
                case "node_replaced":
                    nodes[params["node_id"]] = params["node"]
                case "node_removed":
                    del nodes[params["node_id"]]
                case "connection_added":
                    wires.add(params["connection"]["id"])
                case "connection_removed":
                    wires.remove(params["connection_id"])
                case "graph_renamed":
                    title = params["name"]
                case "node_moved":
                    nodes[params["node_id"]]["position"] = {"x": params["x"], "y": params["y"]}
                    if params["x"] is None:
                        del nodes[params["node_id"]]["position"]
                case "parameter_changed":
                    node, key = nodes[params["node_id"]], params["param"]
                    (node if key in ("label", "bypass") else node["config"])[key] = params["value"]
        after = to_document(self.graph, CATALOGUE, full=True)
        assert nodes == {node["id"]: node for node in after["nodes"]} and title == after["name"]
        assert wires == set(self.graph.connections)


TestEditing = Editing.TestCase
TestEditing.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
