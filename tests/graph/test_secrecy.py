"""daemon/graph/secrecy.py: no secret is left wherever one may stand, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tonnetz.daemon.graph.difference import FieldChange, NodeChange
from tonnetz.daemon.graph.edits import AddNode, ConfigureNode, ReplaceNode
from tonnetz.daemon.graph.model import Graph, Node
from tonnetz.daemon.graph.secrecy import veiled_changes, veiled_config, veiled_edits, veiled_graph
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec

from .specs import CATALOGUE

CASTER = NodeSpec(
    type="caster",
    category="sink",
    help="Has secrets.",
    core_type="null_output",
    parameters=(
        ParameterSpec(name="host", kind="text", default="", help="Where."),
        ParameterSpec(name="key", kind="text", default="", help="A secret.", secret=True),
        ParameterSpec(
            name="mirrors",
            kind="list",
            help="More.",
            count_maximum=4,
            fields=(
                ParameterSpec(name="host", kind="text", default="", help="Where."),
                ParameterSpec(name="key", kind="text", default="", help="A secret.", secret=True),
            ),
        ),
    ),
    ports=(),
)
TYPES = {**CATALOGUE, "caster": CASTER}
HIDDEN = {"secret": True}


@pytest.mark.parametrize(
    ("config", "veiled"),
    [
        ({"key": "k", "host": "h"}, {"key": HIDDEN, "host": "h"}),
        ({"key": ""}, {"key": ""}),
        ({"key": None}, {"key": None}),
        ({"key": HIDDEN}, {"key": HIDDEN}),
        ({"key": {"credential": "c"}}, {"key": {"credential": "c"}}),
        ({"mirrors": [{"key": "k", "host": "h"}, {}]}, {"mirrors": [{"key": HIDDEN, "host": "h"}, {}]}),
        ({"mirrors": {"1": {"key": "k"}}}, {"mirrors": {"1": {"key": HIDDEN}}}),
        ({"mirrors": [5], "key": 7}, {"mirrors": [5], "key": 7}),
    ],
)
def test_configurations_whole_and_partial(config: dict[str, Any], veiled: dict[str, Any]) -> None:
    image = msgspec.json.encode(config)
    assert veiled_config(config, TYPES) == veiled
    assert msgspec.json.encode(config) == image, "what was given is as it was"
    assert veiled_config(config, CATALOGUE) == config, "there are no secrets without such a type"


def test_nodes_edits_and_changes() -> None:
    node = Node(
        id="a", type="caster", config={"host": "h", "key": "hunter2", "mirrors": [{"host": "", "key": "tiger"}]}
    )
    other = Node(id="b", type="gain", config={"gain_db": 0.0})
    graph = Graph(nodes={"a": node, "b": other})
    edits = [
        AddNode(type="caster", config={"key": "hunter2"}),
        ConfigureNode(id="a", config={"mirrors": {"0": {"key": "tiger"}}}),
        ReplaceNode(id="b", type="caster", config={"key": "hunter2"}),
    ]
    changes = [
        NodeChange("a", node, None),
        NodeChange("a", None, node),
        FieldChange("a", ("config", "key"), "hunter2", ""),
        FieldChange("a", ("config", "mirrors", 0, "key"), "tiger", "hunter2"),
        FieldChange("a", ("config", "mirrors"), [{"host": "", "key": "tiger"}], []),
        FieldChange("a", ("config", "host"), "old", "new"),
        FieldChange("a", ("label",), "old", "new"),
    ]
    hidden: list[str] = []

    def hide(secret: str) -> Any:
        hidden.append(secret)
        return {"secret": str(len(hidden))}

    said = msgspec.json.encode(
        [veiled_graph(graph, TYPES, hide), veiled_edits(edits, TYPES, hide), veiled_changes(changes, TYPES, hide)]
    )
    assert b"hunter2" not in said and b"tiger" not in said and b'"old"' in said and b'"new"' in said
    assert set(hidden) == {"hunter2", "tiger"} and len(hidden) == 2 + 3 + 2 * 2 + 1 + 2 + 1
    assert veiled_graph(graph, TYPES).nodes["b"] is other
    assert veiled_changes(changes, TYPES)[5:] == tuple(changes[5:])
    assert veiled_edits(edits, CATALOGUE) == tuple(edits)
