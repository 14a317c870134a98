"""Documents and plain edits: written short, read strictly, every mistake told at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

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
    RenameNode,
    ReplaceNode,
)
from tonnetz.daemon.graph.findings import MOST
from tonnetz.daemon.graph.model import Graph, Position
from tonnetz.daemon.graph.rules import Limits
from tonnetz.daemon.graph.transaction import apply_edits
from tonnetz.daemon.problems import Problem, Refusal

from .specs import CATALOGUE, built, cases

STUDIO = yaml.safe_load("""
version: 1
name: studio
nodes:
  - {id: mic, type: tone, label: Studio mic, position: {x: 40, y: 80}}
  - {id: eq, type: equalizer, config: {bands: [{type: low_shelf, frequency: 80}]}, bypass: true}
connections:
  - {source: mic.out, target: eq.in}
""")


def refused(data: Any, limits: Limits | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse_document(data, CATALOGUE, limits)
    msgspec.json.encode(caught.value.data)
    return caught.value


def only_problem(data: Any, limits: Limits | None = None) -> Problem:
    problems = refused(data, limits).problems
    assert len(problems) == 1, problems
    return problems[0]


# ---- Documents ---------------------------------------------------------------------------------------------------


def test_a_document_is_read() -> None:
    graph = parse_document(STUDIO, CATALOGUE)
    assert graph.name == "studio"
    assert graph.nodes["mic"].position == Position(x=40.0, y=80.0)
    assert graph.nodes["mic"].label == "Studio mic"
    assert graph.nodes["eq"].bypass
    assert graph.nodes["eq"].config["bands"][0]["frequency"] == 80.0
    assert list(graph.connections) == ["mic.out:eq.in"]


def test_a_document_is_written_as_a_person_would() -> None:
    assert to_document(parse_document(STUDIO, CATALOGUE), CATALOGUE) == STUDIO


def test_a_full_document_leaves_nothing_to_defaults() -> None:
    graph = parse_document(STUDIO, CATALOGUE)
    document = to_document(graph, CATALOGUE, full=True)
    assert document["nodes"][0]["config"] == graph.nodes["mic"].config
    assert document["nodes"][0]["bypass"] is False
    assert parse_document(document, CATALOGUE) == graph


@pytest.mark.parametrize("data", [{}, {"version": 1}, {"nodes": None, "connections": []}])
def test_an_empty_document_is_an_empty_graph(data: Any) -> None:
    assert parse_document(data, CATALOGUE) == Graph()


def test_what_was_got_can_be_put_back() -> None:
    """graph.get adds what it knows besides; a client that changes a value and puts all of it back is not refused."""
    got = to_document(parse_document(STUDIO, CATALOGUE), CATALOGUE, full=True) | {"revision": 7}
    for node in got["nodes"]:
        node |= {"state": "running", "state_message": "", "detail": {}, "ports": [], "latency": 0}
    got["connections"][0]["id"] = "mic.out:eq.in"
    assert parse_document(got, CATALOGUE) == parse_document(STUDIO, CATALOGUE)


def test_secrets_are_not_written_and_kept_by_who_has_them() -> None:
    graph = built(("c", "caster", {"host": "a", "password": "hush"}))
    document = to_document(graph, CATALOGUE)
    assert document["nodes"][0]["config"] == {"host": "a", "password": {"secret": True}}
    assert "hush" not in str(to_document(graph, CATALOGUE, full=True))
    assert parse_document(document, CATALOGUE, present=graph) == graph
    assert parse_document(document, CATALOGUE).nodes["c"].config["password"] == ""
    other = built(("c", "tone"))
    assert parse_document(document, CATALOGUE, present=other).nodes["c"].config["password"] == ""


def test_a_node_of_unknown_type_is_written_as_it_is() -> None:
    graph = built(("g", "gain"))
    assert to_document(graph, {})["nodes"] == [{"id": "g", "type": "gain", "config": {"gain_db": 0.0, "mute": False}}]


def node(**more: Any) -> dict[str, Any]:
    return {"nodes": [{"id": "g", "type": "gain", **more}]}


@pytest.mark.parametrize("case", cases("wrong_documents.yaml"))
def test_what_is_wrong_is_said(case: dict[str, Any]) -> None:
    problems = [p for p in refused(case["document"]).problems if p.where == case["where"]]
    assert [p.kind for p in problems] == [case["kind"]]
    assert case["says"] in problems[0].message


def test_only_nodes_carry_ids_of_their_own() -> None:
    assert only_problem({"connections": {"a": {}}}).message == "'connections' is a list, not a mapping."


def test_a_name_has_an_end() -> None:
    assert only_problem({"name": "x" * 201}).message == "'name' must be a text of at most 200 characters."


def test_a_connections_id_may_be_there_if_it_is_right() -> None:
    graph = STUDIO | {"connections": [{"id": "a:b", "source": "mic.out", "target": "eq.in"}]}
    problem = only_problem(graph)
    assert (problem.where, problem.message) == (
        "connections[0].id", "Between these ends the id is 'mic.out:eq.in', or is left out.",
    )  # fmt: skip
    twice = only_problem(STUDIO | {"connections": [{"source": "mic.out", "target": "eq.in"}] * 2})
    assert (twice.kind, twice.where) == ("duplicate", "connections[1]")
    assert twice.message == "connections[0] connects mic.out to eq.in already."


def test_all_problems_and_no_consequences() -> None:
    document = {
        "nodes": [
            {"id": "t", "type": "tone", "config": {"frequency": "x", "chanels": 1}},
            {"id": "g", "type": "gian"},
            {"id": "m", "type": "mixer", "config": {"inputs": 7}},
            {"id": "h", "type": "gain", "colour": "red"},
            {"id": "o", "type": "stereo_output"},
            {"id": "w", "type": "tone", "config": {"channels": 6}},
            {"id": "d", "type": "gain"},
            {"id": "wide", "type": "channel_map", "config": {"in_channels": 6}},
        ],
        "connections": [
            {"source": "t.out", "target": "g.in"},
            {"source": "g.out", "target": "m.in_9"},
            {"source": "h.out", "target": "o.in"},
            {"source": "w.ot", "target": "d.in"},
            {"source": "w.out", "target": "d.in", "gain": 3},
            {"source": "d.out", "target": "wide.in"},
            {"source": "w.out", "target": "o.in"},
            {"source": "nobody.out", "target": "o.in"},
        ],
    }
    assert [(p.kind, p.where) for p in refused(document).problems] == [
        ("wrong_type", "nodes[0].config.frequency"),
        ("unknown_parameter", "nodes[0].config.chanels"),
        ("unknown_type", "nodes[1].type"),
        ("wrong_type", "nodes[2].config.inputs"),
        ("unknown_key", "nodes[3].colour"),
        ("unknown_key", "connections[4].gain"),
        ("unknown_node", "connections[7].source"),
        ("unknown_port", "connections[3].source"),
    ]


def test_a_refusal_of_configurations_alone_is_called_so() -> None:
    assert refused(node(config={"gain_db": 99})).name == "invalid_config"
    assert refused(node(config={"gain_db": 99}, x=1)).name == "invalid_graph"


def test_what_is_too_large_is_not_read_on() -> None:
    problem = only_problem({"nodes": [{"what": 1}] * 5}, Limits(nodes=4))
    assert (problem.kind, problem.where) == ("limit", "nodes")
    assert problem.message == "The document has 5 nodes; the limit is 4."
    assert only_problem({"connections": [{}] * 3}, Limits(connections=2)).where == "connections"


def test_ten_thousand_levels_are_refused_or_taken_but_no_crash() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for data in (node(config={"gain_db": deep}), node(config=deep), node(label=deep), {"nodes": deep}, deep):
        assert refused(data).problems


# ---- From one graph to another -----------------------------------------------------------------------------------


def test_edits_between_keep_common_nodes() -> None:
    old = built(
        ("t", "tone"), ("g", "gain"), ("m", "mixer"), ("gone", "gain"), ("o", "null_output"),
        "t.out > g.in", "g.out > m.in_3", "t.out > gone.in", "gone.out > m.in_1", "m.out > o.in",
    )  # fmt: skip
    new = built(
        ("t", "tone", {"frequency": 50}), ("g", "compressor"), ("m", "mixer", {"inputs": [{}]}), ("o", "null_output"),
        ("fresh", "lfo"), "t.out > g.in", "g.out > m.in_1", "m.out > o.in",
    )  # fmt: skip
    new = apply_edits(
        new,
        [RenameNode(id="t", label="Hum"), MoveNode(id="o", x=1, y=2), BypassNode(id="g", bypass=True)],
        CATALOGUE,
    ).graph
    edits = edits_between(old, new, CATALOGUE)
    assert edits == (
        Disconnect(id="g.out:m.in_3"),
        RemoveNode(id="gone"),
        ConfigureNode(id="t", config={"frequency": 50.0}),
        RenameNode(id="t", label="Hum"),
        ReplaceNode(id="g", type="compressor", config=dict(new.nodes["g"].config)),
        BypassNode(id="g", bypass=True),
        ConfigureNode(id="m", config={"inputs": new.nodes["m"].config["inputs"]}),
        MoveNode(id="o", x=1.0, y=2.0),
        AddNode(id="fresh", type="lfo", config={"frequency": 1.0}),
        Connect(source="g.out", target="m.in_1"),
    )
    assert apply_edits(old, edits, CATALOGUE).graph == new


def test_edits_between_equal_graphs_are_none() -> None:
    graph = parse_document(STUDIO, CATALOGUE)
    assert edits_between(graph, parse_document(STUDIO, CATALOGUE), CATALOGUE) == ()


def test_edits_between_make_again_what_a_replacement_drops() -> None:
    """Both ends turn from control to audio: their connection is of the same name, but can't live through it."""
    old = built(("a", "shaper"), ("b", "shaper"), "a.out > b.in")
    new = built(("a", "gain"), ("b", "gain"), "a.out > b.in")
    accepted = apply_edits(old, edits_between(old, new, CATALOGUE), CATALOGUE)
    assert accepted.graph == new
    assert apply_edits(accepted.graph, accepted.inverse, CATALOGUE).graph == old


