"""Every verb, alone and with others; every refusal, with its place and without its consequences."""

from __future__ import annotations

import math

import msgspec
import pytest

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
from tonnetz.daemon.graph.model import Graph, Position
from tonnetz.daemon.graph.rules import Limits
from tonnetz.daemon.graph.transaction import Accepted, apply_edits
from tonnetz.daemon.problems import Problem, Refusal

from .specs import CATALOGUE, built


def apply(graph: Graph, *edits: AnyEdit, limits: Limits | None = None) -> Accepted:
    """Apply, and see that the inverse gives back what was, and its inverse what is."""
    accepted = apply_edits(graph, edits, CATALOGUE, limits)
    undone = apply_edits(accepted.graph, accepted.inverse, CATALOGUE, limits)
    assert undone.graph == graph
    assert apply_edits(undone.graph, undone.inverse, CATALOGUE, limits).graph == accepted.graph
    return accepted


def refused(graph: Graph, *edits: AnyEdit, limits: Limits | None = None) -> Refusal:
    before = msgspec.json.encode(graph)
    with pytest.raises(Refusal) as caught:
        apply_edits(graph, edits, CATALOGUE, limits)
    assert msgspec.json.encode(graph) == before
    msgspec.json.encode(caught.value.data)
    return caught.value


def only_problem(graph: Graph, *edits: AnyEdit, limits: Limits | None = None) -> Problem:
    problems = refused(graph, *edits, limits=limits).problems
    assert len(problems) == 1, problems
    return problems[0]


def wire(text: str) -> Connect:
    source, _, target = text.partition(" > ")
    return Connect(source=source, target=target)


CHAIN = built(("t", "tone"), ("g", "gain"), ("o", "null_output"), "t.out > g.in", "g.out > o.in")
DESK = built(("v", "tone"), ("m", "mixer"), "v.out > m.in_3", "v.out > m.in_1")


# ---- add_node ----------------------------------------------------------------------------------------------------


def test_add_node() -> None:
    position = Position(x=1.0, y=2.0)
    edit = AddNode(type="gain", id="g", config={"gain_db": 3}, label="Trim", position=position, bypass=True)
    accepted = apply(Graph(), edit)
    node = accepted.graph.nodes["g"]
    assert (node.type, node.config, node.label, node.position, node.bypass) == (
        "gain", {"gain_db": 3.0, "mute": False}, "Trim", position, True,
    )  # fmt: skip
    assert accepted.ids == ("g",)
    assert accepted.touched == {"g"}
    assert accepted.renewed == frozenset()
    assert accepted.inverse == (RemoveNode(id="g"),)


def test_a_nameless_node_gets_the_smallest_number_that_is_free() -> None:
    graph = built(("gain_1", "gain"), ("gain_3", "gain"))
    assert apply(graph, AddNode(type="gain"), AddNode(type="gain"), AddNode(type="tone")).ids == (
        "gain_2", "gain_4", "tone_1",
    )  # fmt: skip


def test_a_number_freed_on_the_way_is_free() -> None:
    graph = built(("gain_1", "gain"), ("gain_2", "gain"))
    edits = [AddNode(type="gain"), RemoveNode(id="gain_1"), AddNode(type="gain"), AddNode(type="gain")]
    assert apply(graph, *edits).ids == ("gain_3", "gain_1", "gain_1", "gain_4")


def test_a_name_stays_a_name_however_long_the_type() -> None:
    name = "x" * 63
    catalogue = {name: msgspec.structs.replace(CATALOGUE["gain"], type=name)}
    assert apply_edits(Graph(), [AddNode(type=name)], catalogue).ids == ("x" * 61 + "_1",)


