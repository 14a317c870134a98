"""Loops: connections that lead back to where they came from. A graph of blocks can't have any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from .model import Connection, Graph

REPORTED = 16  # loops whose path is looked for; whoever sends more has one mistake to find


class Loops(msgspec.Struct, frozen=True):
    """`closing`: connections without which no loop is left. `paths`: for the first few of them, a shortest loop."""

    closing: tuple[Connection, ...]
    paths: tuple[tuple[Connection, ...], ...]


def loops(graph: Graph, made: Iterable[Connection] | None = None) -> Loops:
    """The loops in a graph, or, given the connections made since it had none, those that they close."""
    incoming, outgoing = graph.incoming, graph.outgoing
    if made is None:
        starts: Iterable[str] = outgoing
    else:  # a loop leads through one of them: into its source and out of its target
        starts = [c.target_node for c in made if c.source_node in incoming and c.target_node in outgoing]
    closing = tuple(_closing(graph, starts))
    paths = {frozenset(c.id for c in path): path for path in (_shortest(graph, c) for c in closing[:REPORTED])}
    return Loops(closing, tuple(paths.values()))


def _closing(graph: Graph, starts: Iterable[str]) -> Iterator[Connection]:
    """Depth-first from `starts`: the connections that lead back onto the path being walked."""
    outgoing = graph.outgoing
    done: set[str] = set()
    for start in starts:
        if start in done:
            continue
        walked = {start: iter(outgoing.get(start, ()))}  # the path, and what is left to try at each node
        here = start
        while walked:
            for connection in walked[here]:
                there = connection.target.partition(".")[0]
                if there in walked:
                    yield connection
                elif there not in done:
                    if there in outgoing:
                        walked[there] = iter(outgoing[there])
                        here = there
                        break
                    done.add(there)
            else:
                done.add(here)
                walked.popitem()  # it is the last; unlike `del` this leaves no gap for `reversed` to cross
                if walked:
                    here = next(reversed(walked))


def _shortest(graph: Graph, closing: Connection) -> tuple[Connection, ...]:
    """The shortest loop through a connection that is in one, beginning with it."""
    start, goal = closing.target_node, closing.source_node
    came_by: dict[str, Connection] = {}
    waiting = [start]
    for node in waiting:  # grows
        if node == goal:
            break
        for connection in graph.outgoing.get(node, ()):
            there = connection.target_node
            if there not in came_by and there != start:
                came_by[there] = connection
                waiting.append(there)
    path = []
    while goal != start:
        path.append(came_by[goal])
        goal = came_by[goal].source_node
    return (closing, *reversed(path))