def test_edits_between_take_a_position_back() -> None:
    new = built(("g", "gain"))
    old = apply_edits(new, [MoveNode(id="g", x=1, y=2)], CATALOGUE).graph
    assert edits_between(old, new, CATALOGUE) == (MoveNode(id="g", x=None, y=None),)


# ---- Plain edits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "edit"),
    [
        ({"op": "connect", "source": "a.out", "target": "b.in"}, Connect(source="a.out", target="b.in")),
        ({"connect": {"source": "a.out", "target": "b.in"}}, Connect(source="a.out", target="b.in")),
        ({"disconnect": {"id": "a.out:b.in"}}, Disconnect(id="a.out:b.in")),
        ({"op": "add_node", "type": "gain"}, AddNode(type="gain")),
        (
            {"add_node": {"type": "gain", "id": "g", "config": {"gain_db": 3}, "position": {"x": 1, "y": 2}}},
            AddNode(type="gain", id="g", config={"gain_db": 3}, position=Position(x=1.0, y=2.0)),
        ),
        ({"remove_node": {"id": "g", "strategy": "bridge"}}, RemoveNode(id="g", strategy="bridge")),
        ({"configure_node": {"id": "g", "config": {"mute": None}}}, ConfigureNode(id="g", config={"mute": None})),
        ({"replace_node": {"id": "g", "type": "tone"}}, ReplaceNode(id="g", type="tone")),
        ({"rename_node": {"id": "g", "label": "G"}}, RenameNode(id="g", label="G")),
        ({"move_node": {"id": "g", "x": 1, "y": None}}, MoveNode(id="g", x=1.0, y=None)),
        ({"op": "bypass_node", "id": "g", "bypass": True}, BypassNode(id="g", bypass=True)),
    ],
)
def test_an_edit_is_read_in_both_forms(data: Any, edit: AnyEdit) -> None:
    assert edits_from_plain([data, msgspec.to_builtins(edit)]) == [edit, edit]


