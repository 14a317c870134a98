"""What each edit does to a draft: one method per verb.

A verb changes the draft or notes a problem, and returns the id of the node or connection that it made or touched and
the edits that undo it, in the order to be applied.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..problems import Problem, suggestion
from .config import complete, keep_secrets
from .draft import Draft
from .edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Disconnect,
    MoveNode,
    RemoveNode,
    RenameGraph,
    RenameNode,
    ReplaceNode,
    Strategy,
    addition,
)
from .findings import Findings
from .model import CANVAS, LABEL_MAXIMUM, NAME_MAXIMUM, NODE_ID_PATTERN, Connection, Graph, Node, Position
from .node_state import NodeState, read_state
from .ports import layout, ports
from .rewiring import joints, misfits
from .rules import SUGGEST_AMONG, unknown_node, unknown_type
from .spec import Catalogue, NodeSpec
from .wording import flaw_in_text, shortened, spoken

Done = tuple[str, list[AnyEdit]]
is_node_id = re.compile(NODE_ID_PATTERN.removesuffix("$") + r"\Z").match  # "$" would let a line break pass


class Restored(NamedTuple):
    """A state that a node begins with, and the edit that said so."""

    state: NodeState
    edit: int


class Work:
    """A transaction being applied: its draft, and what is known of it so far."""

    def __init__(self, graph: Graph, catalogue: Catalogue) -> None:
        self.graph = graph
        self.catalogue = catalogue
        self.draft = Draft(graph)
        self.index = 0
        self.problems = Findings()
        self.warnings: list[str] = []
        self.ids: list[str] = []
        self.undo: list[list[AnyEdit]] = []  # per edit, in the order to be applied
        self.places: dict[str, int] = {}  # node or connection id -> the last edit that made or changed it
        self.rewired_at: dict[str, int] = {}  # node id -> the last edit that took a connection from its inputs
        self.failed: set[str] = set()  # connections that should be there, had their edit not failed
        self.absent: set[str] = set()  # nodes that should be there, or be of another type, had their edit not failed
        self.unsure: set[str] = set()  # nodes that are not as they should be
        self.misfed: set[str] = set()  # nodes that lack a connection they should have
        self.numbers: dict[str, int] = {}  # type -> the number its next nameless node may try first
        # Of the nodes of the draft:
        self.sounding: set[str] = set()  # bypassed or configured
        self.acted: set[str] = set()  # given a momentary parameter
        self.relaid: set[str] = set()  # new, or perhaps of other ports or channels
        self.strategies: dict[str, Strategy] = {}
        self.states: dict[str, Restored] = {}

    # -- common to all

    def apply(self, index: int, edit: AnyEdit) -> None:
        self.index = index
        touched, undo = _VERBS[type(edit)](self, edit)
        self.ids.append(touched)
        self.undo.append(undo)

    def problem(self, kind: str, message: str, where: str = "", **data: Any) -> None:
        self.problems.append(Problem(kind, message, self.where(where), data))

    def where(self, path: str) -> str:
        return f"edits[{self.index}].{path}" if path else f"edits[{self.index}]"

    def place(self, name: str) -> str:
        index = self.places.get(name, self.rewired_at.get(name))
        return "" if index is None else f"edits[{index}]"

    def node(self, node_id: str, where: str = "id") -> Node | None:
        """The node, or None: then there is a problem, here or at an earlier edit."""
        node = self.draft.nodes.get(node_id)
        if node is not None and node_id not in self.absent:
            return node
        if node_id not in self.absent:
            self.problems.append(unknown_node(node_id, self.draft.nodes, self.where(where)))
        self.unsure.add(node_id)
        return None

    def spec(self, type_name: str) -> NodeSpec | None:
        spec = self.catalogue.get(type_name)
        if spec is None:
            self.problems.append(unknown_type(type_name, self.catalogue, self.where("type")))
        return spec

    # -- nodes

    def add_node(self, edit: AddNode) -> Done:
        node_id = edit.id if edit.id is not None else self.free_id(edit.type)
        before = len(self.problems)
        if not is_node_id(node_id):
            message = (
                f"'{shortened(node_id)}' can't be a node's id: "
                "a lower-case letter, then lower-case letters, digits and _, at most 63 in all."
            )
            self.problem("malformed", message, "id")
        elif node_id in self.draft.nodes and node_id not in self.absent:
            self.problem("id_taken", f"There is a node '{node_id}' already. {self.whose(node_id)}", "id", node=node_id)
            self.unsure.add(node_id)
            self.check_config(edit.type, edit.config)
            return node_id, []
        self.check_label(edit.label)
        self.take_state(node_id, edit)
        if edit.position is not None:
            self.check_position(edit.position, "position.")
        config = self.check_config(edit.type, edit.config)
        if len(self.problems) > before or config is None:
            self.absent.add(node_id)
            return node_id, []
        if node_id in self.absent:
            self.unsure.add(node_id)  # an edit before this one failed; what it would have left there is not known
            return node_id, []
        self.draft.put_fresh(
            Node(
                id=node_id,
                type=edit.type,
                config=config,
                label=edit.label,
                position=edit.position,
                bypass=edit.bypass,
            )
        )
        self.relay(node_id)
        return node_id, [RemoveNode(id=node_id)]

    def take_state(self, node_id: str, edit: AddNode | ReplaceNode) -> None:
        """Note with which state a new node begins, if one is given."""
        self.states.pop(node_id, None)
        if edit.state is not None:
            state = read_state(edit.state, edit.type, self.where("state"), self.problems)
            if state is not None:
                self.states[node_id] = Restored(state, self.index)

    def relay(self, node_id: str) -> None:
        """Note that a node is new, or may have other ports or channels than before."""
        self.relaid.add(node_id)
        self.places[node_id] = self.index

    def free_id(self, type_name: str) -> str:
        number = self.numbers.get(type_name, 1)
        while True:
            suffix = f"_{number}"
            node_id = type_name[: 63 - len(suffix)] + suffix
            if node_id not in self.draft.nodes and node_id not in self.absent:
                self.numbers[type_name] = number
                return node_id
            number += 1

    def release_number(self, node_id: str) -> None:
        """Note that an id is free again, which may be the smallest of its kind."""
        type_name, _, number = node_id.rpartition("_")
        if type_name in self.numbers and number.isdecimal():
            self.numbers[type_name] = min(self.numbers[type_name], max(int(number), 1))

    def whose(self, node_id: str) -> str:
        if node_id not in self.graph.nodes and (place := self.place(node_id)):
            return f"{place} made it."
        return "Choose another id, or leave it out."

    def check_config(
        self, type_name: str, given: Mapping[str, Any], base: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The complete configuration, or None with every problem that it has."""
        spec = self.spec(type_name)
        if spec is None:
            return None
        config, problems = complete(spec, given, base, self.where("config"))
        self.problems += problems
        return None if problems else config

    def remove_node(self, edit: RemoveNode) -> Done:
        node = self.node(edit.id)
        if node is None:
            return edit.id, []
        draft = self.draft
        incoming, outgoing = draft.connections_into(node.id), draft.connections_out_of(node.id)
        bridge: list[Connection] = []
        if edit.strategy == "bridge":
            spec = self.catalogue.get(node.type)
            found = joints(spec, node, incoming, outgoing) if spec else None
            bridge = [joint for joint in found or [] if joint.id not in draft.connections]
            if found is None:
                self.warnings.append(f"{node.id} has no input and output to join: nothing bridges the gap it leaves.")
        gone = {connection.id: connection for connection in (*incoming, *outgoing)}
        for connection in gone.values():
            self.unwire(connection)
        draft.remove(node.id)
        self.states.pop(node.id, None)
        self.release_number(node.id)
        self.relaid.discard(node.id)
        if node.id in self.graph.nodes:
            self.strategies.setdefault(node.id, edit.strategy)
        for joint in bridge:
            self.wire(joint)
        undo: list[AnyEdit] = [Disconnect(id=joint.id) for joint in bridge]
        undo.append(addition(node))
        undo += [Connect(source=connection.source, target=connection.target) for connection in gone.values()]
        return node.id, undo

    def configure_node(self, edit: ConfigureNode) -> Done:
        node = self.node(edit.id)
        if node is None:
            return edit.id, []
        config = self.check_config(node.type, edit.config, node.config)
        if config is None:
            self.unsure.add(node.id)
            return node.id, []
        changed = {key: node.config[key] for key, value in config.items() if value != node.config[key]}
        spec = self.catalogue[node.type]
        if any(parameter.momentary and parameter.name in edit.config for parameter in spec.parameters):
            self.acted.add(node.id)
        if not changed:
            return node.id, []
        self.draft.put(msgspec.structs.replace(node, config=config))
        self.sounding.add(node.id)
        old, new = layout(spec, node.config), layout(spec, config)
        if old is not new or any(name in changed for name in new.parameters):
            self.relay(node.id)
        return node.id, [ConfigureNode(id=node.id, config=changed)]

    def replace_node(self, edit: ReplaceNode) -> Done:
        node = self.node(edit.id)
        given = edit.config
        if node is not None and node.type == edit.type and node.type in self.catalogue:
            given = keep_secrets(self.catalogue[node.type], given, node.config)
        config = self.check_config(edit.type, given)
        self.take_state(edit.id, edit)
        if node is None:
            return edit.id, []
        if config is None:
            self.absent.add(node.id)
            return node.id, []
        draft = self.draft
        new = ports(self.catalogue[edit.type], config)
        spec = self.catalogue.get(node.type)
        old = ports(spec, node.config) if spec else new
        dropped = misfits(old, new, draft.connections_into(node.id), draft.connections_out_of(node.id))
        for connection in dropped:
            self.unwire(connection)
            inwards = connection.target_node == node.id
            port = f"input '{connection.target_port}'" if inwards else f"output '{connection.source_port}'"
            self.warnings.append(f"{connection.id} was taken away: {edit.type} has no {port} that fits.")
        # On the way back, what an edit before this one connected in advance would be dropped too.
        dropped += misfits(new, old, draft.connections_into(node.id), draft.connections_out_of(node.id))
        draft.put_fresh(msgspec.structs.replace(node, type=edit.type, config=config))
        self.relay(node.id)
        if node.id in self.graph.nodes:
            self.strategies.setdefault(node.id, "fade")
        undo: list[AnyEdit] = [ReplaceNode(id=node.id, type=node.type, config=dict(node.config))]
        undo += [Connect(source=connection.source, target=connection.target) for connection in dropped]
        return node.id, undo

    def rename_node(self, edit: RenameNode) -> Done:
        node = self.node(edit.id)
        if not self.check_label(edit.label) or node is None:
            return edit.id, []
        self.draft.put(msgspec.structs.replace(node, label=edit.label))
        return node.id, [RenameNode(id=node.id, label=node.label)]

    def check_label(self, label: str) -> bool:
        return self.check_words(label, "label", LABEL_MAXIMUM)

    def check_words(self, words: str, what: str, maximum: int) -> bool:
        flaw = flaw_in_text(words)
        if flaw:
            self.problem("malformed", f"The {what} contains {flaw}.", what)
        elif len(words) > maximum:
            message = f"The {what} has {len(words)} characters; at most {maximum} are possible."
            self.problem("malformed", message, what)
        else:
            return True
        return False

    def move_node(self, edit: MoveNode) -> Done:
        node = self.node(edit.id)
        before = len(self.problems)
        position = None
        if edit.x is not None and edit.y is not None:
            position = Position(x=float(edit.x), y=float(edit.y))
            self.check_position(position, "")
        elif edit.x is not None or edit.y is not None:
            self.problem("malformed", "A position is two numbers, x and y, or null for both.")
        if node is None or len(self.problems) > before:
            return edit.id, []
        self.draft.put(msgspec.structs.replace(node, position=position))
        was = node.position
        return node.id, [MoveNode(id=node.id, x=was.x if was else None, y=was.y if was else None)]

    def check_position(self, position: Position, path: str) -> None:
        for axis, value in (("x", position.x), ("y", position.y)):
            if not (math.isfinite(value) and abs(value) <= CANVAS):
                message = f"{axis} goes from {-CANVAS:.0f} to {CANVAS:.0f}, not {spoken(value)}."
                self.problem("malformed", message, f"{path}{axis}")

    def bypass_node(self, edit: BypassNode) -> Done:
        node = self.node(edit.id)
        if node is None or node.bypass == edit.bypass:
            return edit.id, []
        self.draft.put(msgspec.structs.replace(node, bypass=edit.bypass))
        self.sounding.add(node.id)
        return node.id, [BypassNode(id=node.id, bypass=node.bypass)]

    # -- the graph

    def rename_graph(self, edit: RenameGraph) -> Done:
        was = self.draft.name
        if not self.check_words(edit.name, "name", NAME_MAXIMUM) or edit.name == was:
            return "", []
        self.draft.name = edit.name
        return "", [RenameGraph(name=was)]

    # -- connections

    def connect(self, edit: Connect) -> Done:
        connection = Connection(edit.source, edit.target)
        ends = [self.end(edit.source, "source"), self.end(edit.target, "target")]
        if None in ends:
            self.failed.add(connection.id)
            self.misfed.add(connection.target_node)
            return connection.id, []
        if connection.id in self.draft.connections:
            message = f"{edit.source} is connected to {edit.target} already. A second connection is not possible."
            self.problem("duplicate", message, connection=connection.id)
            return connection.id, []
        self.wire(connection)
        return connection.id, [Disconnect(id=connection.id)]

    def end(self, end: str, where: str) -> Node | None:
        node_id, dot, port = end.partition(".")
        if dot and port:
            return self.node(node_id, where)
        node = self.draft.nodes.get(node_id)
        spec = self.catalogue.get(node.type) if node is not None else None
        known: Mapping[str, Any] = {}
        if node is not None and spec is not None:
            known = getattr(ports(spec, node.config), "outputs" if where == "source" else "inputs")
        example = f"{node_id}.{next(iter(known))}" if known else "mic_1.out"
        message = f"'{shortened(end)}' names no port. A port is written node.port, as {example}."
        self.problem("malformed", message, where)
        return None

    def wire(self, connection: Connection) -> None:
        self.draft.connect(connection)
        self.places[connection.id] = self.index

    def unwire(self, connection: Connection) -> None:
        self.draft.disconnect(connection)
        self.rewired_at[connection.target_node] = self.index

    def disconnect(self, edit: Disconnect) -> Done:
        ends = f"{edit.source}:{edit.target}" if edit.source is not None and edit.target is not None else None
        name = edit.id if edit.id is not None else ends
        one_end = ends is None and (edit.source is not None or edit.target is not None)
        if name is None or one_end or (ends is not None and ends != name):
            message = "A connection is named by its id (source.port:target.port), or by its source and its target."
            self.problem("malformed", message)
            return name or "", []
        connection = self.draft.connections.get(name)
        if connection is not None:
            self.unwire(connection)
            return name, [Connect(source=connection.source, target=connection.target)]
        source, _, target = name.partition(":")
        nodes = (source.partition(".")[0], target.partition(".")[0])
        self.unsure.update(nodes)
        if name not in self.failed and not self.absent.intersection(nodes):
            known = [near.id for node in nodes for near in self.draft.connections_into(node)]
            known += [near.id for node in nodes for near in self.draft.connections_out_of(node)]
            word = shortened(name)
            message = f"There is no connection '{word}'.{suggestion(word, dict.fromkeys(known[:SUGGEST_AMONG]))}"
            self.problem("unknown_connection", message, "id" if edit.id is not None else "source")
        return name, []


_VERBS: Mapping[type, Callable[[Work, Any], Done]] = {
    AddNode: Work.add_node,
    RemoveNode: Work.remove_node,
    Connect: Work.connect,
    Disconnect: Work.disconnect,
    ConfigureNode: Work.configure_node,
    ReplaceNode: Work.replace_node,
    RenameNode: Work.rename_node,
    MoveNode: Work.move_node,
    BypassNode: Work.bypass_node,
    RenameGraph: Work.rename_graph,
}
