"""Parts of graphs, and putting a copy of one into a graph, under ids that are free."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import msgspec

from .edits import AnyEdit, Connect, Wiring, addition
from .model import CANVAS, Connection, Graph, Node, Position


def part_of(graph: Graph, node_ids: Collection[str]) -> Graph:
    """Some nodes of a graph, and the connections between them."""
    wanted = set(node_ids)
    nodes = {node_id: graph.nodes[node_id] for node_id in graph.nodes if node_id in wanted}
    connections = {
        name: wire
        for name, wire in graph.connections.items()
        if wire.source_node in wanted and wire.target_node in wanted
    }
    return Graph(name=graph.name, nodes=nodes, connections=connections)


def grafting(
    graph: Graph, part: Graph, shift: tuple[float, float], wiring: Wiring = "inside"
) -> tuple[list[AnyEdit], dict[str, str]]:
    """The edits that put a copy of a part into a graph, its positions shifted; the copies' ids by those in the part.

    Where the part is of this graph, `inputs` also connects to the copies what feeds the originals from elsewhere, and
    `all` connects what they feed as well.
    """
    ids = _free_ids(graph, part)
    edits: list[AnyEdit] = [addition(_moved(node, ids[node.id], shift)) for node in part.nodes.values()]
    for wire in (*part.connections.values(), *_around(graph, part, wiring)):
        source = f"{ids.get(wire.source_node, wire.source_node)}.{wire.source_port}"
        target = f"{ids.get(wire.target_node, wire.target_node)}.{wire.target_port}"
        edits.append(Connect(source=source, target=target))
    return edits, ids


def _around(graph: Graph, part: Graph, wiring: Wiring) -> Iterable[Connection]:
    for wire in graph.connections.values():
        comes_in = wire.target_node in part.nodes and wire.source_node not in part.nodes
        goes_out = wire.source_node in part.nodes and wire.target_node not in part.nodes
        if (comes_in and wiring != "inside") or (goes_out and wiring == "all"):
            yield wire


def _moved(node: Node, node_id: str, shift: tuple[float, float]) -> Node:
    position = node.position
    if position is not None:
        x, y = (max(-CANVAS, min(CANVAS, at + by)) for at, by in zip((position.x, position.y), shift, strict=True))
        position = Position(x, y)
    return msgspec.structs.replace(node, id=node_id, position=position)


def _free_ids(graph: Graph, part: Graph) -> dict[str, str]:
    """`eq` where that is free, else `eq_2`; `tone_1` becomes the next tone that there is none of."""
    taken = set(graph.nodes)
    ids: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for node_id in part.nodes:
        free = node_id
        stem = re.sub(r"_\d+$", "", node_id)
        while free in taken:
            numbers[stem] = numbers.get(stem, 1) + 1
            suffix = f"_{numbers[stem]}"
            free = stem[: 63 - len(suffix)] + suffix
        taken.add(free)
        ids[node_id] = free
    return ids
