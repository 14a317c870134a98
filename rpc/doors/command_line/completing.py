"""Completion with what the daemon knows right now: node ids, ports and node types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from tonnetz.daemon.graph.edits import NodeId, PortName, TypeName
from tonnetz.rpc.client import Client, TonnetzError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

KINDS = {NodeId: "node", PortName: "port", TypeName: "type"}
SOCKET = "tonnetz.socket"  # where click's context keeps the path given with --socket
TIMEOUT_S = 1.0  # whoever presses Tab waits no longer; no daemon, no suggestions


class Completion:
    """What to suggest for an argument: `node`, `port` or `type`."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # only when completing

        try:
            with Client(context.meta.get(SOCKET), TIMEOUT_S) as client:
                words = WORDS[self.what](client)
        except TonnetzError:
            return []
        return [CompletionItem(word, help=help) for word, help in words if word.startswith(incomplete)]


def completion_of(kind: Any) -> Completion | None:
    """The completion for a parameter of this type, seen through `| None`."""
    what = KINDS.get(kind) or next((KINDS[part] for part in get_args(kind) if part in KINDS), None)
    return Completion(what) if what else None


def _nodes(client: Client) -> list[tuple[str, str]]:
    return [(node["id"], node.get("label") or node["type"]) for node in client.call("graph.get")["nodes"]]


def _ports(client: Client) -> list[tuple[str, str]]:
    nodes = client.call("graph.get")["nodes"]
    return [(f"{node['id']}.{port['name']}", port["direction"]) for node in nodes for port in node["ports"]]


def _types(client: Client) -> list[tuple[str, str]]:
    return [(template["type"], template["help"]) for template in client.call("nodes.templates")]


WORDS = {"node": _nodes, "port": _ports, "type": _types}
