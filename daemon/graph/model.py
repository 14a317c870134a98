"""The graph: frozen nodes and connections. A change makes a new graph that shares what it did not touch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

NODE_ID_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"  # a D-Bus path element, a URL segment and a shell word at once

CANVAS = 1e7  # how far from its middle an editor may draw: any canvas, and no infinity
LABEL_MAXIMUM = 200  # characters
NAME_MAXIMUM = 200  # characters of the graph's name, as of a label


class Position(msgspec.Struct, frozen=True):
    """Where an editor draws the node, in its own units."""

    x: float
    y: float


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node. `config` is complete: every parameter of the type, defaults filled in; nobody changes it in place."""

    id: str
    type: str
    config: Mapping[str, Any]
    label: str = ""
    position: Position | None = None
    bypass: bool = False


class Connection(msgspec.Struct, frozen=True):
    """A wire from an output port to an input port, both named `node.port`."""

    source: str
    target: str

    @property
    def id(self) -> str:
        return f"{self.source}:{self.target}"

    @property
    def source_node(self) -> str:
        return self.source.partition(".")[0]

    @property
    def source_port(self) -> str:
        return self.source.partition(".")[2]

    @property
    def target_node(self) -> str:
        return self.target.partition(".")[0]

    @property
    def target_port(self) -> str:
        return self.target.partition(".")[2]


class Graph(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A whole graph. Nodes by id and connections by id, in the order they came."""

    name: str = ""
    nodes: Mapping[str, Node] = {}
    connections: Mapping[str, Connection] = {}

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Connection, ...]]:
        """The connections into each node that has any."""
        found: dict[str, list[Connection]] = {}
        for connection in self.connections.values():
            found.setdefault(connection.target_node, []).append(connection)
        return {node: tuple(connections) for node, connections in found.items()}

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Connection, ...]]:
        """The connections out of each node that has any."""
        found: dict[str, list[Connection]] = {}
        for connection in self.connections.values():
            found.setdefault(connection.source_node, []).append(connection)
        return {node: tuple(connections) for node, connections in found.items()}
