"""What differs between two graphs, field by field: what a transaction did, in a form that can be followed both ways.

Edits say what somebody asked for, differences what came of it. A graph can be led along them to how it was or became
(`travelled`), which takes no rules and no catalogue; and one transaction can be taken back while later ones stay
(`taken_back`), as every field knows what it was and what it became.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from .model import Connection, Graph, Node, Position

Path = tuple[str | int, ...]


class NodeChange(msgspec.Struct, frozen=True, tag="node"):
    """A node came (before: null), went (after: null), or became one of another type."""

    id: str
    before: Node | None
    after: Node | None


class FieldChange(msgspec.Struct, frozen=True, tag="field"):
    """A field of a node has another value. Its path is `label`, `position`, `bypass`, or `config` and a parameter; in
    a list that is as long as before it goes on to a place and a field: `("config", "bands", 1, "gain_db")`."""

    node: str
    path: Path
    before: Any
    after: Any


class ConnectionChange(msgspec.Struct, frozen=True, tag="connection"):
    """A connection was made, or taken away."""

    source: str
    target: str
    made: bool


class NameChange(msgspec.Struct, frozen=True, tag="name"):
    """The graph has another name."""

    before: str
    after: str


Change = NodeChange | FieldChange | ConnectionChange | NameChange
Changes = tuple[Change, ...]


# ---- Finding -----------------------------------------------------------------------------------------------------


def difference(old: Graph, new: Graph, among: Collection[str] | None = None) -> Changes:
    """Everything that differs. `among` names all nodes of both graphs that may differ; None: any may."""
    found: list[Change] = []
    if old.name != new.name:
        found.append(NameChange(old.name, new.name))
    if old.connections is not new.connections:
        ended = [connection for name, connection in old.connections.items() if name not in new.connections]
        found += [ConnectionChange(connection.source, connection.target, False) for connection in ended]
    if old.nodes is not new.nodes:
        gone = [node for node in nodes_of(old, among) if node.id not in new.nodes]
        found += [NodeChange(node.id, node, None) for node in gone]
        for node in nodes_of(new, among):
            before = old.nodes.get(node.id)
            if before is node:
                continue
            if before is None or before.type != node.type:
                found.append(NodeChange(node.id, before, node))
            else:
                found += _fields(before, node)
    if old.connections is not new.connections:
        made = [connection for name, connection in new.connections.items() if name not in old.connections]
        found += [ConnectionChange(connection.source, connection.target, True) for connection in made]
    return tuple(found)


def nodes_of(graph: Graph, among: Collection[str] | None) -> Iterable[Node]:
    """Those of these names that there are, in the graph's order; None: all."""
    if among is None:
        return graph.nodes.values()
    found = [graph.nodes[name] for name in among if name in graph.nodes]
    if len(found) < 2:  # most edits are of one node, and have no need to look through thousands
        return found
    names = {node.id for node in found}
    return [node for name, node in graph.nodes.items() if name in names]


def _fields(old: Node, new: Node) -> Iterable[Change]:
    for key in (*old.config, *(key for key in new.config if key not in old.config)):
        before, after = old.config.get(key), new.config.get(key)
        if before is after or before == after:
            continue
        if _are_alike(before, after):
            yield from (
                FieldChange(new.id, ("config", key, place, field), was[field], now[field])
                for place, (was, now) in enumerate(zip(before, after, strict=True))  # type: ignore[arg-type]
                for field in now
                if was[field] != now[field]
            )
        else:
            yield FieldChange(new.id, ("config", key), before, after)
    for name in ("label", "position", "bypass"):
        was, now = field_of(old, (name,)), field_of(new, (name,))
        if was != now:
            yield FieldChange(new.id, (name,), was, now)


def _are_alike(before: Any, after: Any) -> bool:
    """Whether these are two lists of as many records with the same fields, which can be compared one by one."""
    return (
        isinstance(before, list)
        and isinstance(after, list)
        and len(before) == len(after)
        and all(
            isinstance(was, Mapping) and isinstance(now, Mapping) and was.keys() == now.keys()
            for was, now in zip(before, after, strict=True)
        )
    )


class Absent(Exception):
    """A node has no such field: its list is shorter now, or its type another."""


def field_of(node: Node, path: Path) -> Any:
    """What stands at a path, as plain data. Raises `Absent`."""
    if path[0] == "position":
        return {"x": node.position.x, "y": node.position.y} if node.position else None
    if path[0] != "config":
        return getattr(node, str(path[0]))
    value: Any = node.config
    try:
        for step in path[1:]:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        raise Absent from None
    return value


def with_field(node: Node, path: Path, value: Any) -> Node:
    """The node with another value at a path. Raises `Absent`."""
    if path[0] == "position":
        return msgspec.structs.replace(node, position=Position(value["x"], value["y"]) if value else None)
    if path[0] != "config":
        return msgspec.structs.replace(node, **{str(path[0]): value})
    try:
        return msgspec.structs.replace(node, config=_with(node.config, path[1:], value))
    except (KeyError, IndexError, TypeError):
        raise Absent from None


