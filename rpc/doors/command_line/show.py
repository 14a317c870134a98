"""`tonnetz show`: the graph in the order sound flows, or one node with all there is to know of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from tonnetz.daemon.problems import Refusal, suggestion

from .completing import Completion
from .printing import outline, range_text
from .terminal import Terminal, aligned, counted
from .words import spelled

NodeData = Mapping[str, Any]
LOOK_S = 0.1  # the engine fills meters only after a first look: some blocks later they say something


@click.command(
    short_help="Show the graph, or one node with its levels.",
    help="""Show the graph in the order sound flows: nodes, their ports, and what is set other than by default.

    With a node: all its parameters, ports and levels, and what it costs.

    \b
    Examples:
      tonnetz show
      tonnetz show eq
    """,
)
@click.argument("node", required=False, shell_complete=Completion("node"))
@click.pass_obj
def command(terminal: Terminal, node: str | None) -> None:
    if node is None:
        graph, templates = terminal.batch(("graph.get", {}), ("nodes.templates", {}))
        terminal.print(graph, graph_text(graph, {template["type"]: template for template in templates}))
        return
    graph, _ = terminal.batch(("graph.get", {}), ("runtime.meters", {"nodes": []}))
    shown = next((candidate for candidate in graph["nodes"] if candidate["id"] == node), None)
    if shown is None:
        known = [candidate["id"] for candidate in graph["nodes"]]
        raise Refusal("not_found", f"There is no node '{node}'.{suggestion(node, known)}")
    time.sleep(LOOK_S)
    schema, meters, performance = terminal.batch(
        ("nodes.schema", {"type": shown["type"]}), ("runtime.meters", {"nodes": [node]}), ("runtime.performance", {})
    )
    wires = [wire for wire in graph["connections"] if node in (_node_of(wire["source"]), _node_of(wire["target"]))]
    cost = performance["nodes"].get(node)
    everything = {**shown, "connections": wires, "levels": meters[node], "cost": cost}
    block_ns = 1e9 * performance["block_frames"] / performance["sample_rate"]
    terminal.print(everything, node_text(everything, schema, block_ns))


def graph_text(graph: Mapping[str, Any], templates: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole graph, nodes in the order sound flows."""
    nodes, wires = graph["nodes"], graph["connections"]
    name = f"{graph['name']}, revision" if graph["name"] else "revision"
    lines = [f"{name} {graph['revision']}: {counted(len(nodes), 'node')}, {counted(len(wires), 'connection')}"]
    id_width = max((len(node["id"]) for node in nodes), default=0)
    type_width = max((len(node["type"]) for node in nodes), default=0)
    for node in in_flow_order(nodes, wires):
        label = f"  “{node['label']}”" if node["label"] else ""
        lines += ["", f"{node['id']:{id_width}}  {node['type']:{type_width}}  {state_text(node)}{label}"]
        settings = differing(node, templates.get(node["type"], {}))
        if settings:
            lines.append("  " + " ".join(settings))
        lines += aligned(port_rows(node, wires), "  ")
    return "\n".join(lines)


def node_text(node: NodeData, schema: Mapping[str, Any], block_ns: float) -> str:
    """One node: state, ports, levels, parameters with their ranges, cost."""
    label = f"  “{node['label']}”" if node["label"] else ""
    lines = [f"{node['id']}  {node['type']}  {state_text(node)}{label}", schema["description"], ""]
    lines += aligned(port_rows(node, node["connections"]), "  ")
    peaks, means = node["levels"]["peak_db"], node["levels"]["rms_db"]
    if peaks:
        lines += ["", f"  peak {levels_text(peaks)}", f"  rms  {levels_text(means)}"]
    lists = {key: value for key, value in node["config"].items() if is_table(value)}
    rows = [
        (key, spelled(value), range_text(schema["properties"].get(key, {})))
        for key, value in node["config"].items()
        if key not in lists
    ]
    if rows:
        lines += ["", *aligned(rows, "  ")]
    for key, records in lists.items():
        lines += ["", *aligned(table_rows(key, records), "  ")]
    if node.get("detail"):
        lines += ["", outline(node["detail"], "  ")]
    lines.append("")
    if node["latency"]:
        lines.append(f"  latency {counted(node['latency'], 'frame')}")
    cost = node["cost"]
    if cost and cost["blocks"]:
        average = cost["average_ns"]
        lines.append(f"  takes {average / 1000:.1f} µs a block, {100 * average / block_ns:.2f} % of its time")
    return "\n".join(lines).rstrip()