@pytest.mark.parametrize("name", ["", "Gain", "1gain", "gain-1", "gain 1", "a" * 64, "gäin", "gain\n", "a.b"])
def test_what_can_not_be_an_id(name: str) -> None:
    problem = only_problem(Graph(), AddNode(type="gain", id=name))
    assert (problem.kind, problem.where) == ("malformed", "edits[0].id")
    assert "can't be a node's id: a lower-case letter, then lower-case letters, digits and _" in problem.message


def test_an_id_that_is_taken() -> None:
    refusal = refused(CHAIN, AddNode(type="gain", id="g"))
    assert refusal.name == "conflict"
    assert [(p.kind, p.where) for p in refusal.problems] == [("id_taken", "edits[0].id")]
    assert refusal.problems[0].message == "There is a node 'g' already. Choose another id, or leave it out."
    assert "edits[0] made it." in only_problem(Graph(), *[AddNode(type="gain", id="g")] * 2).message


def test_an_unknown_type_and_a_wrong_configuration() -> None:
    problem = only_problem(Graph(), AddNode(type="gian", id="g"))
    assert (problem.kind, problem.where) == ("unknown_type", "edits[0].type")
    assert problem.message == "There is no node type 'gian'. Did you mean 'gain'?"
    refusal = refused(Graph(), AddNode(type="gain", config={"gain_db": 99, "muted": True}))
    assert refusal.name == "invalid_config"
    assert [p.where for p in refusal.problems] == ["edits[0].config.gain_db", "edits[0].config.muted"]


@pytest.mark.parametrize(
    ("edit", "where", "words"),
    [
        (AddNode(type="gain", label="x" * 201), "edits[0].label", "201 characters; at most 200"),
        (AddNode(type="gain", label="\ud800"), "edits[0].label", "half a surrogate pair"),
        (RenameNode(id="g", label="\0"), "edits[0].label", "a NUL character"),
        (AddNode(type="gain", position=Position(x=math.nan, y=0.0)), "edits[0].position.x", "not NaN"),
        (AddNode(type="gain", position=Position(x=0.0, y=1e8)), "edits[0].position.y", "from -10000000 to 10000000"),
        (MoveNode(id="g", x=0.0, y=math.inf), "edits[0].y", "not Infinity"),
        (MoveNode(id="g", x=0.0, y=None), "edits[0]", "two numbers, x and y, or null for both"),
    ],
)
def test_labels_and_positions_that_can_not_be(edit: AnyEdit, where: str, words: str) -> None:
    problem = only_problem(CHAIN, edit)
    assert (problem.kind, problem.where) == ("malformed", where)
    assert words in problem.message


# ---- remove_node -------------------------------------------------------------------------------------------------


def test_remove_node_takes_its_connections_along() -> None:
    accepted = apply(CHAIN, RemoveNode(id="g"))
    assert set(accepted.graph.nodes) == {"t", "o"}
    assert accepted.graph.connections == {}
    assert accepted.strategies == {"g": "fade"}
    assert accepted.touched == {"t", "o"}


def test_remove_node_immediately() -> None:
    assert apply(CHAIN, RemoveNode(id="g", strategy="immediate")).strategies == {"g": "immediate"}


def test_a_bridge_joins_what_fed_the_node_to_what_it_fed() -> None:
    graph = built(
        ("a", "tone"), ("b", "tone"), ("g", "gain"), ("x", "null_output"), ("y", "mixer"),
        "a.out > g.in", "b.out > g.in", "g.out > x.in", "g.out > y.in_2", "a.out > x.in",
    )  # fmt: skip
    accepted = apply(graph, RemoveNode(id="g", strategy="bridge"))
    assert set(accepted.graph.connections) == {"a.out:x.in", "b.out:x.in", "a.out:y.in_2", "b.out:y.in_2"}
    assert accepted.strategies == {"g": "bridge"}
    assert accepted.warnings == ()


