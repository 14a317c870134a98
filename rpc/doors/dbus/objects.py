"""Which objects there are on the bus, what interfaces they have, and the properties of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tonnetz.daemon.graph.wording import shortened

from ...method_table import Method
from ...methods.graph import NodeView
from .connection import Variant
from .interfaces import NODE, ROOT, STANDARD, Interface, node_interfaces, root_interfaces
from .values import signature, to_bus

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

BUS_ERROR = "org.freedesktop.DBus.Error"
NODES = f"{ROOT}/nodes"


class BusError(Exception):
    """What is refused by D-Bus's own names, before any method is found."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = f"{BUS_ERROR}.{name}"


class Objects:
    """The objects there are, by path, and their interfaces."""

    def __init__(self, session: Session, methods: Mapping[str, Method]) -> None:
        self.root = root_interfaces(methods)
        self.node = node_interfaces(methods)
        self._session = session
        self._plain = {interface.name: interface for interface in STANDARD}
        parts = ROOT.split("/")[1:]
        self._above = {f"/{'/'.join(parts[:depth])}": parts[depth] for depth in range(len(parts))}

    def at(self, path: str) -> Mapping[str, Interface]:
        """The interfaces of an object, by name. BusError where there is none."""
        if path == ROOT:
            return self.root
        if path in self._above or path == NODES:
            return self._plain
        if self.node_id(path) in self._session.graph.nodes:
            return self.node
        raise BusError("UnknownObject", f"There is no object {shortened(path)}.")

    def below(self, path: str) -> Iterable[str]:
        if path == NODES:
            return self._session.graph.nodes
        return ["nodes"] if path == ROOT else [self._above[path]] if path in self._above else []

    def properties(self, node_id: str) -> dict[str, Any] | None:
        """The properties of a node as they are marshalled within a variant; None where there is no such node."""
        plain = self._session.node_view(node_id)
        if plain is None:
            return None
        view = msgspec.convert(plain, NodeView)
        return {
            property.name: Variant(signature(property.type), to_bus(property.type, getattr(view, property.field)))
            for property in self.node[NODE].properties.values()
        }

    @staticmethod
    def node_id(path: str) -> str:
        """The id of the node whose object this would be; empty for other paths."""
        parent, _, node_id = path.rpartition("/")
        return node_id if parent == NODES else ""
