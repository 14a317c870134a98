"""What a transaction did can be taken back, at a price that grows with what it did and no faster.

That what is taken back is right, test_machine.py finds out with random edits."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from tonnetz.daemon.graph.difference import NodeChange, difference, taken_back
from tonnetz.daemon.graph.model import Connection, Graph, Node


def chain(nodes: int) -> Graph:
    made = [Node(id=f"n{number}", type="gain", config={"gain_db": 0.0}) for number in range(nodes)]
    wires = [Connection(f"n{number}.out", f"n{number + 1}.in") for number in range(nodes - 1)]
    return Graph(nodes={node.id: node for node in made}, connections={wire.id: wire for wire in wires})


def calls_to_take_back(nodes: int) -> int:
    """How many calls, and resumptions of generators, it takes to undo the import of a chain: work without a clock."""
    graph = chain(nodes)
    changes = difference(Graph(), graph)
    count = 0

    def hear(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(hear)
    try:
        left, kept = taken_back(graph, changes)
    finally:
        sys.setprofile(None)
    assert (left, kept) == (Graph(), [])
    return count


def test_an_import_is_taken_back_at_a_price_in_proportion_to_its_size() -> None:
    """In proportion: four times for four times as many nodes; by pairs it would be sixteen times."""
    assert calls_to_take_back(800) < 6 * calls_to_take_back(200)


def test_what_comes_back_is_in_the_order_in_which_it_went() -> None:
    graph = chain(5)
    left, kept = taken_back(Graph(), difference(graph, Graph()))
    assert kept == []
    assert list(left.nodes) == list(graph.nodes) and list(left.connections) == list(graph.connections)


def test_a_node_that_somebody_else_has_connected_since_stays() -> None:
    graph = chain(3)
    changes = difference(Graph(), graph)
    guest = Node(id="guest", type="gain", config={})
    wire = Connection("n1.out", "guest.in")
    since = Graph(nodes={**graph.nodes, "guest": guest}, connections={**graph.connections, wire.id: wire})
    left, kept = taken_back(since, changes)
    assert set(left.nodes) == {"n1", "guest"} and list(left.connections) == [wire.id]
    assert [change.id for change in kept if isinstance(change, NodeChange)] == ["n1"]


def test_a_node_of_another_type_goes_back_whoever_has_connected_it_since() -> None:
    """It is still there afterwards, so nothing that hangs on it is lost."""
    graph = chain(2)
    became = Graph(
        nodes={**graph.nodes, "n1": Node(id="n1", type="delay", config={})}, connections=dict(graph.connections)
    )
    changes = difference(graph, became)
    guest = Node(id="guest", type="gain", config={})
    wire = Connection("n1.out", "guest.in")
    since = Graph(nodes={**became.nodes, "guest": guest}, connections={**became.connections, wire.id: wire})
    left, kept = taken_back(since, changes)
    assert left.nodes["n1"] == graph.nodes["n1"] and wire.id in left.connections and kept == []