def test_a_bridge_passes_by_side_chains_and_control() -> None:
    graph = built(
        ("a", "tone"), ("b", "tone"), ("c", "compressor"), ("o", "null_output"), ("v", "tremolo"),
        "a.out > c.in", "b.out > c.sidechain", "c.out > o.in", "c.gain_reduction_db > v.depth",
    )  # fmt: skip
    accepted = apply(graph, RemoveNode(id="c", strategy="bridge"))
    assert set(accepted.graph.connections) == {"a.out:o.in"}


def test_a_bridge_over_a_mixer_leads_from_all_its_inputs() -> None:
    graph = built(
        ("a", "tone"), ("b", "tone"), ("m", "mixer"), ("o", "null_output"),
        "a.out > m.in_1", "a.out > m.in_2", "b.out > m.in_4", "m.out > o.in",
    )  # fmt: skip
    accepted = apply(graph, RemoveNode(id="m", strategy="bridge"))
    assert set(accepted.graph.connections) == {"a.out:o.in", "b.out:o.in"}


@pytest.mark.parametrize("node_id", ["t", "o"])
def test_nothing_bridges_a_source_or_a_sink(node_id: str) -> None:
    accepted = apply(CHAIN, RemoveNode(id=node_id, strategy="bridge"))
    assert accepted.warnings == (f"{node_id} has no input and output to join: nothing bridges the gap it leaves.",)


def test_a_bridge_that_channels_do_not_allow() -> None:
    graph = built(
        ("t", "tone"), ("map", "channel_map", {"out_channels": 6}), ("o", "caster", {"host": "a", "channels": 6}),
        "t.out > map.in", "map.out > o.in",
    )  # fmt: skip
    problem = only_problem(graph, RenameNode(id="t", label="x"), RemoveNode(id="map", strategy="bridge"))
    assert (problem.kind, problem.where) == ("channel_mismatch", "edits[1]")


def test_a_node_added_and_removed_leaves_no_trace() -> None:
    accepted = apply(CHAIN, AddNode(type="gain"), wire("t.out > gain_1.in"), RemoveNode(id="gain_1"))
    assert accepted.graph == CHAIN
    assert accepted.strategies == {}


def test_a_node_removed_and_added_again_is_another() -> None:
    accepted = apply(CHAIN, RemoveNode(id="g"), AddNode(type="gain", id="g"))
    assert accepted.renewed == {"g"}
    assert accepted.strategies == {"g": "fade"}


# ---- connect and disconnect --------------------------------------------------------------------------------------


def test_connect() -> None:
    accepted = apply(CHAIN, Connect(source="t.out", target="o.in"))
    assert accepted.ids == ("t.out:o.in",)
    assert accepted.graph.connections["t.out:o.in"].source == "t.out"
    assert accepted.touched == {"t", "o"}
    assert accepted.inverse == (Disconnect(id="t.out:o.in"),)


def test_connect_twice() -> None:
    problem = only_problem(CHAIN, wire("t.out > g.in"))
    assert (problem.kind, problem.where) == ("duplicate", "edits[0]")
    assert problem.message == "t.out is connected to g.in already. A second connection is not possible."
    assert only_problem(CHAIN, wire("t.out > o.in"), wire("t.out > o.in")).where == "edits[1]"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("t > g.in", "edits[0].source", "'t' names no port. A port is written node.port, as t.out."),
        ("t.out > m", "edits[0].target", "'m' names no port. A port is written node.port, as m.in_1."),
        ("x > m.in_2", "edits[0].source", "as mic_1.out."),
        ("t. > m.in_2", "edits[0].source", "'t.' names no port."),
    ],
)
def test_connect_without_ports(text: str, where: str, words: str) -> None:
    graph = built(("t", "tone"), ("g", "gain"), ("m", "mixer"))
    problem = only_problem(graph, wire(text))
    assert (problem.kind, problem.where) == ("malformed", where)
    assert words in problem.message


def test_connect_to_nodes_that_are_not_there() -> None:
    refusal = refused(CHAIN, wire("x.out > y.in"))
    assert refusal.name == "not_found"
    assert [p.where for p in refusal.problems] == ["edits[0].source", "edits[0].target"]


