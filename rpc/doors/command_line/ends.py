"""Ports as people name them: `eq` alone is enough where a node has one input or output that can be meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import click

from tonnetz.daemon.problems import Problem, Refusal, refuse, suggestion

Graph = Mapping[str, Any]


def pairs(graph: Graph, chain: Sequence[str]) -> list[tuple[str, str]]:
    """The connections that a chain names, as (source, target): `mic eq mix.in_1` is two.

    What is not there is refused, as the daemon would refuse it; a name that may mean several is a UsageError."""
    return [(port(graph, source, "output"), port(graph, target, "input")) for source, target in pairwise(chain)]


def port(graph: Graph, name: str, direction: str) -> str:
    """`node.port` for a name; a port of the other direction, in the middle of a chain, stands for its node."""
    node_id, dot, port_name = name.partition(".")
    node = next((node for node in graph["nodes"] if node["id"] == node_id), None)
    if node is None:
        known = [node["id"] for node in graph["nodes"]]
        raise Refusal("not_found", f"There is no node '{node_id}'.{suggestion(node_id, known)}")
    ports = [port for port in node["ports"] if port["direction"] == direction]
    if dot and any(port["name"] == port_name for port in ports):
        return name
    if dot and not any(port["name"] == port_name for port in node["ports"]):
        known = [f"{node_id}.{port['name']}" for port in ports]
        raise _unknown_port(f"There is no {direction} '{name}'.{suggestion(name, known)}")
    main = [port for port in ports if port["name"] in ("in", "out")] or ports
    if len(main) == 1:
        return f"{node_id}.{main[0]['name']}"
    if not main:
        raise _unknown_port(f"{node_id}, of type {node['type']}, has no {direction}.")
    taken = {connection["target"] for connection in graph["connections"]}
    names = [f"{node_id}.{port['name']}" for port in main]
    free = [name for name in names if name not in taken] or names
    raise click.UsageError(f"{node_id} has {len(main)} {direction}s; say which, such as {free[0]}.")


def _unknown_port(message: str) -> Refusal:
    return refuse("invalid_graph", [Problem("unknown_port", message)])


def between(graph: Graph, source: str, target: str) -> list[str]:
    """The ids of the connections between two ports or nodes. A Refusal if there is none."""
    found = [
        connection["id"]
        for connection in graph["connections"]
        if _covers(source, connection["source"]) and _covers(target, connection["target"])
    ]
    if not found:
        raise Refusal("not_found", f"Nothing connects {source} to {target}; `tonnetz show` lists the connections.")
    return found


def _covers(name: str, port: str) -> bool:
    """Whether a node or port name means this port."""
    return port == name if "." in name else port.partition(".")[0] == name
