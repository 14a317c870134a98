"""Ports spelt out, and channels by the rules of csrc/node_type.h."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from tonnetz.daemon.graph.config import complete
from tonnetz.daemon.graph.model import Connection, Graph, Node
from tonnetz.daemon.graph.ports import NodeChannels, follow_channels, ports, remember_channels, resolve_channels

from .specs import CATALOGUE, built, into, node_type, out


def bare(nodes: dict[str, tuple[str, dict[str, Any]]], *wires: str) -> Graph:
    """A graph nobody checked."""
    made = {}
    for name, (kind, given) in nodes.items():
        config, problems = complete(CATALOGUE[kind], given)
        assert problems == []
        made[name] = Node(id=name, type=kind, config=config)
    connections = [Connection(*wire.split(" > ")) for wire in wires]
    return Graph(nodes=made, connections={connection.id: connection for connection in connections})


def channels(graph: Graph, node_id: str) -> tuple[list[int], list[int]]:
    found = resolve_channels(graph, CATALOGUE)[node_id]
    return list(found.inputs.values()), list(found.outputs.values())


# ---- Ports -------------------------------------------------------------------------------------------------------


def test_repeated_ports_are_spelt_out_in_order() -> None:
    config = complete(CATALOGUE["mixer"], {"inputs": [{}] * 11})[0]
    found = ports(CATALOGUE["mixer"], config)
    assert list(found.inputs) == [f"in_{n}" for n in range(1, 12)]
    assert found.inputs["in_11"].name == "in_11"
    assert list(found.outputs) == ["out"]


def test_ports_keep_the_order_of_their_declaration() -> None:
    config = complete(CATALOGUE["compressor"], {})[0]
    found = ports(CATALOGUE["compressor"], config)
    assert (list(found.inputs), list(found.outputs)) == (["in", "sidechain"], ["out", "gain_reduction_db"])


def test_ports_of_one_length_are_one_object() -> None:
    spec = CATALOGUE["mixer"]
    two = complete(spec, {"inputs": [{}, {}]})[0]
    other = complete(spec, {"inputs": [{"mute": True}, {}]})[0]
    assert ports(spec, two) is ports(spec, other)


# ---- Channels ----------------------------------------------------------------------------------------------------


def test_a_parameter_counts_channels() -> None:
    assert channels(built(("voice", "tone", {"channels": 6})), "voice") == ([], [6])
    assert channels(built(("map", "channel_map", {"in_channels": 1, "out_channels": 5})), "map") == ([1], [5])


def test_follow_is_two_while_nothing_is_connected() -> None:
    assert channels(built(("g", "gain")), "g") == ([2], [2])


@pytest.mark.parametrize("width", [1, 2, 6])
def test_follow_goes_down_a_chain(width: int) -> None:
    graph = built(("t", "tone", {"channels": width}), ("a", "gain"), ("b", "gain"), "t.out > a.in", "a.out > b.in")
    assert channels(graph, "b") == ([width], [width])


def test_follow_is_as_wide_as_the_widest_source() -> None:
    graph = built(("m", "tone", {"channels": 1}), ("s", "tone"), ("g", "gain"), "m.out > g.in", "s.out > g.in")
    assert channels(graph, "g") == ([2], [2])


def test_a_side_chain_has_its_own_width() -> None:
    graph = built(("m", "tone", {"channels": 1}), ("c", "compressor"), "m.out > c.sidechain")
    assert channels(graph, "c") == ([2, 1], [2, 1])


def test_a_port_that_decides_has_no_channels_while_nothing_is_connected() -> None:
    assert channels(built(("c", "compressor")), "c") == ([2, 0], [2, 1])


def test_a_mixer_is_at_least_stereo_and_else_as_wide_as_its_widest_input() -> None:
    graph = built(("m", "tone", {"channels": 1}), ("x", "mixer"), "m.out > x.in_2")
    assert channels(graph, "x") == ([2, 1, 2, 2], [2])
    graph = built(("w", "tone", {"channels": 6}), ("x", "mixer"), "w.out > x.in_1")
    assert channels(graph, "x") == ([6, 2, 2, 2], [6])


def test_control_and_midi_are_one_wide_whatever_their_rule() -> None:
    graph = built(("l", "lfo"), ("t", "tremolo"), ("k", "keys"), "l.out > t.depth")
    assert channels(graph, "l") == ([], [1])
    assert channels(graph, "t") == ([2, 1], [2])
    assert channels(graph, "k") == ([], [1])


def test_nodes_of_unknown_type_and_those_in_a_loop_are_left_out() -> None:
    graph = bare({"a": ("gain", {}), "b": ("gain", {}), "t": ("tone", {})}, "a.out > b.in", "b.out > a.in")
    strange = Node(id="s", type="theremin", config={})
    graph = Graph(nodes={**graph.nodes, "s": strange}, connections=graph.connections)
    assert set(resolve_channels(graph, CATALOGUE)) == {"t"}


def test_a_graph_remembers_its_channels_for_the_same_catalogue() -> None:
    graph = built(("g", "gain"))
    assert resolve_channels(graph, CATALOGUE) is resolve_channels(graph, CATALOGUE)
    assert resolve_channels(graph, dict(CATALOGUE)) == resolve_channels(graph, CATALOGUE)
    marked = {"g": NodeChannels({}, {})}
    remember_channels(graph, CATALOGUE, marked)
    assert resolve_channels(graph, CATALOGUE) is marked


# ---- Following an edit -------------------------------------------------------------------------------------------


def test_only_what_the_change_reaches_is_looked_at() -> None:
    old = built(("t", "tone"), ("a", "gain"), ("b", "gain"), ("other", "gain"), "t.out > a.in", "a.out > b.in")
    before = resolve_channels(old, CATALOGUE)
    wide = msgspec.structs.replace(old.nodes["t"], config={**old.nodes["t"].config, "channels": 6})
    new = Graph(nodes={**old.nodes, "t": wide}, connections=old.connections)
    after, changed = follow_channels(new, CATALOGUE, before, ["t"])
    assert changed == {"t", "a", "b"}
    assert after == resolve_channels(Graph(nodes=new.nodes, connections=new.connections), CATALOGUE)
    assert after["other"] is before["other"]


def test_nothing_changed_gives_the_same_object() -> None:
    graph = built(("t", "tone"), ("a", "gain"), "t.out > a.in")
    before = resolve_channels(graph, CATALOGUE)
    after, changed = follow_channels(graph, CATALOGUE, before, ["t", "a"])
    assert after is before
    assert changed == set()


def test_a_change_that_runs_round_and_round_is_resolved_in_one_pass() -> None:
    """A ladder in which every node is reached by exponentially many ways, fed so that widths arrive one by one."""
    rungs = 40
    nodes: dict[str, tuple[str, dict[str, Any]]] = {f"g{n}": ("gain", {}) for n in range(rungs)}
    wires = [f"g{n}.out > g{m}.in" for n in range(rungs) for m in range(n + 1, rungs)]
    nodes |= {f"t{n}": ("tone", {"channels": n + 3}) for n in range(rungs - 1)}
    wires += [f"t{n}.out > g{n}.in" for n in range(rungs - 1)]
    graph = bare(nodes, *wires)
    nothing: dict[str, NodeChannels] = {}
    after, changed = follow_channels(graph, CATALOGUE, nothing, reversed(graph.nodes))
    fresh = Graph(nodes=graph.nodes, connections=graph.connections)
    assert after == resolve_channels(fresh, CATALOGUE)
    assert changed == set(graph.nodes)


KINDS = ["tone", "gain", "mixer", "compressor", "channel_map", "null_output"]


@st.composite
def acyclic(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 8))
    nodes: dict[str, tuple[str, dict[str, Any]]] = {}
    wires = []
    for n in range(size):
        kind = draw(st.sampled_from(KINDS))
        width = draw(st.integers(1, 4))
        nodes[f"n{n}"] = (kind, {"channels": width} if kind == "tone" else {})
        spec = CATALOGUE[kind]
        known = ports(spec, complete(spec, {})[0])
        for port in known.inputs:
            sources = draw(st.sets(st.integers(0, max(n - 1, 0)), max_size=2))
            able = [m for m in sources if m < n and nodes[f"n{m}"][0] != "null_output"]
            wires += [f"n{m}.out > n{n}.{port}" for m in able]
    return bare(nodes, *wires)


@forall(acyclic(), acyclic())
def test_following_a_change_is_resolving_anew(old: Graph, new: Graph) -> None:
    """Whatever became of a graph: following the touched nodes gives what one pass over everything gives."""
    touched = [*old.nodes, *new.nodes]
    after, changed = follow_channels(new, CATALOGUE, resolve_channels(old, CATALOGUE), touched)
    assert after == resolve_channels(Graph(nodes=new.nodes, connections=new.connections), CATALOGUE)
    before = resolve_channels(old, CATALOGUE)
    assert changed == {name for name in {*before, *after} if before.get(name) != after.get(name)}


def test_a_fixed_port_has_at_least_one_channel() -> None:
    spec = node_type("odd", "processor", [], into(rule="fixed", channels=0), out(rule="widest"))
    graph = Graph(nodes={"o": Node(id="o", type="odd", config={})})
    found = resolve_channels(graph, {"odd": spec})["o"]
    assert (found.inputs["in"], found.outputs["out"]) == (1, 1)
