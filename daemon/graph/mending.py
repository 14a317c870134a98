"""A graph that another version of the program has stored, as the node types of today allow it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..problems import Problem, Refusal
from .document import VERSION, parse_document
from .model import Graph
from .rules import Limits
from .spec import Catalogue


def mended(graph: Graph, catalogue: Catalogue, limits: Limits) -> tuple[Graph, list[str]]:
    """The graph as the node types of today allow it: what they do not know is left out, and named.

    Usually all is right, and only parameters that are new to a type are filled in.
    """
    notes: list[str] = []
    document: dict[str, Any] = {
        "version": VERSION,
        "name": graph.name,
        "nodes": [msgspec.to_builtins(node) for node in graph.nodes.values()],
        "connections": [{"source": wire.source, "target": wire.target} for wire in graph.connections.values()],
    }
    while True:
        try:
            return parse_document(document, catalogue, limits), notes
        except Refusal as refusal:
            left_out = [note for problem in refusal.problems for note in _left_out(document, problem)]
            if not left_out:
                return Graph(name=graph.name), [*notes, f"The stored graph can't be used: {refusal.message}"]
            notes += left_out
            _clear(document)


def _left_out(document: dict[str, Any], problem: Problem) -> list[str]:
    """Takes what the problem is about out of the document: a parameter, a node, a connection. None in its place."""
    found = re.match(r"(nodes|connections)\[(\d+)\](?:\.config\.(\w+))?", problem.where)
    if not found or (entry := document[found[1]][int(found[2])]) is None:
        return []
    if found[3] and entry["config"].pop(found[3], None) is not None:
        return [f"Of the stored node {entry['id']} the parameter {found[3]} was set to its default: {problem.message}"]
    document[found[1]][int(found[2])] = None
    name = entry.get("id") or f"{entry['source']}:{entry['target']}"
    return [f"Of the stored graph {name} was left out: {problem.message}"]


def _clear(document: dict[str, Any]) -> None:
    """Closes the gaps; connections of nodes that are gone go too."""
    document["nodes"] = [node for node in document["nodes"] if node is not None]
    there = {node["id"] for node in document["nodes"]}
    document["connections"] = [
        wire
        for wire in document["connections"]
        if wire is not None and {wire["source"].partition(".")[0], wire["target"].partition(".")[0]} <= there
    ]
