"""The ports a node has, and how many channels each carries.

A node's ports follow from its type and the length of its list parameter; its channels follow from what is connected,
by the rules of `csrc/node_type.h`. Both are asked for at every edit, so little is worked out twice: ports are kept
per type and length, channels per type and widths of what comes in, and an edit only looks at the nodes it reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from .memo import once_per_object
from .model import Graph, Node
from .spec import Catalogue, NodeSpec, PortSpec

UNCONNECTED = 2  # channels of an input that nothing feeds, where its rule asks what does
MEMORY = 1024  # combinations of widths kept per type: real graphs have a handful


class NodePorts(msgspec.Struct, frozen=True):
    """A node's ports by name, repeated ones spelt out. A port's index in the core is its place in its mapping."""

    inputs: Mapping[str, PortSpec]
    outputs: Mapping[str, PortSpec]


class NodeChannels(msgspec.Struct, frozen=True):
    """How many channels each port of a node carries, by name, in the order of `NodePorts`."""

    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


Channels = Mapping[str, NodeChannels]  # by node id; nodes of unknown type and those in a loop are missing


# ---- Ports -------------------------------------------------------------------------------------------------------


class Layout(msgspec.Struct, frozen=True):
    """A type's ports at one length of its list, and the channels found for them so far."""

    ports: NodePorts
    index: Mapping[str, int]  # of the inputs
    parameters: tuple[str, ...]  # those that count channels
    found: dict[tuple[int, ...], NodeChannels]


@once_per_object
def _layouts(spec: NodeSpec) -> tuple[str, dict[int, Layout]]:
    """The list parameter that counts the type's repeated ports ("" if none), and the layouts by its length."""
    return next((port.repeat for port in spec.ports if port.repeat), ""), {}


def layout(spec: NodeSpec, config: Mapping[str, Any]) -> Layout:
    """What is known of the ports of a node with this configuration: the same object for the same ports."""
    repeat, known = _layouts(spec)
    count = len(config[repeat]) if repeat else 0
    present = known.get(count)
    if present is None:
        present = known[count] = _lay_out(spec, count)
    return present


def _lay_out(spec: NodeSpec, count: int) -> Layout:
    inputs: dict[str, PortSpec] = {}
    outputs: dict[str, PortSpec] = {}
    for port in spec.ports:
        side = inputs if port.direction == "input" else outputs
        if port.repeat:
            for number in range(1, count + 1):
                name = port.name.replace("#", str(number))
                side[name] = msgspec.structs.replace(port, name=name)
        else:
            side[port.name] = port
    return Layout(
        ports=NodePorts(inputs, outputs),
        index={name: i for i, name in enumerate(inputs)},
        parameters=tuple(port.channels_parameter for port in spec.ports if port.rule == "parameter"),
        found={},
    )


def ports(spec: NodeSpec, config: Mapping[str, Any]) -> NodePorts:
    """The ports of a node of this type with this complete configuration."""
    return layout(spec, config).ports


# ---- Channels ----------------------------------------------------------------------------------------------------


def resolve_channels(graph: Graph, catalogue: Catalogue) -> Channels:
    """The channels of every node, in one pass from the sources on. A graph remembers what was found for it."""
    kept: tuple[Catalogue, Channels] | None = graph.__dict__.get("channels")
    if kept is not None and kept[0] is catalogue:
        return kept[1]
    channels: dict[str, NodeChannels] = {}
    waiting = {node: len(feeding) for node, feeding in graph.incoming.items()}
    ready = [node for node in graph.nodes if node not in waiting]
    outgoing = graph.outgoing
    for node_id in ready:  # grows as nodes become ready
        node = graph.nodes.get(node_id)
        if node is None:
            continue
        found = _node_channels(node, graph, catalogue, channels)
        if found is not None:
            channels[node_id] = found
        for connection in outgoing.get(node_id, ()):
            target = connection.target.partition(".")[0]
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    remember_channels(graph, catalogue, channels)
    return channels