def state_text(node: NodeData) -> str:
    message = node.get("state_message", "")
    return f"{node['state']}: {message}" if message else str(node["state"])


def levels_text(levels: Sequence[float | None]) -> str:
    return "  ".join("silence" if level is None else f"{level:.1f}" for level in levels) + " dBFS"


def port_rows(node: NodeData, wires: Sequence[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """Each port with its channels and what it is connected with; unconnected control ports are left out."""
    rows = []
    for port in node["ports"]:
        own = f"{node['id']}.{port['name']}"
        if port["direction"] == "input":
            others = [wire["source"] for wire in wires if wire["target"] == own]
            arrow = "←"
        else:
            others = [wire["target"] for wire in wires if wire["source"] == own]
            arrow = "→"
        if port["signal"] == "audio" or others:
            kind = f"{port['channels']} ch" if port["signal"] == "audio" else port["signal"]
            rows.append((port["name"], kind, f"{arrow} {', '.join(others)}" if others else ""))
    return rows


def differing(node: NodeData, template: Mapping[str, Any]) -> list[str]:
    """What is set other than by default, as it can be typed after `tonnetz set`."""
    specs = {spec["name"]: spec for spec in template.get("parameters", [])}
    words = []
    for key, value in node["config"].items():
        spec = specs.get(key, {})
        default = spec.get("default")
        if value == default:
            continue
        if isinstance(value, list) and spec.get("fields"):
            words += list_words(key, value, spec["fields"], default)
        else:
            words.append(f"{key}={spelled(value)}")
    return words


def list_words(key: str, records: Sequence[Mapping[str, Any]], fields: Sequence[Any], default: Any) -> list[str]:
    """The records of a list, only with what is not each field's default; a list of plain records with their number."""
    defaults = {field["name"]: field.get("default") for field in fields}
    words = [
        f"{key}.{i}.{name}={spelled(value)}"
        for i, record in enumerate(records)
        for name, value in record.items()
        if value != defaults.get(name)
    ]
    return words or ([f"({counted(len(records), 'record')} in {key})"] if len(records) != len(default or []) else [])


def is_table(value: Any) -> bool:
    """Whether this is a list of records, such as an equalizer's bands."""
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def table_rows(name: str, records: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A list of records as a table: a line each, numbered as `tonnetz set` counts them."""
    return [
        (name, *records[0]),
        *((f"{name}.{i}", *(spelled(value) for value in record.values())) for i, record in enumerate(records)),
    ]


def in_flow_order(nodes: Sequence[NodeData], wires: Sequence[Mapping[str, str]]) -> list[NodeData]:
    """Each node after what feeds it, and otherwise in the order they were added, chain after chain."""
    feeders: dict[str, set[str]] = {node["id"]: set() for node in nodes}
    for wire in wires:
        feeders[_node_of(wire["target"])].add(_node_of(wire["source"]))
    by_id = {node["id"]: node for node in nodes}
    placed: dict[str, NodeData] = {}
    for node in nodes:
        waiting = [node["id"]]
        while waiting:  # what feeds a node comes before it
            missing = [feeder for feeder in feeders[waiting[-1]] if feeder not in placed and feeder not in waiting]
            if missing:
                waiting += sorted(missing, key=list(by_id).index, reverse=True)[-1:]
            else:
                last = waiting.pop()
                placed.setdefault(last, by_id[last])
    return list(placed.values())


def _node_of(port: str) -> str:
    return port.partition(".")[0]
