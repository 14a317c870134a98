"""Every rule a graph keeps, and how a breach is told."""

from __future__ import annotations

import pytest

from tonnetz.daemon.graph.model import Connection, Graph, Node
from tonnetz.daemon.graph.rules import Limits, Touched, check, refusal
from tonnetz.daemon.problems import Problem

from .specs import CATALOGUE, built
from .test_ports import bare

LIMITS = Limits()


def only_problem(graph: Graph, limits: Limits = LIMITS) -> Problem:
    problems = check(graph, CATALOGUE, limits)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_sound_graph_has_no_problems() -> None:
    graph = built(
        ("t", "tone"), ("m", "mixer"), ("c", "compressor"), ("o", "stereo_output"), ("l", "lfo"), ("v", "tremolo"),
        ("k", "keys"), ("s", "synth"), "t.out > m.in_1", "s.out > m.in_2", "k.out > s.notes", "m.out > c.in",
        "t.out > c.sidechain", "c.out > v.in", "l.out > v.depth", "v.out > o.in",
    )  # fmt: skip
    assert check(graph, CATALOGUE, LIMITS) == []


def test_unknown_type() -> None:
    graph = Graph(nodes={"e": Node(id="e", type="equaliser", config={})})
    problem = only_problem(graph)
    assert (problem.kind, problem.where) == ("unknown_type", "e.type")
    assert problem.message == "There is no node type 'equaliser'. Did you mean 'equalizer'?"


def test_what_an_unknown_type_is_connected_to_is_not_judged() -> None:
    known = bare({"w": ("tone", {"channels": 6}), "o": ("stereo_output", {}), "g": ("gain", {})}, "g.out > o.in")
    strange = Node(id="s", type="theremin", config={})
    wires = [Connection("w.out", "s.in"), Connection("s.out", "g.in")]
    graph = Graph(
        nodes={**known.nodes, "s": strange}, connections={**known.connections, **{wire.id: wire for wire in wires}}
    )
    assert only_problem(graph).kind == "unknown_type"


def test_unknown_node() -> None:
    problem = only_problem(bare({"voice": ("tone", {}), "g": ("gain", {})}, "voise.out > g.in"))
    assert (problem.kind, problem.where) == ("unknown_node", "voise.out:g.in.source")
    assert problem.message == "There is no node 'voise'. Did you mean 'voice'?"
    assert problem.data == {"node": "voise"}


def test_unknown_target() -> None:
    problem = only_problem(bare({"voice": ("tone", {})}, "voice.out > g.in"))
    assert (problem.kind, problem.where) == ("unknown_node", "voice.out:g.in.target")


def test_a_node_among_thousands_is_still_suggested() -> None:
    nodes = {name: ("gain", {}) for name in [f"gain_{n}" for n in range(500)] + ["voice"]}
    assert "Did you mean 'voice'?" in only_problem(bare(nodes, "voise.out > gain_1.in")).message


@pytest.mark.parametrize(
    ("wire", "where", "words"),
    [
        ("t.ot > g.in", "t.ot:g.in.source", "t has no output 'ot'. Did you mean 'out'?"),
        ("t.out > g.inn", "t.out:g.inn.target", "g has no input 'inn'. Did you mean 'in'?"),
        ("t.out > m.in_9", "t.out:m.in_9.target", "Did you mean 'in_4'? Every record of its 'inputs' makes one, and there are 4."),
        ("t.out > m.side", "t.out:m.side.target", "m has no input 'side'. Known: in_1, in_2, in_3, in_4. Every record"),
        ("t.out > l.in", "t.out:l.in.target", "l has no input 'in'."),
    ],
)  # fmt: skip
def test_unknown_port(wire: str, where: str, words: str) -> None:
    nodes = {"t": ("tone", {}), "g": ("gain", {}), "m": ("mixer", {}), "l": ("lfo", {})}
    problem = only_problem(bare(nodes, wire))
    assert (problem.kind, problem.where) == ("unknown_port", where)
    assert words in problem.message


def test_both_ends_unknown_are_two_problems() -> None:
    problems = check(bare({"t": ("tone", {}), "g": ("gain", {})}, "t.x > g.y"), CATALOGUE, LIMITS)
    assert [problem.where for problem in problems] == ["t.x:g.y.source", "t.x:g.y.target"]