def test_the_rules_hold_for_connections() -> None:
    graph = built(("t", "tone", {"channels": 6}), ("g", "gain"), ("l", "lfo"), ("o", "stereo_output"))
    cases = {
        "t.out > o.in": ("channel_mismatch", "edits[0]"),
        "l.out > g.in": ("type_mismatch", "edits[0]"),
        "t.out > g.gone": ("unknown_port", "edits[0].target"),
        "g.in > o.in": ("direction", "edits[0].source"),
        "g.out > g.in": ("cycle", "edits[0]"),
    }
    for text, expected in cases.items():
        problem = only_problem(graph, wire(text))
        assert (problem.kind, problem.where) == expected


def test_a_loop_is_blamed_on_the_edit_that_closes_it() -> None:
    graph = built(("a", "gain"), ("b", "gain"), ("c", "gain"), "a.out > b.in")
    problem = only_problem(graph, wire("b.out > c.in"), RenameNode(id="a", label="x"), wire("c.out > a.in"))
    assert (problem.kind, problem.where) == ("cycle", "edits[2]")
    assert problem.data["path"] == ["c", "a", "b", "c"]


def test_a_loop_that_is_opened_again_is_none() -> None:
    graph = built(("a", "gain"), ("b", "gain"), "a.out > b.in")
    accepted = apply(graph, wire("b.out > a.in"), Disconnect(source="a.out", target="b.in"))
    assert set(accepted.graph.connections) == {"b.out:a.in"}


@pytest.mark.parametrize(
    "edit",
    [
        Disconnect(id="t.out:g.in"),
        Disconnect(source="t.out", target="g.in"),
        Disconnect(id="t.out:g.in", source="t.out", target="g.in"),
    ],
)
def test_disconnect(edit: Disconnect) -> None:
    accepted = apply(CHAIN, edit)
    assert set(accepted.graph.connections) == {"g.out:o.in"}
    assert accepted.ids == ("t.out:g.in",)
    assert accepted.touched == {"t", "g"}


@pytest.mark.parametrize(
    "edit",
    [
        Disconnect(),
        Disconnect(source="t.out"),
        Disconnect(id="t.out:g.in", source="g.out", target="o.in"),
        Disconnect(id="t.out:g.in", target="g.in"),
    ],
)
def test_disconnect_must_name_one_connection(edit: Disconnect) -> None:
    problem = only_problem(CHAIN, edit)
    assert (problem.kind, problem.where) == ("malformed", "edits[0]")
    assert "its id (source.port:target.port), or by its source and its target" in problem.message


def test_disconnect_what_is_not_connected() -> None:
    refusal = refused(CHAIN, Disconnect(id="t.out:g.im"))
    assert refusal.name == "not_found"
    problem = refusal.problems[0]
    assert (problem.kind, problem.where) == ("unknown_connection", "edits[0].id")
    assert problem.message == "There is no connection 't.out:g.im'. Did you mean 't.out:g.in'?"
    assert only_problem(CHAIN, Disconnect(source="t.out", target="o.in")).where == "edits[0].source"


def test_a_disconnection_that_changes_widths_is_to_blame() -> None:
    graph = built(
        ("w", "tone", {"channels": 6}), ("g", "gain"), ("map", "channel_map", {"in_channels": 6}),
        "w.out > g.in", "g.out > map.in",
    )  # fmt: skip
    problem = only_problem(graph, RenameNode(id="w", label="x"), Disconnect(id="w.out:g.in"))
    assert (problem.kind, problem.where) == ("channel_mismatch", "edits[1]")
    assert problem.data["connection"] == "g.out:map.in"


# ---- configure_node ----------------------------------------------------------------------------------------------


