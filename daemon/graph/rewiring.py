"""Which connections stay when a node leaves or changes its type, and what takes the way around a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .model import Connection, Node
from .ports import NodePorts, ports
from .spec import NodeSpec, PortSpec


def misfits(
    old: NodePorts, new: NodePorts, incoming: Iterable[Connection], outgoing: Iterable[Connection]
) -> list[Connection]:
    """Of a node's connections, those that end when its ports change from `old` to `new`: their port is gone, or now
    carries another signal.
    """
    gone = [c for c in incoming if not _stays(c.target_port, old.inputs, new.inputs)]
    gone += [c for c in outgoing if not _stays(c.source_port, old.outputs, new.outputs)]
    return list({connection.id: connection for connection in gone}.values())


def _stays(name: str, old: Mapping[str, PortSpec], new: Mapping[str, PortSpec]) -> bool:
    return name in new and (name not in old or old[name].signal == new[name].signal)


def passage(spec: NodeSpec, node: Node) -> tuple[frozenset[str], str] | None:
    """Where a sound passes that goes around a node: from its first input (all of them where it is repeated: a mixer's)
    to its first output. None: it has no such pair of one signal.
    """
    main_in = next((port for port in spec.ports if port.direction == "input"), None)
    main_out = next((port for port in spec.ports if port.direction == "output"), None)
    if main_in is None or main_out is None or main_in.signal != main_out.signal:
        return None
    if not main_in.repeat:
        return frozenset((main_in.name,)), main_out.name
    known = ports(spec, node.config).inputs
    return frozenset(name for name, port in known.items() if port.repeat == main_in.repeat), main_out.name


def joints(
    spec: NodeSpec, node: Node, incoming: Iterable[Connection], outgoing: Iterable[Connection]
) -> list[Connection] | None:
    """The connections that bridge a node: from all that feeds its passage to all that this feeds. None: it has none."""
    found = passage(spec, node)
    if found is None:
        return None
    through, main_out = found
    # Without what it feeds itself: such a loop, not yet refused, ends with the node.
    fed = [after.target for after in outgoing if after.source_port == main_out and after.target_node != node.id]
    sources = [before.source for before in incoming if before.target_port in through and before.source_node != node.id]
    return [Connection(source, target) for source in dict.fromkeys(sources) for target in fed]
