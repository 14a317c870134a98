"""The graph as `graph.get` shows it: the document, and what the engine knows of each node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graph.config import redact
from .graph.document import VERSION
from .graph.model import Node
from .graph.ports import NodeChannels, ports, resolve_channels

if TYPE_CHECKING:
    from .session import Session


def view(session: Session) -> dict[str, Any]:
    """Plain data: version, revision, name, nodes with config, state, ports and latency (frames), connections."""
    graph = session.graph
    channels = resolve_channels(graph, session.catalogue)
    return {
        "version": VERSION,
        "revision": session.revision,
        "name": graph.name,
        "nodes": [_node(session, node, channels[node.id]) for node in graph.nodes.values()],
        "connections": [
            {"id": connection.id, "source": connection.source, "target": connection.target}
            for connection in graph.connections.values()
        ],
    }


def node_view(session: Session, node_id: str) -> dict[str, Any] | None:
    """One node as `view` has it; None where there is none."""
    node = session.graph.nodes.get(node_id)
    return None if node is None else _node(session, node, resolve_channels(session.graph, session.catalogue)[node_id])


def _node(session: Session, node: Node, channels: NodeChannels) -> dict[str, Any]:
    spec = session.catalogue[node.type]
    part = session.stage.part(node.id)
    state, message = state_and_message(session, node)
    shown: dict[str, Any] = {
        "id": node.id,
        "type": node.type,
        "config": redact(spec, node.config),
        "label": node.label,
        "position": {"x": node.position.x, "y": node.position.y} if node.position else None,
        "bypass": node.bypass,
        "state": state,
        "latency": part.core.latency,
        "latency_total": _total_latency(session, node),
        "ports": [
            {"name": port.name, "direction": port.direction, "signal": port.signal, "channels": count[port.name]}
            for side, count in (
                (ports(spec, node.config).inputs, channels.inputs),
                (ports(spec, node.config).outputs, channels.outputs),
            )
            for port in side.values()
        ],
    }
    if part.outside is not None:
        shown["state_message"] = message
        shown["detail"] = dict(part.outside.state.detail)
    return shown


def state_and_message(session: Session, node: Node) -> tuple[str, str]:
    """How a node is, and why."""
    outside = session.stage.part(node.id).outside
    if outside is None:
        return "bypassed" if node.bypass else "running", ""
    state = outside.state
    return state_of(node, state.name), state.message


def _total_latency(session: Session, node: Node) -> int:
    """By how many frames what a node gives out is late; of a bypassed one, what goes around it."""
    plan = session.stage.plan
    if not node.bypass:
        return plan.lateness.get(node.id, 0)
    onward = session.graph.outgoing.get(node.id, ())
    sources = (wire.source.id for connection in onward for wire in plan.by_connection.get(connection.id, ()))
    return max((plan.lateness.get(name, 0) for name in sources), default=0)


def troubles(session: Session) -> list[dict[str, str]]:
    """The nodes that neither run nor are bypassed on purpose: id, type, state, message. Only endpoints can be in
    trouble; none while the engine is stopped, for then no node is to run."""
    found: list[dict[str, str]] = []
    if not session.runtime.active:
        return found
    for node in session.graph.nodes.values():
        state, message = state_and_message(session, node)
        if state not in ("running", "bypassed"):
            found.append({"id": node.id, "type": node.type, "state": state, "message": message})
    return found


def state_of(node: Node, endpoint: str) -> str:
    """A node's state as the contract has it: a player at the end of its file goes on running, silently."""
    if node.bypass and endpoint not in ("failed", "retrying"):
        return "bypassed"
    return "running" if endpoint == "ended" else endpoint
