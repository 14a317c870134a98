"""What clients hear of a change."""

from __future__ import annotations

from typing import Any

import msgspec

from tonnetz.daemon.graph.changes import changes
from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Disconnect,
    MoveNode,
    RemoveNode,
    RenameNode,
    ReplaceNode,
)
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.graph.transaction import apply_edits

from .specs import CATALOGUE, built

GRAPH = built(("t", "tone"), ("g", "gain"), ("o", "null_output"), "t.out > g.in", "g.out > o.in")


def events(*edits: AnyEdit, graph: Graph = GRAPH) -> list[tuple[str, dict[str, Any]]]:
    accepted = apply_edits(graph, edits, CATALOGUE)
    return changes(graph, accepted.graph, CATALOGUE, accepted.renewed, accepted.affected)


def test_nothing_happened() -> None:
    assert events() == []
    assert changes(GRAPH, Graph(nodes=dict(GRAPH.nodes), connections=dict(GRAPH.connections)), CATALOGUE) == []


def test_a_node_and_its_connection() -> None:
    assert events(
        AddNode(type="lfo", label="Slow", config={"frequency": 2}), Connect(source="t.out", target="o.in")
    ) == [
        (
            "node_added",
            {"node": {"id": "lfo_1", "type": "lfo", "config": {"frequency": 2.0}, "label": "Slow", "bypass": False}},
        ),
        ("connection_added", {"connection": {"id": "t.out:o.in", "source": "t.out", "target": "o.in"}}),
    ]


def test_connections_go_before_their_nodes() -> None:
    assert events(RemoveNode(id="g", strategy="bridge")) == [
        ("connection_removed", {"connection_id": "t.out:g.in"}),
        ("connection_removed", {"connection_id": "g.out:o.in"}),
        ("node_removed", {"node_id": "g"}),
        ("connection_added", {"connection": {"id": "t.out:o.in", "source": "t.out", "target": "o.in"}}),
    ]


def test_disconnected() -> None:
    assert events(Disconnect(id="t.out:g.in")) == [("connection_removed", {"connection_id": "t.out:g.in"})]


def test_every_parameter_that_changed() -> None:
    assert events(ConfigureNode(id="t", config={"frequency": 50, "wave": "square", "level_db": -20})) == [
        ("parameter_changed", {"node_id": "t", "param": "wave", "value": "square"}),
        ("parameter_changed", {"node_id": "t", "param": "frequency", "value": 50.0}),
    ]


def test_label_bypass_and_position() -> None:
    assert events(
        RenameNode(id="g", label="Trim"), BypassNode(id="g", bypass=True), MoveNode(id="g", x=1, y=2)
    ) == [
        ("parameter_changed", {"node_id": "g", "param": "label", "value": "Trim"}),
        ("parameter_changed", {"node_id": "g", "param": "bypass", "value": True}),
        ("node_moved", {"node_id": "g", "x": 1.0, "y": 2.0}),
    ]  # fmt: skip
    moved = apply_edits(GRAPH, [MoveNode(id="g", x=1, y=2)], CATALOGUE).graph
    assert changes(moved, GRAPH, CATALOGUE) == [("node_moved", {"node_id": "g", "x": None, "y": None})]


def test_replaced() -> None:
    (name, params), *rest = events(ReplaceNode(id="g", type="compressor"), MoveNode(id="g", x=1, y=2))
    assert name == "node_replaced"
    assert params["node_id"] == "g"
    assert params["node"]["type"] == "compressor"
    assert params["node"]["position"] == {"x": 1.0, "y": 2.0}
    assert rest == []


def test_replaced_by_its_like() -> None:
    assert [name for name, _ in events(ReplaceNode(id="g", type="gain"))] == ["node_replaced"]


def test_no_event_tells_a_secret() -> None:
    graph = built(("c", "caster", {"host": "a", "password": "hush"}))
    told = events(ConfigureNode(id="c", config={"password": "louder"}), graph=graph)
    assert told == [("parameter_changed", {"node_id": "c", "param": "password", "value": {"secret": True}})]
    everything = changes(Graph(), graph, CATALOGUE) + changes(graph, Graph(), CATALOGUE)
    everything += events(ReplaceNode(id="c", type="caster", config={"host": "b", "password": "hush"}), graph=graph)
    assert b"hush" not in msgspec.json.encode(everything)