def test_configure_node_changes_what_is_given() -> None:
    accepted = apply(CHAIN, ConfigureNode(id="t", config={"frequency": 50, "level_db": -20}))
    assert accepted.graph.nodes["t"].config == {**CHAIN.nodes["t"].config, "frequency": 50.0}
    assert accepted.inverse == (ConfigureNode(id="t", config={"frequency": 440.0}),)
    assert accepted.touched == {"t"}
    assert accepted.renewed == accepted.reshaped == frozenset()


def test_configure_node_shares_what_it_does_not_touch() -> None:
    accepted = apply(CHAIN, ConfigureNode(id="t", config={"frequency": 50}))
    assert accepted.graph.nodes["g"] is CHAIN.nodes["g"]
    assert accepted.graph.connections is CHAIN.connections
    assert accepted.graph.incoming is CHAIN.incoming


def test_configure_node_as_it_is() -> None:
    accepted = apply(CHAIN, ConfigureNode(id="t", config={"frequency": 440}))
    assert accepted.inverse == ()
    assert accepted.ids == ("t",)
    assert accepted.touched == frozenset()


def test_configure_channels_reshapes_what_follows() -> None:
    accepted = apply(CHAIN, ConfigureNode(id="t", config={"channels": 6}))
    assert accepted.touched == {"t"}
    assert accepted.reshaped == {"t", "g", "o"}


def test_configure_records() -> None:
    graph = built(("e", "equalizer"))
    accepted = apply(graph, ConfigureNode(id="e", config={"bands": {"1": {"gain_db": 3}}}))
    assert accepted.graph.nodes["e"].config["bands"][1]["gain_db"] == 3.0


def test_configure_a_secret() -> None:
    graph = built(("c", "caster", {"host": "a", "password": "old"}))
    accepted = apply(graph, ConfigureNode(id="c", config={"password": "new", "stop_s": 3}))
    assert accepted.graph.nodes["c"].config["password"] == "new"
    kept = apply(accepted.graph, ConfigureNode(id="c", config={"password": {"secret": True}, "mount": "/b"}))
    assert kept.graph.nodes["c"].config["password"] == "new"


def test_an_input_that_is_connected_is_not_configured_away() -> None:
    refusal = refused(DESK, ConfigureNode(id="m", config={"inputs": [{}, {}]}))
    assert refusal.name == "invalid_graph"
    assert [(p.kind, p.where) for p in refusal.problems] == [("unknown_port", "edits[0].config.inputs")]
    assert refusal.problems[0].message == (
        "m would lose 'in_3': its 'inputs' would have 2 records. Take the connection v.out:m.in_3 away first."
    )
    assert refusal.problems[0].data == {"connection": "v.out:m.in_3", "node": "m", "port": "in_3"}


def test_an_input_may_be_configured_away_with_its_connection_in_any_order() -> None:
    fewer, away = ConfigureNode(id="m", config={"inputs": [{}, {}]}), Disconnect(id="v.out:m.in_3")
    assert apply(DESK, fewer, away).graph == apply(DESK, away, fewer).graph


def test_an_input_may_be_used_before_it_is_configured() -> None:
    accepted = apply(DESK, wire("v.out > m.in_5"), ConfigureNode(id="m", config={"inputs": [{}] * 5}))
    assert "v.out:m.in_5" in accepted.graph.connections


# ---- replace_node ------------------------------------------------------------------------------------------------


def test_replace_node_keeps_its_place() -> None:
    graph = apply(
        CHAIN, RenameNode(id="g", label="Trim"), MoveNode(id="g", x=3.0, y=4.0), BypassNode(id="g", bypass=True)
    ).graph
    accepted = apply(graph, ReplaceNode(id="g", type="compressor", config={"threshold_db": -30}))
    node = accepted.graph.nodes["g"]
    assert (node.type, node.label, node.position, node.bypass) == ("compressor", "Trim", Position(x=3.0, y=4.0), True)
    assert node.config == {"threshold_db": -30.0, "detector": "peak"}
    assert accepted.graph.connections == graph.connections
    assert accepted.renewed == accepted.touched == {"g"}
    assert accepted.strategies == {"g": "fade"}
    assert accepted.warnings == ()


