"""daemon/graph/shifting.py: a place in a list is only a place while the list is the one that was meant."""

from __future__ import annotations

from tonnetz.daemon.graph.difference import Change, FieldChange, NodeChange
from tonnetz.daemon.graph.edits import ConfigureNode, RenameNode
from tonnetz.daemon.graph.model import Node
from tonnetz.daemon.graph.shifting import shifted

BY_PLACE = ConfigureNode(id="eq", config={"gain_db": 1, "bands": {"1": {"q": 2}}})
WHOLE = ConfigureNode(id="eq", config={"bands": [{}, {}]})


def places(*since: Change) -> list[str]:
    return [problem.where for problem in shifted([RenameNode(id="eq", label="x"), WHOLE, BY_PLACE], since)]


def test_a_list_of_other_length_or_of_another_node_is_another_list() -> None:
    node = Node(id="eq", type="equalizer", config={})
    assert places(FieldChange("eq", ("config", "bands"), [{}], [{}, {}])) == ["edits[2].config.bands"]
    assert places(NodeChange("eq", node, node)) == ["edits[2].config.bands"]


def test_what_else_changed_does_not_matter() -> None:
    assert places() == []
    assert places(FieldChange("eq", ("config", "bands", 1, "q"), 1.0, 3.0)) == []
    assert places(FieldChange("eq", ("config", "gain_db"), 1.0, 3.0)) == []
    assert places(FieldChange("mix", ("config", "bands"), [{}], [])) == []