def remember_channels(graph: Graph, catalogue: Catalogue, channels: Channels) -> None:
    """Let `resolve_channels` answer for this graph at once."""
    graph.__dict__["channels"] = (catalogue, channels)


def follow_channels(
    graph: Graph, catalogue: Catalogue, before: Channels, touched: Iterable[str]
) -> tuple[Channels, set[str]]:
    """The channels of a graph without loops, given those of the graph it came from and every node that is new, gone,
    reconfigured or otherwise connected. Also tells whose channels are new or other than before.

    Only nodes that the change reaches are looked at. Each looks again when one of its sources changed, so on a
    graph made for it that could take long; then all are resolved in one pass instead.
    """
    channels = dict(before)
    changed: set[str] = set()
    look_at = dict.fromkeys(touched)  # a queue without duplicates
    patience = len(graph.nodes) + 16
    while look_at and patience:
        patience -= 1
        node_id = next(iter(look_at))
        del look_at[node_id]
        node = graph.nodes.get(node_id)
        found = _node_channels(node, graph, catalogue, channels) if node is not None else None
        known = channels.get(node_id)
        if found is known or found == known:
            continue
        changed.add(node_id)
        if found is None:
            del channels[node_id]
        else:
            channels[node_id] = found
        for connection in graph.outgoing.get(node_id, ()):
            look_at[connection.target.partition(".")[0]] = None
    if look_at:
        resolved = resolve_channels(graph, catalogue)
        return resolved, {node_id for node_id, found in resolved.items() if before.get(node_id) != found}
    if not changed:
        return before, changed
    return channels, changed


def _node_channels(node: Node, graph: Graph, catalogue: Catalogue, channels: Channels) -> NodeChannels | None:
    """The channels of a node whose sources are known. None: its type is not."""
    spec = catalogue.get(node.type)
    if spec is None:
        return None
    known = layout(spec, node.config)
    index = known.index
    widths = [0] * len(index)  # of the widest source per input, 0 while none is connected
    for connection in graph.incoming.get(node.id, ()):
        port = index.get(connection.target.partition(".")[2])
        source, _, output = connection.source.partition(".")
        feeding = channels.get(source)
        if port is not None and feeding is not None:
            width = feeding.outputs.get(output, 0)
            if width > widths[port]:
                widths[port] = width
    for parameter in known.parameters:
        widths.append(node.config[parameter])
    key = tuple(widths)
    found = known.found.get(key)
    if found is None:
        if len(known.found) >= MEMORY:
            known.found.clear()
        found = known.found[key] = _apply_rules(known.ports, node.config, key)
    return found


def _apply_rules(ports: NodePorts, config: Mapping[str, Any], widths: tuple[int, ...]) -> NodeChannels:
    """`widths`: of the widest source per input, 0 while none is connected."""
    sources = dict(zip(ports.inputs, widths, strict=False))
    following = [
        sources[name] for name, port in ports.inputs.items() if port.rule == "follow" and port.signal == "audio"
    ]
    width = max(following, default=0) or UNCONNECTED
    inputs = {name: _width(port, config, width, sources[name] or _open(port)) for name, port in ports.inputs.items()}
    widest = max((inputs[name] for name, port in ports.inputs.items() if port.signal == "audio"), default=0)
    outputs = {name: _width(port, config, width, max(widest, port.channels, 1)) for name, port in ports.outputs.items()}
    return NodeChannels(inputs, outputs)


def _open(port: PortSpec) -> int:
    """The channels of an input that nothing feeds."""
    return 0 if port.deciding else UNCONNECTED


def _width(port: PortSpec, config: Mapping[str, Any], follow: int, asked: int) -> int:
    """`asked`: what the rule `connected` means for an input, and `widest` for an output."""
    if port.signal != "audio":
        return 1  # a control port carries one value per frame, a MIDI port one stream of messages
    if port.rule == "fixed":
        return max(port.channels, 1)
    if port.rule == "parameter":
        return int(config[port.channels_parameter])
    if port.rule == "follow":
        return follow
    return asked