def test_direction() -> None:
    problem = only_problem(bare({"a": ("gain", {}), "b": ("gain", {})}, "a.in > b.in"))
    assert (problem.kind, problem.where) == ("direction", "a.in:b.in.source")
    assert problem.message == "a.in is an input, and a connection starts at an output. a has the output out."
    problem = only_problem(bare({"t": ("tone", {}), "l": ("lfo", {})}, "t.out > l.out"))
    assert problem.message == "l.out is an output, and a connection ends at an input. l has no input."


def test_crossed_ends_are_one_problem_with_the_cure() -> None:
    problem = only_problem(bare({"t": ("tone", {}), "g": ("gain", {})}, "g.in > t.out"))
    assert (problem.kind, problem.where) == ("direction", "g.in:t.out")
    assert "The source is t.out and the target g.in." in problem.message


@pytest.mark.parametrize(
    ("wire", "given", "taken"),
    [("l.out > g.in", "control", "audio"), ("k.out > g.in", "midi", "audio"), ("t.out > v.depth", "audio", "control")],
)
def test_type_mismatch(wire: str, given: str, taken: str) -> None:
    nodes = {"t": ("tone", {}), "g": ("gain", {}), "l": ("lfo", {}), "k": ("keys", {}), "v": ("tremolo", {})}
    problem = only_problem(bare(nodes, wire))
    assert problem.kind == "type_mismatch"
    source, _, target = wire.partition(" > ")
    assert problem.message.startswith(f"{source} gives {given} and {target} takes {taken}; ")
    assert problem.data == {"connection": f"{source}:{target}", "source": given, "target": taken}


def test_cycle_with_its_path() -> None:
    nodes = {name: ("gain", {}) for name in "abcd"}
    problem = only_problem(bare(nodes, "a.out > b.in", "b.out > c.in", "a.out > d.in", "c.out > a.in"))
    assert (problem.kind, problem.where) == ("cycle", "c.out:a.in")
    assert problem.data == {"path": ["c", "a", "b", "c"], "connection": "c.out:a.in"}
    assert problem.message.startswith("This closes a loop: c → a → b → c. ")


def test_self_loop() -> None:
    problem = only_problem(bare({"g": ("gain", {})}, "g.out > g.in"))
    assert problem.data["path"] == ["g", "g"]


def test_two_loops_are_two_problems_and_the_rest_is_still_judged() -> None:
    nodes = {name: ("gain", {}) for name in "abcd"} | {"w": ("tone", {"channels": 6}), "o": ("stereo_output", {})}
    wires = ["a.out > b.in", "b.out > a.in", "c.out > d.in", "d.out > c.in", "w.out > o.in"]
    kinds = [problem.kind for problem in check(bare(nodes, *wires), CATALOGUE, LIMITS)]
    assert kinds == ["cycle", "cycle", "channel_mismatch"]


def test_a_long_path_is_shortened_for_people_only() -> None:
    nodes = {f"g{n}": ("gain", {}) for n in range(30)}
    problem = only_problem(bare(nodes, *(f"g{n}.out > g{(n + 1) % 30}.in" for n in range(30))))
    assert len(problem.data["path"]) == 31
    assert "g29 → g0 → g1 → g2 → g3 → g4 → … → g25 → g26 → g27 → g28 → g29" in problem.message


@pytest.mark.parametrize(("given", "taken"), [(1, 1), (1, 2), (2, 1), (2, 2), (6, 6)])
def test_channels_that_go_together(given: int, taken: int) -> None:
    nodes = {"t": ("tone", {"channels": given}), "m": ("channel_map", {"in_channels": taken})}
    assert check(bare(nodes, "t.out > m.in"), CATALOGUE, LIMITS) == []


@pytest.mark.parametrize(("given", "taken"), [(1, 3), (3, 1), (2, 6), (6, 2), (5, 6)])
def test_channel_mismatch_names_the_cure(given: int, taken: int) -> None:
    nodes = {"t": ("tone", {"channels": given}), "m": ("channel_map", {"in_channels": taken})}
    problem = only_problem(bare(nodes, "t.out > m.in"))
    assert (problem.kind, problem.where) == ("channel_mismatch", "t.out:m.in")
    channels = "1 channel" if given == 1 else f"{given} channels"
    assert problem.message == (
        f"t.out has {channels} and m.in takes {taken}; only 1 and 2 go together. "
        f"Put a channel_map (in_channels: {given}, out_channels: {taken}) between them."
    )
    assert problem.data == {"connection": "t.out:m.in", "source": given, "target": taken, "cure": "channel_map"}


