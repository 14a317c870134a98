"""Results as people read them: aligned and calm.

The form is chosen by a method's result type, and what has no form of its own is printed as an outline, so a new method
needs nothing here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tonnetz.daemon.receipt import Receipt
from tonnetz.rpc.methods.debug import Samples, Trace
from tonnetz.rpc.methods.devices import Abilities, DeviceList, Mixer
from tonnetz.rpc.methods.graph import Validation
from tonnetz.rpc.methods.graph_diff import Differences
from tonnetz.rpc.methods.history import HistoryEntry
from tonnetz.rpc.methods.nodes import ConfigSchema, NodeTest, Template
from tonnetz.rpc.methods.runtime import RuntimeStatus
from tonnetz.rpc.methods.snapshots import SnapshotView
from tonnetz.rpc.methods.templates import TemplateView
from tonnetz.rpc.route import Blob

from .sound_text import samples_text, trace_text
from .terminal import aligned, counted, problem_text
from .words import spelled


def text_of(kind: Any, result: Any, dry_run: bool = False) -> str:
    """The text of a result of this declared type; empty when there is nothing to say."""
    if kind is Receipt:
        return receipt(result, dry_run)
    printer = PRINTERS.get(kind)
    return printer(result) if printer else outline(result)


def failed(kind: Any, result: Any) -> bool:
    """Whether the result itself says no, as that of a validation or a test does."""
    return (kind is Validation and not result["valid"]) or (kind is NodeTest and not result["ok"])


def outline(value: Any, indent: str = "") -> str:
    """Any JSON value, indented, with short names first."""
    if value is None or value == {} or value == []:
        return ""
    if isinstance(value, str) and not indent:
        return value.rstrip("\n")
    if isinstance(value, dict):
        flat = {key: inner for key, inner in value.items() if not isinstance(inner, dict | list) or not inner}
        deep = {key: inner for key, inner in value.items() if key not in flat}
        lines = aligned([(str(key), spelled(inner)) for key, inner in flat.items()], indent)
        for key, inner in deep.items():
            lines += [f"{indent}{key}", outline(inner, indent + "  ")]
        return "\n".join(lines)
    if isinstance(value, list):
        flat_items = all(not isinstance(item, dict | list) for item in value)
        texts = [f"{indent}{spelled(item)}" if flat_items else outline(item, indent) for item in value]
        return "\n".join(texts)
    return f"{indent}{spelled(value)}"


def receipt(result: Mapping[str, Any], dry_run: bool) -> str:
    lines = [f"revision {result['revision']}, from frame {result['frame']} on (block {result['block']})"]
    if dry_run:
        lines = ["accepted; a dry run, so nothing was changed"]
    if result["ids"]:
        lines.append(", ".join(result["ids"]))
    fresh = [node for node, carried in result["state_carried"].items() if not carried]
    if fresh:
        lines.append(f"{', '.join(fresh)}: begins afresh, what was there before could not hand its state over")
    lines += [f"note: {warning}" for warning in result["warnings"]]
    return "\n".join(lines)


def validation(result: Mapping[str, Any]) -> str:
    lines = [f"  {problem_text(problem)}" for problem in result["problems"]]
    lines.insert(0, "valid" if result["valid"] else f"not valid, {counted(len(lines), 'problem')}:")
    return "\n".join([*lines, *(f"note: {warning}" for warning in result["warnings"])])


def runtime_status(result: Mapping[str, Any]) -> str:
    late = result["late_blocks"]
    size = f"{counted(result['nodes'], 'node')}, {counted(result['connections'], 'connection')}"
    rows = [
        ("engine", result["state"]),
        ("revision", f"{result['revision']} ({size})"),
        ("time", f"{clock_text(result['time_s'])} (frame {result['frame']})"),
        ("format", f"{result['sample_rate']} Hz, blocks of {result['block_frames']} frames, clock {result['clock']}"),
        ("load", f"{100 * result['load']:.1f} %"),
        ("late blocks", str(late or "none")),
        ("storage", storage_text(result["storage"])),
    ]
    lines = aligned(rows)
    lines += [f"note: {note}" for note in result["storage"]["notes"]]
    troubled = result["not_running"]
    if troubled:
        lines += ["", "nodes not running"]
        lines += aligned([(node["id"], node["type"], node["state"], node["message"]) for node in troubled], "  ")
    return "\n".join(lines)


def storage_text(storage: Mapping[str, Any]) -> str:
    words = {"ok": "ok", "off": "off: nothing outlives the daemon", "refusing": "refusing changes"}[storage["state"]]
    return f"{words}: {storage['message']}" if storage["message"] else words


def clock_text(seconds: float) -> str:
    """`0:00:01.25`, hours first."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{int((seconds - whole) * 100):02d}"


def templates(result: Sequence[Mapping[str, Any]]) -> str:
    lines: list[str] = []
    for category in dict.fromkeys(template["category"] for template in result):
        within = [template for template in result if template["category"] == category]
        lines += ["", f"{category}s"]
        lines += aligned([(template["type"], first_sentence(template["help"])) for template in within], "  ")
    return "\n".join([*lines, "", "`tonnetz schema TYPE` shows what one can be told."]).lstrip("\n")


def first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def config_schema(schema: Mapping[str, Any]) -> str:
    rows = _parameter_rows(schema, "")
    lines = [schema["description"], ""]
    lines += aligned(rows, width=shutil.get_terminal_size().columns) if rows else ["It has no parameters."]
    structural = [name for name, prop in schema["properties"].items() if prop.get("x-live") is False]
    if structural:
        lines += ["", f"A change of {', '.join(structural)} makes the node anew, with a cross-fade; all else is live."]
    return "\n".join(lines)


