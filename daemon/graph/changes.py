"""What happened between two graphs, as the events that clients hear."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .config import redact
from .difference import nodes_of
from .document import plain_node
from .model import Connection, Graph, Node
from .spec import Catalogue

Event = tuple[str, dict[str, Any]]


def changes(
    old: Graph,
    new: Graph,
    catalogue: Catalogue,
    renewed: Collection[str] = (),
    among: Collection[str] | None = None,
) -> list[Event]:
    """The events, by name and parameters, in an order in which they make sense: connections go before their nodes and
    come after them. Nodes in `renewed` are told as replaced even if they look the same. `among` names all nodes that
    may differ; None: any may. No event tells a secret.
    """
    events: list[Event] = [("graph_renamed", {"name": new.name})] if old.name != new.name else []
    if old.connections is not new.connections:
        gone = [name for name in old.connections if name not in new.connections]
        events += [("connection_removed", {"connection_id": name}) for name in gone]
    if old.nodes is not new.nodes:
        gone = [node.id for node in nodes_of(old, among) if node.id not in new.nodes]
        events += [("node_removed", {"node_id": name}) for name in gone]
        for node in nodes_of(new, among):
            before = old.nodes.get(node.id)
            if before is node:
                continue
            if before is None:
                events.append(("node_added", {"node": plain_node(node, catalogue)}))
            elif before.type != node.type or node.id in renewed:
                events.append(("node_replaced", {"node_id": node.id, "node": plain_node(node, catalogue)}))
            else:
                events += _node_changes(before, node, catalogue)
    if old.connections is not new.connections:
        made = [connection for name, connection in new.connections.items() if name not in old.connections]
        events += [("connection_added", {"connection": plain_connection(connection)}) for connection in made]
    return events


def plain_connection(connection: Connection) -> dict[str, str]:
    return {"id": connection.id, "source": connection.source, "target": connection.target}


def _node_changes(old: Node, new: Node, catalogue: Catalogue) -> list[Event]:
    spec = catalogue.get(new.type)
    changed = {key: value for key, value in new.config.items() if key not in old.config or old.config[key] != value}
    if spec is not None and changed:
        shown = redact(spec, new.config)
        changed = {key: shown[key] for key in changed}
    if old.label != new.label:
        changed["label"] = new.label
    if old.bypass != new.bypass:
        changed["bypass"] = new.bypass
    events: list[Event] = [
        ("parameter_changed", {"node_id": new.id, "param": key, "value": value}) for key, value in changed.items()
    ]
    if old.position != new.position:
        position = new.position
        where = {"x": position.x if position else None, "y": position.y if position else None}
        events.append(("node_moved", {"node_id": new.id, **where}))
    return events
