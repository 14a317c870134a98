"""Loops, with networkx as the judge."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from tonnetz.daemon.graph.loops import REPORTED, loops
from tonnetz.daemon.graph.model import Connection, Graph


def wired(pairs: list[tuple[int, int]]) -> Graph:
    connections = [Connection(f"n{a}.out", f"n{b}.in") for a, b in pairs]
    return Graph(connections={connection.id: connection for connection in connections})


def judge(graph: Graph, without: tuple[Connection, ...] = ()) -> nx.DiGraph:
    digraph: nx.DiGraph = nx.DiGraph()
    left_out = {connection.id for connection in without}
    digraph.add_edges_from((c.source_node, c.target_node) for c in graph.connections.values() if c.id not in left_out)
    return digraph


pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)


@given(pairs)
def test_loops_are_found_exactly_where_there_are_some(wires: list[tuple[int, int]]) -> None:
    graph = wired(wires)
    found = loops(graph)
    assert bool(found.closing) is not nx.is_directed_acyclic_graph(judge(graph))
    assert nx.is_directed_acyclic_graph(judge(graph, found.closing))  # without these, none is left
    for path in found.paths:
        assert path[0] in found.closing
        ends = [connection.source_node for connection in path]
        assert [connection.target_node for connection in path] == [*ends[1:], ends[0]]
        assert len(set(ends)) == len(ends)
        back = nx.shortest_path_length(judge(graph), path[0].target_node, path[0].source_node)
        assert len(path) == back + 1  # no shorter one


@given(pairs, st.integers(1, 5))
def test_a_sound_graph_and_what_was_added_to_it(wires: list[tuple[int, int]], added: int) -> None:
    """Looking only from the new connections finds the same as looking from everywhere."""
    old: list[tuple[int, int]] = []
    for pair in wires:
        if nx.is_directed_acyclic_graph(judge(wired([*old, pair]))):
            old.append(pair)
    new = [pair for pair in wires if pair not in old][:added] + [(b, a) for a, b in old[:added]]
    graph = wired(old + new)
    made = [Connection(f"n{a}.out", f"n{b}.in") for a, b in new]
    found = loops(graph, made)
    assert bool(found.closing) == bool(loops(graph).closing)
    assert nx.is_directed_acyclic_graph(judge(graph, found.closing))
    names = {connection.id for connection in made}
    assert all(names & {connection.id for connection in path} for path in found.paths)


def test_a_long_loop_is_no_deep_recursion() -> None:
    length = 10_000
    graph = wired([(n, (n + 1) % length) for n in range(length)])
    found = loops(graph)
    assert len(found.closing) == 1
    assert len(found.paths[0]) == length


def test_thousands_of_loops_are_counted_but_not_all_told() -> None:
    graph = wired([(a, b) for a in range(60) for b in range(60)])
    found = loops(graph)
    assert nx.is_directed_acyclic_graph(judge(graph, found.closing))
    assert len(found.paths) <= REPORTED
