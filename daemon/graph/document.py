"""The graph document: a graph as JSON or YAML, read and written; and edits as people write them.

A document is read as strictly as a transaction: whatever is wrong is said at once, each with its path. What
`graph.get` adds to a document (states, ports, latency, revision) may stay in it and is passed over, so that what was
got can be changed and put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from ..problems import Problem, refuse, suggestion
from .config import abridge, complete, keep_secrets, redact
from .edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Coordinate,
    Disconnect,
    Label,
    MoveNode,
    NodeId,
    PortName,
    RemoveNode,
    RenameGraph,
    RenameNode,
    ReplaceNode,
    TypeName,
    addition,
)
from .findings import Enough, Findings, told
from .model import NAME_MAXIMUM, Connection, Graph, Node, Position
from .plain import NODE_ID, read
from .ports import ports
from .rewiring import misfits
from .rules import Limits, check, refusal, unknown_node, unknown_type
from .spec import Catalogue
from .wording import flaw_in_text, shortened, spoken

VERSION = 1
KEYS = ("version", "name", "nodes", "connections")
PASSED_OVER = frozenset({"revision"})
PASSED_OVER_IN_NODES = frozenset({"state", "state_message", "detail", "ports", "latency", "latency_total"})


class PlainPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    x: Coordinate
    y: Coordinate


class PlainNode(msgspec.Struct, frozen=True):
    """A node as it stands in a document."""

    id: NodeId
    type: TypeName
    config: dict[str, Any] | None = None
    label: Label = ""
    position: PlainPosition | None = None
    bypass: bool = False


class PlainConnection(msgspec.Struct, frozen=True):
    """A connection as it stands in a document. Its id says the same again."""

    source: PortName
    target: PortName
    id: str | None = None


# ---- Writing -----------------------------------------------------------------------------------------------------


def to_document(graph: Graph, catalogue: Catalogue, full: bool = False) -> dict[str, Any]:
    """The graph as a document. Of configurations only what differs from the defaults, unless `full`; never a secret."""
    return {
        "version": VERSION,
        "name": graph.name,
        "nodes": [plain_node(node, catalogue, full) for node in graph.nodes.values()],
        "connections": [
            {"source": connection.source, "target": connection.target} for connection in graph.connections.values()
        ],
    }


def plain_node(node: Node, catalogue: Catalogue, full: bool = True) -> dict[str, Any]:
    """A node as plain data, without its secrets. Not `full`: without what is as it is by default."""
    spec = catalogue.get(node.type)
    config = redact(spec, node.config) if spec else dict(node.config)
    position = {"x": node.position.x, "y": node.position.y} if node.position else None
    if full:
        plain = {"id": node.id, "type": node.type, "config": config, "label": node.label, "bypass": node.bypass}
        return plain | {"position": position} if position else plain
    plain = {"id": node.id, "type": node.type}
    short = abridge(spec, config) if spec else config
    for key, value in (("config", short), ("label", node.label), ("position", position), ("bypass", node.bypass)):
        if value:
            plain[key] = value
    return plain


# ---- Reading -----------------------------------------------------------------------------------------------------


def parse_document(
    data: Any, catalogue: Catalogue, limits: Limits | None = None, present: Graph | None = None
) -> Graph:
    """The graph that a document describes, or a `Refusal` with every problem; each says where, as `nodes[2].config.q`.

    A secret that reads `{"secret": true}` is taken from the node of the same id and type in `present`.
    """
    reading = _Reading(catalogue, limits or Limits(), present or Graph())
    graph = Graph()
    with suppress(Enough):
        graph = reading.read_document(data)
    if reading.problems:
        raise refusal(reading.problems)
    return graph


class _Reading:
    def __init__(self, catalogue: Catalogue, limits: Limits, present: Graph) -> None:
        self.catalogue = catalogue
        self.limits = limits
        self.present = present
        self.problems = Findings()
        self.nodes: dict[str, Node] = {}
        self.connections: dict[str, Connection] = {}
        self.places: dict[str, tuple[str, int]] = {}  # node or connection id -> the list it stands in, its index
        self.unsure: set[str] = set()  # nodes that are not as they should be, or not there because of a problem
        self.misfed: set[str] = set()  # nodes that lack a connection because of a problem

    def problem(self, kind: str, message: str, where: str = "", **data: Any) -> None:
        self.problems.append(Problem(kind, message, where, data))

    def place(self, name: str) -> str:
        found = self.places.get(name)
        return f"{found[0]}[{found[1]}]" if found else ""

    def read_document(self, data: Any) -> Graph:
        if not isinstance(data, Mapping):
            hint = ""
            if isinstance(data, str):
                hint = " Parse the text first, as JSON or YAML."
            elif isinstance(data, (list, tuple)):
                hint = " If this is a list of edits, apply it; if these are nodes, put them under 'nodes'."
            self.problem("malformed", f"A graph document is a mapping, not {spoken(data)}.{hint}")
            return Graph()
        for key in data:
            if key not in KEYS and key not in PASSED_OVER:
                word = shortened(key)
                self.problem("unknown_key", f"A graph document has no '{word}'.{suggestion(word, KEYS)}", word)
        version = data.get("version", VERSION)
        if type(version) is not int or version != VERSION:
            self.problem(
                "malformed", f"This is read as version {VERSION}; the document's is {spoken(version)}.", "version"
            )
        name = data.get("name", "")
        if not isinstance(name, str) or len(name) > NAME_MAXIMUM or flaw_in_text(name):
            self.problem("malformed", f"'name' must be a text of at most {NAME_MAXIMUM} characters.", "name")
        for index, node in enumerate(self.entries(data, "nodes", self.limits.nodes)):
            self.read_node(node, index)
        for index, connection in enumerate(self.entries(data, "connections", self.limits.connections)):
            self.read_connection(connection, index)
        graph = Graph(name=name, nodes=self.nodes, connections=self.connections)
        self.problems += check(
            graph, self.catalogue, self.limits, place=self.place, unsure=self.unsure, misfed=self.misfed
        )
        return graph

    def entries(self, data: Mapping[str, Any], key: str, limit: int) -> Sequence[Any]:
        entries = data.get(key)
        if entries is None:
            return ()
        if not isinstance(entries, (list, tuple)):
            hint = " Each node carries its name as 'id'." if key == "nodes" and isinstance(entries, Mapping) else ""
            self.problem("malformed", f"'{key}' is a list, not {spoken(entries)}.{hint}", key)
            return ()
        if len(entries) > limit:  # said here, since it would take long to find out what else is wrong
            message = f"The document has {len(entries)} {key}; the limit is {limit}."
            raise refuse("invalid_graph", [Problem("limit", message, key, {"limit": limit, "count": len(entries)})])
        return entries

    def read_node(self, data: Any, index: int) -> None:
        where = f"nodes[{index}]"
        plain = read(data, PlainNode, "A node", where, self.problems, ignored=PASSED_OVER_IN_NODES)
        if plain is None:
            name = data.get("id") if isinstance(data, Mapping) else None
            if isinstance(name, str):
                self.unsure.add(name)
            return
        if plain.id in self.places:
            message = f"{self.place(plain.id)} has the id '{plain.id}' already."
            self.problem("duplicate", message, f"{where}.id", node=plain.id)
            return
        self.places[plain.id] = ("nodes", index)
        if flaw := flaw_in_text(plain.label):
            self.problem("malformed", f"The label contains {flaw}.", f"{where}.label")
        spec = self.catalogue.get(plain.type)
        if spec is None:
            self.problems.append(unknown_type(plain.type, self.catalogue, f"{where}.type"))
            self.unsure.add(plain.id)
            return
        given: Any = plain.config or {}
        held = self.present.nodes.get(plain.id)
        if held is not None and held.type == plain.type:
            given = keep_secrets(spec, given, held.config)
        config, problems = complete(spec, given, None, f"{where}.config")
        if problems:
            self.problems += problems
            self.unsure.add(plain.id)
        position = Position(plain.position.x, plain.position.y) if plain.position else None
        self.nodes[plain.id] = Node(
            id=plain.id, type=plain.type, config=config, label=plain.label, position=position, bypass=plain.bypass
        )

    def read_connection(self, data: Any, index: int) -> None:
        where = f"connections[{index}]"
        plain = read(data, PlainConnection, "A connection", where, self.problems, names="source:target")
        if plain is None:
            target = data.get("target") if isinstance(data, Mapping) else None
            if isinstance(target, str):
                self.misfed.add(target.partition(".")[0])
            return
        connection = Connection(plain.source, plain.target)
        name = connection.id
        if plain.id is not None and plain.id != name:
            self.problem("malformed", f"Between these ends the id is '{name}', or is left out.", f"{where}.id")
        if name in self.connections:
            message = f"{self.place(name)} connects {plain.source} to {plain.target} already."
            self.problem("duplicate", message, where, connection=name)
            return
        ends_missing = False
        for side, node_id in (("source", connection.source_node), ("target", connection.target_node)):
            if node_id not in self.nodes:
                ends_missing = True
                if node_id not in self.unsure:
                    self.problems.append(unknown_node(node_id, self.nodes, f"{where}.{side}"))
        if ends_missing:
            self.misfed.add(connection.target_node)
            return
        self.places[name] = ("connections", index)
        self.connections[name] = connection


# ---- From one graph to another -----------------------------------------------------------------------------------


def edits_between(old: Graph, new: Graph, catalogue: Catalogue) -> tuple[AnyEdit, ...]:
    """One transaction that makes `new` of `old`. Nodes of the same id are kept: configured where they are of the same
    type, else replaced.
    """
    edits: list[AnyEdit] = [RenameGraph(name=new.name)] if old.name != new.name else []
    gone = {node_id: None for node_id in old.nodes if node_id not in new.nodes}
    for name, connection in old.connections.items():
        if name not in new.connections and connection.source_node not in gone and connection.target_node not in gone:
            edits.append(Disconnect(id=name))
    edits += [RemoveNode(id=node_id) for node_id in gone]
    lost: set[str] = set()  # connections of both graphs that a replacement on the way drops
    for node_id, node in new.nodes.items():
        held = old.nodes.get(node_id)
        if held is None:
            edits.append(addition(node))
        elif held is not node:
            edits += _adjustments(held, node)
            if held.type != node.type:
                lost |= _dropped(old, held, node, catalogue)
    for name, connection in new.connections.items():
        if name not in old.connections or name in lost:
            edits.append(Connect(source=connection.source, target=connection.target))
    return tuple(edits)


def _adjustments(old: Node, new: Node) -> Iterable[AnyEdit]:
    if old.type != new.type:
        yield ReplaceNode(id=new.id, type=new.type, config=dict(new.config))
    else:
        changed = {key: value for key, value in new.config.items() if value != old.config.get(key)}
        if changed:
            yield ConfigureNode(id=new.id, config=changed)
    if old.label != new.label:
        yield RenameNode(id=new.id, label=new.label)
    if old.position != new.position:
        position = new.position
        yield MoveNode(id=new.id, x=position.x if position else None, y=position.y if position else None)
    if old.bypass != new.bypass:
        yield BypassNode(id=new.id, bypass=new.bypass)


def _dropped(graph: Graph, old: Node, new: Node, catalogue: Catalogue) -> set[str]:
    """The connections of a node that `replace_node` would drop."""
    if old.type not in catalogue or new.type not in catalogue:
        return set()
    was, will_be = ports(catalogue[old.type], old.config), ports(catalogue[new.type], new.config)
    gone = misfits(was, will_be, graph.incoming.get(old.id, ()), graph.outgoing.get(old.id, ()))
    return {connection.id for connection in gone}


# ---- Edits as plain data -----------------------------------------------------------------------------------------

EDITS: Mapping[str, type[AnyEdit]] = {
    "add_node": AddNode,
    "remove_node": RemoveNode,
    "connect": Connect,
    "disconnect": Disconnect,
    "configure_node": ConfigureNode,
    "replace_node": ReplaceNode,
    "rename_node": RenameNode,
    "move_node": MoveNode,
    "bypass_node": BypassNode,
    "rename_graph": RenameGraph,
}


def edits_from_plain(data: Any) -> list[AnyEdit]:
    """A list of edits, or a `Refusal` with every problem; each says where, as `edits[3].source`."""
    if not isinstance(data, (list, tuple)):
        message = f"Edits are a list, one entry for each, not {spoken(data)}."
        raise refuse("invalid_params", [Problem("malformed", message, "edits")])
    problems = Findings()
    edits: list[AnyEdit | None] = []
    with suppress(Enough):
        edits += [_edit(entry, f"edits[{index}]", problems) for index, entry in enumerate(data)]
    if problems:
        raise refuse("invalid_params", told(problems))
    return [edit for edit in edits if edit is not None]


def _edit(data: Any, where: str, problems: list[Problem]) -> AnyEdit | None:
    example = 'It is written {"op": "connect", "source": "a.out", "target": "b.in"} or {"connect": {"source": …}}.'
    if isinstance(data, str) or not isinstance(data, Mapping):
        problems.append(Problem("malformed", f"An edit is a mapping, not {spoken(data)}. {example}", where))
        return None
    if "op" in data:
        verb = data["op"]
        content: Any = {key: value for key, value in data.items() if key != "op"}
        place = where
    elif len(data) == 1:
        verb, content = next(iter(data.items()))
        place = f"{where}.{verb}" if verb in EDITS else where
    else:
        problems.append(Problem("malformed", f"An edit says what to do. {example}", where))
        return None
    kind = EDITS.get(verb) if isinstance(verb, str) else None
    if kind is None:
        word = shortened(verb)
        message = f"There is no edit '{word}'.{suggestion(word, EDITS)}"
        problems.append(Problem("unknown_edit", message, f"{where}.op"))
        return None
    what = f"{'An' if verb[0] in 'aeiou' else 'A'} {verb} edit"
    names = "a connection's id, source:target" if kind is Disconnect else NODE_ID
    return read(content, kind, what, place, problems, names=names)
