"""Copies of nodes, templates, and the text of a graph: what people take from one place and put into another."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tonnetz.daemon.document_text import TextFormat, read_text, write_document
from tonnetz.daemon.graph.document import parse_document, to_document
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.graph.ordering import in_order
from tonnetz.daemon.node_catalogue import load_catalogue
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.rpc.method_table import Call, load_methods

from .storage.desk import ANN, apply, session

CATALOGUE, _ = load_catalogue()
METHODS = load_methods()
DOCUMENT: dict[str, Any] = {
    "name": "studio",
    "nodes": [
        {"id": "tone_1", "type": "tone"},
        {"id": "eq", "type": "equalizer", "config": {"gain_db": -3}, "label": "Warm", "position": {"x": 100, "y": 50}},
        {"id": "squeeze", "type": "compressor", "bypass": True, "position": {"x": 200, "y": 50}},
        {"id": "mix", "type": "mixer"},
    ],
    "connections": [
        {"source": "tone_1.out", "target": "eq.in"},
        {"source": "eq.out", "target": "squeeze.in"},
        {"source": "tone_1.out", "target": "squeeze.sidechain"},
        {"source": "squeeze.out", "target": "mix.in_1"},
    ],
}


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Session]:
    async with session(tmp_path, DOCUMENT) as opened:
        yield opened


async def call(made: Session, method: str, **params: Any) -> Any:
    return await METHODS[method].run(Call(made, ANN), params)


# ---- Clones ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wiring", "wires"),
    [
        ("inside", {"eq_2.out:squeeze_2.in"}),
        ("inputs", {"eq_2.out:squeeze_2.in", "tone_1.out:eq_2.in", "tone_1.out:squeeze_2.sidechain"}),
        (
            "all",
            {"eq_2.out:squeeze_2.in", "tone_1.out:eq_2.in", "tone_1.out:squeeze_2.sidechain", "squeeze_2.out:mix.in_1"},
        ),
    ],
)
async def test_a_part_is_copied(made: Session, wiring: str, wires: set[str]) -> None:
    before = made.graph
    receipt = await call(made, "graph.clone", nodes=["squeeze", "eq"], wiring=wiring, dx=10, dy=0)
    assert receipt.ids[:2] == ["eq_2", "squeeze_2"] and set(receipt.ids[2:]) == wires
    assert set(made.graph.connections) - set(before.connections) == wires
    old, new = made.graph.nodes["eq"], made.graph.nodes["eq_2"]
    assert (new.type, new.config, new.label, new.bypass) == (old.type, old.config, old.label, old.bypass)
    assert new.position is not None and (new.position.x, new.position.y) == (110, 50)
    assert made.graph.nodes["squeeze_2"].bypass


async def test_all_of_it_twice(made: Session) -> None:
    await call(made, "graph.clone")
    await call(made, "graph.clone")
    assert {"tone_1", "tone_2", "tone_3", "eq_2", "eq_3"} <= set(made.graph.nodes) and len(made.graph.nodes) == 16
    assert "tone_3.out:eq_4.in" in made.graph.connections or "tone_4.out:eq_4.in" in made.graph.connections
    assert made.revision == 3


async def test_what_is_not_there_cant_be_copied(made: Session) -> None:
    with pytest.raises(Refusal, match="Did you mean 'squeeze'") as refused:
        await call(made, "graph.clone", nodes=["eq", "squeze"])
    assert refused.value.name == "not_found" and refused.value.problems[0].where == "nodes[1]"


# ---- Templates -------------------------------------------------------------------------------------------------------


async def test_a_template_goes_into_any_graph(made: Session, tmp_path: Path) -> None:
    await call(made, "templates.save", name="channel", nodes=["eq", "squeeze"], help="A strip")
    with pytest.raises(Refusal, match="already"):
        await call(made, "templates.save", name="channel")
    (listed,) = await call(made, "templates.list")
    assert (listed.name, listed.help, listed.author) == ("channel", "A strip", "ann")
    assert [node["id"] for node in listed.nodes] == ["eq", "squeeze"] and len(listed.connections) == 1
    receipt = await call(made, "templates.insert", name="channel", x=0, y=0)
    assert receipt.ids == ["eq_2", "squeeze_2", "eq_2.out:squeeze_2.in"]
    place = made.graph.nodes["squeeze_2"].position
    assert place is not None and (place.x, place.y) == (100, 0)
    await apply(made, *({"remove_node": {"id": name}} for name in ("eq", "squeeze")))
    assert (await call(made, "templates.insert", name="channel")).ids[:2] == ["eq", "squeeze"]
    await call(made, "templates.delete", name="channel")
    for method in ("templates.insert", "templates.delete"):
        with pytest.raises(Refusal, match="no template 'channel'"):
            await call(made, method, name="channel")


# ---- Text ------------------------------------------------------------------------------------------------------------


def shuffled(graph: Graph, seed: int) -> Graph:
    chance = random.Random(seed)
    nodes, wires = list(graph.nodes.items()), list(graph.connections.items())
    chance.shuffle(nodes)
    chance.shuffle(wires)
    return Graph(name=graph.name, nodes=dict(nodes), connections=dict(wires))


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_the_same_graph_is_the_same_text_however_it_came_about(format: TextFormat) -> None:
    graph = parse_document(DOCUMENT, CATALOGUE)
    texts = {write_document(to_document(in_order(shuffled(graph, seed)), CATALOGUE), format) for seed in range(20)}
    assert len(texts) == 1
    assert parse_document(read_text(texts.pop()), CATALOGUE) == graph


def test_the_text_has_a_node_a_line_in_the_order_of_sound() -> None:
    text = write_document(to_document(in_order(parse_document(DOCUMENT, CATALOGUE)), CATALOGUE), "yaml")
    assert text == (
        "version: 1\n"
        "name: studio\n"
        "\n"
        "nodes:\n"
        "  - {id: tone_1, type: tone}\n"
        "  - {id: eq, type: equalizer, config: {gain_db: -3.0}, label: Warm, position: {x: 100.0, y: 50.0}}\n"
        "  - {id: squeeze, type: compressor, position: {x: 200.0, y: 50.0}, bypass: true}\n"
        "  - {id: mix, type: mixer}\n"
        "\n"
        "connections:\n"
        "  - {source: tone_1.out, target: eq.in}\n"
        "  - {source: tone_1.out, target: squeeze.sidechain}\n"
        "  - {source: eq.out, target: squeeze.in}\n"
        "  - {source: squeeze.out, target: mix.in_1}\n"
    )
    commented = text.replace("  - {id: mix", "  # Everything meets here.\n  - {id: mix").replace(
        "version", "# Ours\nversion"
    )
    assert parse_document(read_text(commented), CATALOGUE) == parse_document(DOCUMENT, CATALOGUE)


def test_what_is_too_long_for_a_line_is_a_block() -> None:
    long = {
        "id": "eq",
        "type": "equalizer",
        "config": {"bands": [{"frequency": 100.0 * n, "q": 2.0} for n in range(1, 5)]},
    }
    text = write_document({"version": 1, "nodes": [long, {"id": "a", "type": "gain"}], "connections": []}, "yaml")
    assert text.startswith(
        "version: 1\n\nnodes:\n  - id: eq\n    type: equalizer\n    config:\n      bands:\n      - {freq"
    )
    assert text.endswith("  - {id: a, type: gain}\n\nconnections: []\n")


def test_an_empty_document() -> None:
    empty = {"version": 1, "name": "no", "nodes": [], "connections": []}
    for format in ("yaml", "json"):
        assert read_text(write_document(empty, format)) == empty  # type: ignore[arg-type]


def test_names_with_numbers_are_in_the_order_of_their_numbers() -> None:
    nodes = [{"id": f"tone_{number}", "type": "tone"} for number in (10, 2, 1)]
    assert list(in_order(parse_document({"nodes": nodes}, CATALOGUE)).nodes) == ["tone_1", "tone_2", "tone_10"]