def test_replace_node_drops_what_does_not_fit_and_says_so() -> None:
    accepted = apply(DESK, ReplaceNode(id="m", type="mixer", config={"inputs": [{}, {}]}))
    assert set(accepted.graph.connections) == {"v.out:m.in_1"}
    assert accepted.warnings == ("v.out:m.in_3 was taken away: mixer has no input 'in_3' that fits.",)
    graph = built(("s", "shaper"), ("x", "shaper"), "s.out > x.in")
    accepted = apply(graph, ReplaceNode(id="s", type="gain"))
    assert accepted.warnings == ("s.out:x.in was taken away: gain has no output 'out' that fits.",)


def test_replace_node_with_the_same_type_is_a_fresh_one() -> None:
    graph = built(("c", "caster", {"host": "a", "password": "hush"}))
    accepted = apply(graph, ReplaceNode(id="c", type="caster", config={"host": "b", "password": {"secret": True}}))
    assert accepted.renewed == {"c"}
    assert accepted.graph.nodes["c"].config["password"] == "hush"


def test_replace_a_node_that_holds_what_was_connected_in_advance() -> None:
    graph = built(("v", "tone"), ("g", "gain"))
    apply(graph, wire("v.out > g.in_4"), ReplaceNode(id="g", type="mixer"))


def test_replace_a_node_that_was_connected_to_itself_for_a_moment() -> None:
    graph = built(("g", "gain"))
    accepted = apply(graph, wire("g.out > g.in"), ReplaceNode(id="g", type="keys"))
    assert accepted.graph.connections == {}


def test_replace_is_refused_with_what_is_wrong() -> None:
    refusal = refused(CHAIN, ReplaceNode(id="g", type="gian"), ReplaceNode(id="x", type="gain", config={"gain_db": 99}))
    assert [p.where for p in refusal.problems] == ["edits[0].type", "edits[1].id", "edits[1].config.gain_db"]


def test_a_replacement_whose_channels_do_not_fit() -> None:
    graph = built(("t", "tone", {"channels": 6}), ("g", "gain"), "t.out > g.in")
    problem = only_problem(graph, ReplaceNode(id="g", type="channel_map"))
    assert (problem.kind, problem.where) == ("channel_mismatch", "edits[0]")


# ---- rename_node, move_node, bypass_node -------------------------------------------------------------------------


def test_rename_move_and_bypass() -> None:
    accepted = apply(
        CHAIN, RenameNode(id="t", label="Hum"), MoveNode(id="g", x=1, y=2), BypassNode(id="g", bypass=True)
    )
    nodes = accepted.graph.nodes
    assert (nodes["t"].label, nodes["g"].position, nodes["g"].bypass) == ("Hum", Position(x=1.0, y=2.0), True)
    assert accepted.ids == ("t", "g", "g")
    assert accepted.touched == {"g"}  # bypassed; a label or a position sounds like nothing


def test_the_canvas_has_an_edge() -> None:
    assert apply(CHAIN, MoveNode(id="g", x=-1e7, y=1e7)).graph.nodes["g"].position == Position(x=-1e7, y=1e7)


def test_move_back_to_nowhere() -> None:
    moved = apply(CHAIN, MoveNode(id="g", x=1.0, y=2.0))
    assert moved.inverse == (MoveNode(id="g", x=None, y=None),)


def test_bypass_as_it_is() -> None:
    assert apply(CHAIN, BypassNode(id="g", bypass=False)).inverse == ()


