"""Ports by their names, as probes need them: on which node, which way, which number, how many channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..engine.parts import Part
from ..problems import Refusal, suggestion

if TYPE_CHECKING:
    from ..session import Session


class Place(NamedTuple):
    """A port of a node object."""

    node_id: str
    port: str
    is_input: bool
    number: int
    channels: int

    @property
    def name(self) -> str:
        return f"{self.node_id}.{self.port}"

    def fits(self, part: Part) -> bool:
        """Whether another object of the node has the same port, with as many channels."""
        return place_on(part, self.port) == self


def place_on(part: Part, port: str) -> Place | None:
    node = part.plan_node
    for is_input, side in ((False, node.channels.outputs), (True, node.channels.inputs)):
        if port in side:
            return Place(node.id, port, is_input, list(side).index(port), side[port])
    return None


def find_place(session: Session, name: str) -> Place:
    """The port of `node.port`, or the one that a connection `source.port:target.port` comes from. A Refusal
    (not_found) else."""
    if ":" in name:
        if name not in session.graph.connections:
            raise Refusal("not_found", f"There is no connection '{name}'.{suggestion(name, session.graph.connections)}")
        name = session.graph.connections[name].source
    node_id, _, port = name.partition(".")
    place = place_on(known_part(session, node_id), port)
    if place is None:
        raise no_port(session, node_id, port)
    return _carrying(place)


def find_input(session: Session, node_id: str, port: str) -> Place:
    """An input of a node, the first where none is named."""
    part = known_part(session, node_id)
    inputs: Mapping[str, int] = part.plan_node.channels.inputs
    if not inputs:
        raise Refusal("not_found", f"'{node_id}' has no input to play into.")
    place = place_on(part, port or next(iter(inputs)))
    if place is None or not place.is_input:
        raise Refusal("not_found", f"'{node_id}' has no input '{port}'.{suggestion(port, inputs)}")
    return _carrying(place)


def _carrying(place: Place) -> Place:
    if place.channels == 0:
        raise Refusal("conflict", f"'{place.name}' carries nothing while nothing is connected to it. Connect it first.")
    return place


def known_part(session: Session, node_id: str) -> Part:
    if node_id not in session.graph.nodes:
        raise Refusal("not_found", f"There is no node '{node_id}'.{suggestion(node_id, session.graph.nodes)}")
    return session.stage.part(node_id)


def no_port(session: Session, node_id: str, port: str) -> Refusal:
    channels = session.stage.part(node_id).plan_node.channels
    ports = [*channels.outputs, *channels.inputs]
    return Refusal("not_found", f"'{node_id}' has no port '{port}'.{suggestion(port, ports)}")