def test_channels_that_followed_a_long_way_mismatch_where_they_arrive() -> None:
    nodes = {"t": ("tone", {"channels": 6}), "a": ("gain", {}), "b": ("gain", {}), "o": ("stereo_output", {})}
    assert only_problem(bare(nodes, "t.out > a.in", "a.out > b.in", "b.out > o.in")).data["connection"] == "b.out:o.in"


def test_a_narrow_source_does_not_go_with_a_wide_one() -> None:
    nodes = {"w": ("tone", {"channels": 6}), "s": ("tone", {}), "g": ("gain", {})}
    problem = only_problem(bare(nodes, "w.out > g.in", "s.out > g.in"))
    assert problem.data == {"connection": "s.out:g.in", "source": 2, "target": 6, "cure": "channel_map"}


def test_a_mixer_mixes_mono_and_stereo() -> None:
    nodes = {"m": ("tone", {"channels": 1}), "s": ("tone", {}), "x": ("mixer", {}), "o": ("stereo_output", {})}
    assert check(bare(nodes, "m.out > x.in_1", "s.out > x.in_2", "x.out > o.in"), CATALOGUE, LIMITS) == []


@pytest.mark.parametrize("width", [3, 6])
def test_a_wide_mixer_wants_all_its_inputs_alike(width: int) -> None:
    nodes = {"w": ("tone", {"channels": width}), "v": ("tone", {"channels": width}), "x": ("mixer", {})}
    assert check(bare(nodes, "w.out > x.in_1", "v.out > x.in_2"), CATALOGUE, LIMITS) == []
    nodes |= {"v": ("tone", {"channels": 1})}
    problem = only_problem(bare(nodes, "w.out > x.in_1", "v.out > x.in_2"))
    assert problem.message.startswith(f"v.out has 1 channel and x mixes {width}; ")
    assert f"channel_map (in_channels: 1, out_channels: {width})" in problem.message


def test_a_side_chain_may_be_of_another_width() -> None:
    nodes = {"w": ("tone", {"channels": 6}), "m": ("tone", {"channels": 1}), "c": ("compressor", {})}
    assert check(bare(nodes, "w.out > c.in", "m.out > c.sidechain"), CATALOGUE, LIMITS) == []


def test_limits() -> None:
    graph = bare({name: ("tone", {}) for name in "abc"} | {"g": ("gain", {})}, *(f"{n}.out > g.in" for n in "abc"))
    problem = only_problem(graph, Limits(nodes=3))
    assert (problem.kind, problem.where, problem.data) == ("limit", "nodes", {"limit": 3, "count": 4})
    assert problem.message == "The graph would have 4 nodes; the limit is 3."
    problem = only_problem(graph, Limits(connections=2))
    assert (problem.where, problem.message) == ("connections", "The graph would have 3 connections; the limit is 2.")
    problem = only_problem(graph, Limits(links_per_port=2))
    assert (problem.where, problem.message) == ("c.out:g.in", "g.in would have 3 connections; the limit is 2.")
    assert check(graph, CATALOGUE, Limits(nodes=4, connections=3, links_per_port=3)) == []


def test_the_limits_unless_told_otherwise() -> None:
    assert (LIMITS.nodes, LIMITS.connections, LIMITS.links_per_port) == (10_000, 40_000, 256)


def test_what_was_not_touched_is_not_looked_at() -> None:
    graph = bare({"t": ("tone", {}), "g": ("gain", {})}, "t.nonsense > g.in")
    untouched = Touched(nodes=(), connections={}, rewired=(), channels={})
    assert check(graph, CATALOGUE, Limits(nodes=1, connections=0), untouched) == []


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        (["unknown_node", "unknown_connection"], "not_found"),
        (["id_taken"], "conflict"),
        (["out_of_range", "wrong_type", "unknown_parameter", "unknown_choice", "missing"], "invalid_config"),
        (["cycle"], "invalid_graph"),
        (["unknown_node", "id_taken"], "invalid_graph"),
        (["unknown_node", "out_of_range"], "invalid_graph"),
        (["unknown_type"], "invalid_graph"),
    ],
)
def test_a_refusal_is_named_for_what_its_problems_have_in_common(kinds: list[str], name: str) -> None:
    assert refusal([Problem(kind, "No.") for kind in kinds]).name == name