@pytest.mark.parametrize(
    "edit",
    [
        RemoveNode(id="nobody"),
        ConfigureNode(id="nobody", config={}),
        ReplaceNode(id="nobody", type="gain"),
        RenameNode(id="nobody", label=""),
        MoveNode(id="nobody", x=0, y=0),
        BypassNode(id="nobody", bypass=True),
    ],
)
def test_a_node_that_is_not_there(edit: AnyEdit) -> None:
    refusal = refused(CHAIN, edit)
    assert refusal.name == "not_found"
    assert [(p.kind, p.where) for p in refusal.problems] == [("unknown_node", "edits[0].id")]
    assert refusal.message == "edits[0].id: There is no node 'nobody'. Known: t, g, o."


# ---- Many edits --------------------------------------------------------------------------------------------------


def test_nothing_is_something_too() -> None:
    accepted = apply(CHAIN)
    assert accepted.graph == CHAIN
    assert (accepted.ids, accepted.inverse) == ((), ())


def test_later_edits_use_what_earlier_ones_made() -> None:
    accepted = apply(
        Graph(), AddNode(type="tone"), AddNode(type="gain"), wire("tone_1.out > gain_1.in"),
        ConfigureNode(id="gain_1", config={"gain_db": -3}), ReplaceNode(id="tone_1", type="synth"),
        RemoveNode(id="gain_1", strategy="bridge"), AddNode(type="gain", id="gain_1"), wire("tone_1.out > gain_1.in"),
    )  # fmt: skip
    assert {node.type for node in accepted.graph.nodes.values()} == {"synth", "gain"}
    assert accepted.graph.nodes["gain_1"].config["gain_db"] == 0.0


def test_all_problems_of_all_edits_are_told_in_their_order() -> None:
    refusal = refused(
        CHAIN,
        wire("t.out > o.in"),
        wire("g.gone > o.in"),
        AddNode(type="tone", config={"frequency": "x", "chanels": 2}),
        RemoveNode(id="nobody"),
        wire("t.out > g.in"),
        AddNode(type="gain", id="t"),
    )
    assert [(p.kind, p.where) for p in refusal.problems] == [
        ("unknown_port", "edits[1].source"),
        ("wrong_type", "edits[2].config.frequency"),
        ("unknown_parameter", "edits[2].config.chanels"),
        ("unknown_node", "edits[3].id"),
        ("duplicate", "edits[4]"),
        ("id_taken", "edits[5].id"),
    ]
    assert refusal.name == "invalid_graph"
    assert refusal.message == "edits[1].source: g has no output 'gone'. Known: out. (and 5 more)"


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        pytest.param(
            [AddNode(type="gian", id="new"), wire("t.out > new.in"), ConfigureNode(id="new", config={"x": 1}),
             RenameNode(id="new", label="x"), MoveNode(id="new", x=0, y=0), BypassNode(id="new", bypass=True),
             wire("new.out > o.in"), Disconnect(id="new.out:o.in"), RemoveNode(id="new")],
            ["edits[0].type"],
            id="a node that could not be made",
        ),
        pytest.param(
            [AddNode(type="gian"), wire("t.out > gian_1.in")], ["edits[0].type"], id="nor a nameless one"
        ),
        pytest.param(
            [AddNode(type="mixer", id="new", config={"inputs": 9}), wire("t.out > new.in_9")],
            ["edits[0].config.inputs"],
            id="whose ports nobody knows",
        ),
        pytest.param(
            [ConfigureNode(id="m", config={"inputs": 9}), wire("t.out > m.in_9")],
            ["edits[0].config.inputs"],
            id="the ports it would have been given",
        ),
        pytest.param(
            [AddNode(type="gian", id="new"), Disconnect(id="new.out:o.in"), Disconnect(id="t.out:new.in")],
            ["edits[0].type"],
            id="connections it would have",
        ),
        pytest.param(
            [ReplaceNode(id="g", type="mixr"), wire("t.out > g.in_3"), ConfigureNode(id="g", config={"inputs": []})],
            ["edits[0].type"],
            id="the node it would have become",
        ),
        pytest.param(
            [wire("nobody.out > g.in"), Disconnect(id="nobody.out:g.in")],
            ["edits[0].source"],
            id="a connection that could not be made",
        ),
        pytest.param(
            [wire("w.ot > d.in"), wire("d.out > wide.in")], ["edits[0].source"], id="the width it would have brought"
        ),
        pytest.param(
            [wire("nobody.out > d.in"), wire("d.out > wide.in")], ["edits[0].source"], id="or a node nobody knows"
        ),
        pytest.param(
            [ConfigureNode(id="t", config={"channels": 66}), wire("t.out > wide.in")],
            ["edits[0].config.channels"],
            id="the width it would have had",
        ),
        pytest.param(
            [Disconnect(id="t.out:g.im"), wire("g.out > t2.in")],
            ["edits[0].id"],
            id="the loop it would have opened",
        ),
        pytest.param(
            [AddNode(type="gain", id="g", config={"gain_db": 99}), wire("g.out > t2.in")],
            ["edits[0].id", "edits[0].config.gain_db"],
            id="another node under a name that is taken",
        ),
        pytest.param(
            [AddNode(type="gian", id="new"), AddNode(type="gain", id="new"), wire("t.out > new.in")],
            ["edits[0].type"],
            id="twice the same name",
        ),
        pytest.param(
            [wire("a.out > b.in"), wire("b.out > a.in"), wire("a.out > wide.in")], ["edits[1]"], id="widths in a loop"
        ),
    ],
)  # fmt: skip
def test_no_problem_that_is_only_another_ones_consequence(edits: list[AnyEdit], expected: list[str]) -> None:
    graph = built(
        ("t", "tone"), ("t2", "gain"), ("g", "gain"), ("o", "null_output"), ("m", "mixer"), ("d", "gain"),
        ("w", "tone", {"channels": 6}), ("wide", "channel_map", {"in_channels": 6}), ("a", "gain"), ("b", "gain"),
        "t2.out > g.in",
    )  # fmt: skip
    assert [problem.where for problem in refused(graph, *edits).problems] == expected