@pytest.mark.parametrize("case", cases("wrong_edits.yaml"))
def test_a_wrong_edit_is_refused_in_words(case: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        edits_from_plain([case["edit"]])
    assert caught.value.name == "invalid_params"
    problem = caught.value.problems[0]
    assert problem.kind == case["kind"]
    assert problem.where == (f"edits[0].{case['where']}" if case["where"] else "edits[0]")
    assert case["says"] in problem.message


def test_not_all_of_a_thousand_problems_are_told() -> None:
    for attempt in (
        lambda: edits_from_plain([5] * 1000),
        lambda: parse_document({"nodes": [5] * 1000}, CATALOGUE),
        lambda: parse_document({"connections": [{"source": "a.out", "target": "b.in"}] * 1000}, CATALOGUE),
        lambda: apply_edits(Graph(), [RemoveNode(id="nobody")] * 1000, CATALOGUE),
        lambda: apply_edits(Graph(), [AddNode(type="gain", config=dict.fromkeys(map(str, range(1000))))], CATALOGUE),
        lambda: edits_from_plain([{"op": "add_node", **dict.fromkeys(map(str, range(1000)))}]),
    ):
        with pytest.raises(Refusal) as caught:
            attempt()
        assert len(caught.value.problems) == MOST + 1
        assert caught.value.problems[-1].message == f"There may be more: looking ended after {MOST} problems."


def test_all_wrong_edits_are_told() -> None:
    with pytest.raises(Refusal) as caught:
        edits_from_plain(
            [{"op": "add_node", "tpye": "gain", "bypass": 1}, {"connect": {"source": "a.out", "target": "b.in"}}, 5]
        )
    assert [p.where for p in caught.value.problems] == ["edits[0].tpye", "edits[0].type", "edits[0].bypass", "edits[2]"]


def test_edits_are_a_list() -> None:
    assert edits_from_plain([]) == []
    for data in ({"op": "connect"}, "connect", None):
        with pytest.raises(Refusal) as caught:
            edits_from_plain(data)
        assert caught.value.problems[0].message.startswith("Edits are a list, one entry for each, not ")