def _parameter_rows(schema: Mapping[str, Any], prefix: str) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, prop in schema["properties"].items():
        default = spelled(prop["default"]) if "default" in prop and not isinstance(prop["default"], list) else ""
        rows.append((f"{prefix}{name}", default, range_text(prop), prop["description"]))
        if isinstance(prop.get("items"), dict) and "properties" in prop["items"]:
            rows += _parameter_rows(prop["items"], f"{prefix}{name}.N.")
    return rows


def range_text(prop: Mapping[str, Any]) -> str:
    """`-60 to 24 dB`, `sine|square|saw`, `true|false`, `1 to 32 records`; empty for what is not known."""
    if not prop:
        return ""
    kinds = prop.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    unit = f" {prop['x-unit']}" if prop.get("x-unit") else ""
    if "enum" in prop:
        return "|".join(choice for choice in prop["enum"] if choice is not None)
    if kind == "boolean":
        return "true|false"
    if kind == "array" and "minItems" in prop:
        return f"{prop['minItems']} to {prop['maxItems']} records"
    if kind == "array":
        return "rows of numbers"
    if "minimum" in prop and "maximum" in prop:
        return f"{spelled(prop['minimum'])} to {spelled(prop['maximum'])}{unit}"
    return "text" if kind == "string" else f"{kind}{unit}"


def node_test(result: Mapping[str, Any]) -> str:
    problems = [problem_text(problem) for problem in result["problems"]]
    lines = problems or [result["message"]]
    lines += [outline(result["found"], "  ")] if result["found"] else []
    return "\n".join([*lines, f"It took {result['duration_ms']:.0f} ms."])


def device_list(result: Mapping[str, Any]) -> str:
    lines = ["cards"]
    lines += aligned([(str(card["index"]), card["id"], card["long_name"]) for card in result["cards"]], "  ") or [
        "  none"
    ]
    rows = []
    for device in result["devices"]:
        used = f"used by {', '.join(device['used_by'])}" if device["used_by"] else ""
        said = device["description"] if device["listed"] else "not listed by ALSA"
        rows.append((device["name"], " ".join(device["directions"]), used, said))
    return "\n".join([*lines, "", "devices", *aligned(rows, "  ")])


def abilities(result: Mapping[str, Any]) -> str:
    rows = [("formats", " ".join(result["formats"])), ("rates", " ".join(map(str, result["rates"])))]
    for name in ("rate", "channels", "period_frames", "periods", "buffer_frames"):
        low, high = result[name]["minimum"], result[name]["maximum"]
        rows.append((name, str(low) if low == high else f"{low} to {high}"))
    return "\n".join(aligned(rows, width=shutil.get_terminal_size().columns))


def mixer(result: Mapping[str, Any]) -> str:
    rows = []
    for control in result["controls"]:
        name = control["control"] + (f" {control['index']}" if control["index"] else "")
        low, high = control["range_db"] or (None, None)
        level = f"{per_channel(control['volume_db'])} dB, {low:g} to {high:g}" if control["volume_db"] else ""
        volume = f"{per_channel(control['volume'])} %" if control["volume"] else ""
        rows.append((name, control["direction"], volume, "muted" if any(control["mute"] or ()) else "", level))
    return "\n".join([result["mixer"], *(aligned(rows, "  ") or ["  no controls"])])


def per_channel(values: Sequence[float]) -> str:
    """One value where all channels have it."""
    return "/".join(f"{value:g}" for value in dict.fromkeys(values))


def history(result: Sequence[Mapping[str, Any]]) -> str:
    """Newest first, as the method gives it: what, when, who, and which places."""
    rows = []
    for entry in result:
        places = ", ".join(entry["changed"][:3]) + (", …" if entry["changes"] > 3 else "")
        words = f"{entry['label']}: {places}" if entry["label"] and places else entry["label"] or places or "nothing"
        undone = " (undone)" if entry["undone"] else ""
        rows.append((str(entry["revision"]), entry["time"], entry["author"], f"{words}{undone}"))
    return "\n".join(aligned(rows, width=shutil.get_terminal_size().columns)) or "nothing was changed yet"


def snapshots(result: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (one["name"], one["time"], one["author"], f"revision {one['revision']}", counted(one["nodes"], "node"))
        for one in result
    ]
    return "\n".join(aligned(rows)) or "There are none; `tonnetz snapshot NAME` takes one."


def saved_templates(result: Sequence[Mapping[str, Any]]) -> str:
    rows = [(one["name"], ", ".join(node["id"] for node in one["nodes"]), one["help"]) for one in result]
    return "\n".join(aligned(rows)) or "There are none; `tonnetz call templates.save name=… nodes=[…]` makes one."


def differences(result: Mapping[str, Any]) -> str:
    """`+` came, `-` went, else from what to what."""
    marks = {"node_added": "+", "connected": "+", "node_removed": "-", "disconnected": "-"}
    lines = []
    for change in result["changes"]:
        mark = marks.get(change["kind"], "~")
        ends = (change["before"], change["after"])
        if change["kind"] == "node_replaced":
            ends = (change["before"]["type"], change["after"]["type"])
        lines.append(
            f"{mark} {change['place']}" + (f": {spelled(ends[0])} → {spelled(ends[1])}" if mark == "~" else "")
        )
    return "\n".join(lines) or "no difference"


PRINTERS: dict[Any, Callable[[Any], str]] = {
    Validation: validation,
    RuntimeStatus: runtime_status,
    list[Template]: templates,
    ConfigSchema: config_schema,
    Samples | Blob: samples_text,
    Trace: trace_text,
    NodeTest: node_test,
    DeviceList: device_list,
    Abilities: abilities,
    Mixer: mixer,
    list[HistoryEntry]: history,
    list[SnapshotView]: snapshots,
    list[TemplateView]: saved_templates,
    Differences: differences,
}
