"""The edit verbs as data: what a transaction is made of. `transaction.py` applies them.

On the wire an edit is `{"op": "connect", "source": "a.out", "target": "b.in"}`, or shorter, as people write YAML,
`{"connect": {"source": "a.out", "target": "b.in"}}`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .model import CANVAS, LABEL_MAXIMUM, NAME_MAXIMUM, NODE_ID_PATTERN, Node, Position

NodeId = Annotated[str, Meta(pattern=NODE_ID_PATTERN, description="node id")]
PortName = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$", description="port, as node.port")
]
TypeName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="node type")]
Label = Annotated[str, Meta(max_length=LABEL_MAXIMUM)]
GraphName = Annotated[str, Meta(max_length=NAME_MAXIMUM)]
Strategy = Literal["fade", "immediate", "drain", "bridge"]
Wiring = Literal["inside", "inputs", "all"]  # of copies; copying.py says what each means
Coordinate = Annotated[float, Meta(ge=-CANVAS, le=CANVAS)]  # bounded, so that NaN and infinity are refused


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", omit_defaults=True):
    """The common base of the edits below."""


class AddNode(Edit, frozen=True, tag="add_node"):
    """Add a node; without an id it is called `<type>_<n>`. `state`: what nodes.get_state gave of one like it."""

    type: TypeName
    id: NodeId | None = None
    config: dict[str, Any] = {}
    label: Label = ""
    position: Position | None = None
    bypass: bool = False
    state: dict[str, Any] | None = None


class RemoveNode(Edit, frozen=True, tag="remove_node"):
    """Remove a node and its connections. `drain` lets it play out; `bridge` joins what fed it to what it fed."""

    id: NodeId
    strategy: Strategy = "fade"


class Connect(Edit, frozen=True, tag="connect"):
    """Connect an output to an input; several connections into one input sum."""

    source: PortName
    target: PortName


class Disconnect(Edit, frozen=True, tag="disconnect"):
    """Take a connection away, named by its id or by its two ends."""

    id: str | None = None
    source: PortName | None = None
    target: PortName | None = None


class ConfigureNode(Edit, frozen=True, tag="configure_node"):
    """Change some of a node's parameters; the others stay. `null` means the default."""

    id: NodeId
    config: dict[str, Any]


class ReplaceNode(Edit, frozen=True, tag="replace_node"):
    """Put a new node under the same id; connections that fit stay, and one of the same type takes the state over.
    `state`: what nodes.get_state gave, to begin with instead."""

    id: NodeId
    type: TypeName
    config: dict[str, Any] = {}
    state: dict[str, Any] | None = None


class RenameNode(Edit, frozen=True, tag="rename_node"):
    """Change a node's label. Its id stays."""

    id: NodeId
    label: Label


class MoveNode(Edit, frozen=True, tag="move_node"):
    """Change where an editor draws the node. No sound changes. Both null: wherever the editor likes."""

    id: NodeId
    x: Coordinate | None
    y: Coordinate | None


class BypassNode(Edit, frozen=True, tag="bypass_node"):
    """Let a processor pass its input through, or silence a source or sink; settings are kept."""

    id: NodeId
    bypass: bool


class RenameGraph(Edit, frozen=True, tag="rename_graph"):
    """Give the whole graph another name."""

    name: GraphName


AnyEdit = (
    AddNode
    | RemoveNode
    | Connect
    | Disconnect
    | ConfigureNode
    | ReplaceNode
    | RenameNode
    | MoveNode
    | BypassNode
    | RenameGraph
)


def addition(node: Node) -> AddNode:
    """The edit that adds this node, as it is."""
    return AddNode(
        id=node.id,
        type=node.type,
        config=dict(node.config),
        label=node.label,
        position=node.position,
        bypass=node.bypass,
    )