def _with(inside: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed: Any = dict(inside) if isinstance(inside, Mapping) else list(inside)
    changed[path[0]] = _with(inside[path[0]], path[1:], value) if len(path) > 1 else value
    return changed


# ---- Following ---------------------------------------------------------------------------------------------------


def reversed_changes(changes: Sequence[Change]) -> Changes:
    """The way back."""
    return tuple(_reversed(change) for change in reversed(changes))


def _reversed(change: Change) -> Change:
    if isinstance(change, ConnectionChange):
        return ConnectionChange(change.source, change.target, not change.made)
    return msgspec.structs.replace(change, before=change.after, after=change.before)


def travelled(graph: Graph, changes: Iterable[Change]) -> Graph:
    """The graph after changes that begin at it. What does not fit, as something is lacking, is passed over."""
    name, nodes, connections = graph.name, dict(graph.nodes), dict(graph.connections)
    for change in changes:
        match change:
            case NameChange():
                name = change.after
            case NodeChange(after=None):
                nodes.pop(change.id, None)
            case NodeChange(after=Node() as node):
                nodes[change.id] = node
            case ConnectionChange():
                wire = Connection(change.source, change.target)
                if change.made:
                    connections[wire.id] = wire
                else:
                    connections.pop(wire.id, None)
            case FieldChange() if change.node in nodes:
                try:
                    nodes[change.node] = with_field(nodes[change.node], change.path, change.after)
                except Absent:
                    continue
    return Graph(name=name, nodes=nodes, connections=connections)


# ---- Taking back -------------------------------------------------------------------------------------------------


def taken_back(graph: Graph, changes: Sequence[Change]) -> tuple[Graph, list[Change]]:
    """The graph with one transaction's changes undone, and those that can't be: what they left has been changed since.

    The graph is how it should be; whether the rules allow it is for a transaction to find out.
    """
    kept: list[Change] = []
    name, nodes, connections = graph.name, dict(graph.nodes), dict(graph.connections)
    held_by_others = _held_by_others(graph, changes)
    for change in reversed(changes):
        match change:
            case NameChange():
                if name == change.after:
                    name = change.before
                else:
                    kept.append(change)
            case FieldChange():
                node = nodes.get(change.node)
                if node is not None and _is_at(node, change.path, change.after):
                    nodes[change.node] = with_field(node, change.path, change.before)
                else:
                    kept.append(change)
            case NodeChange():
                present = nodes.get(change.id)
                free = change.after is not None or present is None
                bound = change.before is None and change.id in held_by_others
                if free and (change.after is None or (_is_still(present, change.after) and not bound)):
                    if change.before is None:
                        nodes.pop(change.id, None)
                    else:
                        nodes[change.id] = change.before
                else:
                    kept.append(change)
            case ConnectionChange():
                wire = Connection(change.source, change.target)
                if change.made:
                    connections.pop(wire.id, None)
                else:
                    connections[wire.id] = wire
    _put_in_order(changes, nodes, connections)
    lost = {wire.id for wire in connections.values() if wire.source_node not in nodes or wire.target_node not in nodes}
    kept += [change for change in changes if isinstance(change, ConnectionChange) and _id(change) in lost]
    held = {name: wire for name, wire in connections.items() if name not in lost}
    return Graph(name=name, nodes=nodes, connections=held), kept


def _put_in_order(changes: Sequence[Change], nodes: dict[str, Node], connections: dict[str, Connection]) -> None:
    """What came back comes in the order in which it went, and not in that in which it was taken back."""
    for change in changes:
        if isinstance(change, NodeChange) and change.after is None and nodes.get(change.id) is change.before:
            nodes[change.id] = nodes.pop(change.id)
        elif isinstance(change, ConnectionChange) and not change.made and _id(change) in connections:
            connections[_id(change)] = connections.pop(_id(change))


def _id(change: ConnectionChange) -> str:
    return f"{change.source}:{change.target}"


def _is_at(node: Node, path: Path, value: Any) -> bool:
    try:
        return bool(field_of(node, path) == value)
    except Absent:
        return False


def _is_still(present: Node | None, left: Node) -> bool:
    """Whether a node is as a transaction left it, wherever it is drawn."""
    return present is not None and (present.type, present.config, present.label, present.bypass) == (
        left.type,
        left.config,
        left.label,
        left.bypass,
    )


def _held_by_others(graph: Graph, changes: Sequence[Change]) -> set[str]:
    """The nodes that hang on a connection which the transaction did not make: they can't go without breaking it."""
    if not any(isinstance(change, NodeChange) for change in changes):
        return set()
    own = {_id(change) for change in changes if isinstance(change, ConnectionChange)}
    others = [wire for name, wire in graph.connections.items() if name not in own]
    return {node for wire in others for node in (wire.source_node, wire.target_node)}


def place_of(change: Change) -> str:
    """What a change is about, as people write it: `eq.bands.1.gain_db`, `a.out:b.in`."""
    match change:
        case NameChange():
            return "the graph's name"
        case NodeChange():
            return change.id
        case ConnectionChange():
            return _id(change)
        case FieldChange(path=("config", *steps)):
            return ".".join(map(str, (change.node, *steps)))
    return f"{change.node}.{change.path[0]}"
