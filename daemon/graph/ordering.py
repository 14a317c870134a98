"""One order for a graph's nodes and connections that depends on the graph alone: not on how it came about, so that the
text of an unchanged graph is unchanged, and what differs between two texts differs between the graphs."""

from __future__ import annotations

import heapq
import re

import msgspec

from .model import Connection, Graph

Rank = tuple[str, int, str]


def in_order(graph: Graph) -> Graph:
    """The same graph: nodes in the order sound flows, those that could change places by name (`tone_2` before
    `tone_10`); connections by their source, then by their target."""
    waiting = {node_id: len(wires) for node_id, wires in graph.incoming.items()}
    ready = [(_rank(node_id), node_id) for node_id in graph.nodes if node_id not in waiting]
    heapq.heapify(ready)
    place: dict[str, int] = {}
    while ready:
        _, node_id = heapq.heappop(ready)
        place[node_id] = len(place)
        for wire in graph.outgoing.get(node_id, ()):
            target = wire.target_node
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(ready, (_rank(target), target))

    def by_source(wire: Connection) -> tuple[int, Rank, int, Rank]:
        return place[wire.source_node], _rank(wire.source_port), place[wire.target_node], _rank(wire.target_port)

    nodes = {node_id: graph.nodes[node_id] for node_id in place}
    connections = {wire.id: wire for wire in sorted(graph.connections.values(), key=by_source)}
    return msgspec.structs.replace(graph, nodes=nodes, connections=connections)


def _rank(name: str) -> Rank:
    """Names by their words, and then by their number."""
    found = re.fullmatch(r"(.*?)(\d*)", name)
    words, number = (found[1], found[2]) if found else (name, "")
    return words, int(number or 0), name