def test_limits_hold_and_what_is_over_them_can_still_be_made_smaller() -> None:
    over = built(
        *((f"t{n}", "tone") for n in range(4)), ("g", "gain"), "t0.out > g.in", "t1.out > g.in", "t2.out > g.in"
    )
    tight = Limits(nodes=3, connections=2, links_per_port=2)
    problem = only_problem(over, AddNode(type="tone"), limits=tight)
    assert (problem.kind, problem.data) == ("limit", {"limit": 3, "count": 6})
    kinds = [(p.kind, p.where) for p in refused(over, wire("t3.out > g.in"), limits=tight).problems]
    assert kinds == [("limit", "edits[0]"), ("limit", "connections")]
    less = apply_edits(over, [RemoveNode(id="t0")], CATALOGUE, tight)
    assert len(less.graph.nodes) == 4
    assert apply_edits(over, [ConfigureNode(id="t0", config={"frequency": 1})], CATALOGUE, tight).ids == ("t0",)


def test_a_graph_that_is_wrong_already_can_be_mended() -> None:
    """A node of a type that is no more (an older journal, a package taken away) can be removed or replaced."""
    catalogue = {name: spec for name, spec in CATALOGUE.items() if name != "gain"}
    replaced = apply_edits(CHAIN, [ReplaceNode(id="g", type="compressor")], catalogue)
    assert set(replaced.graph.connections) == set(CHAIN.connections)
    removed = apply_edits(CHAIN, [RemoveNode(id="g", strategy="bridge")], catalogue)
    assert set(removed.graph.nodes) == {"t", "o"}
    with pytest.raises(Refusal) as caught:
        apply_edits(CHAIN, [ConfigureNode(id="g", config={"gain_db": 1})], catalogue)
    assert [p.kind for p in caught.value.problems] == ["unknown_type"]
