"""docs/node-types.md: every node type with its ports and parameters, from the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tonnetz.daemon.document_text import read_text, write_text
from tonnetz.daemon.graph.config import type_fields
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.node_catalogue import load_catalogue

from .markdown import code, either, plain, table

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CATEGORIES = ("source", "processor", "sink")

INTRODUCTION = """\
<!-- Made by docs/make.py from the node types themselves (csrc/nodes/, daemon/node_types/). Change the words there. -->

# Node types

What each type is told stands in a node's `config`. What is left out, or `null`, is as by default. Levels and gains are
in dB, times in ms or s, frequencies in Hz. The same page in a shell: `tonnetz types`, `tonnetz schema TYPE`; for
programs: [nodes.templates](methods.md#nodestemplates) and [nodes.schema](methods.md#nodesschema), a JSON Schema.

**A change of a parameter** that is *live* glides within the node, which remembers all it was doing. Where it is
*structure* another node takes over with a cross-fade, and what of the old one's memory fits it gets. A list's records
are live, and how many there are is structure.

**Channels of a port**: *its source's* are those of the widest source connected to it; *the node's* are those of the
widest source on any such input; 2 while nothing is connected. [Ports and channels](graph.md#ports-and-channels) says
what goes together.
"""


def page() -> str:
    specs = catalogue()
    lines = [INTRODUCTION, *table(["", "", ""], [_summary(spec) for spec in specs]), ""]
    lines[1:3] = ["| type | | |", "|---|---|---|"]
    for spec in specs:
        lines += _type(spec)
    return "\n".join(lines).rstrip("\n") + "\n"


def catalogue() -> list[NodeSpec]:
    """Sources, processors, sinks, each by name."""
    specs, _ = load_catalogue()
    return sorted(specs.values(), key=lambda spec: (CATEGORIES.index(spec.category), spec.type))


def _summary(spec: NodeSpec) -> tuple[str, str, str]:
    first, _, _ = spec.help.partition(". ")
    return f"[{spec.type}](#{spec.type})", spec.category, f"{first.rstrip('.')}."


def _type(spec: NodeSpec) -> Iterator[str]:
    yield from (f"## {spec.type}", "", f"*{spec.category.capitalize()}.* {spec.help}", "")
    ports = [
        (code(_port_name(port)), port.direction, port.signal, _channels(port), port.help + _open(port))
        for port in spec.ports
    ]
    yield from table(["port", "", "signal", "channels", ""], ports)
    yield ""
    if not spec.parameters:
        yield from ("It has no parameters.", "")
    else:
        defaults = type_fields(spec).defaults
        rows = [_parameter(parameter, defaults[parameter.name]) for parameter in spec.parameters]
        yield from (*table(["parameter", "values", "default", "change", ""], rows), "")
    for parameter in spec.parameters:
        if parameter.kind == "list":
            yield from (f"Each record of `{parameter.name}`:", "")
            records = [_parameter(field, field.default) for field in parameter.fields]
            yield from (*table(["field", "values", "default", "change", ""], records), "")
    yield from ("```yaml", write_text([example(spec)], "yaml").rstrip(), "```", "")


def _port_name(port: PortSpec) -> str:
    return port.name.replace("#", "1") + "` … `" + port.name.replace("#", "N") if port.repeat else port.name


def _open(port: PortSpec) -> str:
    return " May be left open." if port.optional and not port.repeat else ""


def _channels(port: PortSpec) -> str:
    if port.signal != "audio":
        return "1"
    match port.rule:
        case "fixed":
            return str(port.channels)
        case "parameter":
            return code(port.channels_parameter)
        case "follow":
            return "the node's"
        case "connected":
            return "its source's"
        case "widest":
            return f"the widest input's, at least {port.channels}"


def _parameter(parameter: ParameterSpec, default: Any) -> tuple[str, str, str, str, str]:
    change = "structure" if parameter.structure else "live"
    return code(parameter.name), _values(parameter), _default(parameter, default), change, parameter.help


def _values(parameter: ParameterSpec) -> str:
    match parameter.kind:
        case "choice":
            return either([code(choice) for choice in parameter.choices])
        case "bool":
            return "`true` or `false`"
        case "text":
            return "text"
        case "list":
            return f"{parameter.count_minimum} to {parameter.count_maximum} records"
        case "matrix":
            size = f"`{parameter.rows}` rows of `{parameter.columns}`"
            return f"{size}, each {_range(parameter)} or `null`"
        case "float" | "int":
            return ("whole, " if parameter.kind == "int" else "") + _range(parameter)


def _range(parameter: ParameterSpec) -> str:
    unit = f" {parameter.unit}" if parameter.unit else ""
    return f"{plain(parameter.minimum)} to {plain(parameter.maximum)}{unit}"


def _default(parameter: ParameterSpec, default: Any) -> str:
    if parameter.kind == "list":
        return f"{len(default)} of the default"
    if default is None and not parameter.optional and parameter.kind != "matrix":
        return "must be given"
    return code(default if parameter.kind in ("choice", "text") else plain(default))


# ---- Examples --------------------------------------------------------------------------------------------------------


def example(spec: NodeSpec) -> dict[str, Any]:
    """A node of this type as a graph document has it: the first in examples/, else one with a few of its defaults."""
    found = _examples().get(spec.type)
    if found is not None:
        return {key: found[key] for key in ("id", "type", "config") if key in found}
    defaults = type_fields(spec).defaults
    shown = [parameter.name for parameter in spec.parameters if defaults[parameter.name] is not None][:3]
    node: dict[str, Any] = {"id": f"{spec.type}_1", "type": spec.type}
    return node | ({"config": {name: defaults[name] for name in shown}} if shown else {})


@cache
def _examples() -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(EXAMPLES.glob("*.yaml")):
        data = read_text(path.read_text())
        nodes: Sequence[Any] = data.get("nodes", ()) if isinstance(data, dict) else data
        for node in nodes:
            if "type" in node:
                found.setdefault(node["type"], node)
    return found
