"""docs/methods.md: every control method, with its types, errors and events, from the method table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tonnetz.daemon import devices
from tonnetz.daemon.annotations import metas
from tonnetz.daemon.endpoints.alsa_worker.asking import AlsaWorker
from tonnetz.daemon.event_names import EVENT_NAMES
from tonnetz.daemon.event_types import Told, event_type
from tonnetz.daemon.graph.edits import NodeId, PortName
from tonnetz.daemon.probing import buffers, injecting, places, taps, tracing
from tonnetz.daemon.problems import ERROR_KINDS
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.runtime import Runtime
from tonnetz.daemon.schedule import Schedule
from tonnetz.rpc.method_table import Method, load_methods
from tonnetz.rpc.openrpc import openrpc_document

from .markdown import code, either, plain, schema_words, slug, table, type_slug
from .requests import request

INTRODUCTION = f"""\
<!-- Made by docs/make.py from the method table (rpc/methods/). Change the words there. -->

# Methods

All that the daemon can be asked, at any door. [Control](control.md) says how a request is sent, and what roles are.
Parameters go by name or by position, in the order given here. Each example is what the shell line above it sends.

A *name* (of a node, of a type) is written `{next(metas(NodeId)).pattern}`, a *node.port*
`{next(metas(PortName)).pattern}`. Numbers are JSON numbers; there is no NaN and no infinity.
"""

ERRORS: Mapping[str, str] = {
    "parse_error": "The message is no JSON.",
    "invalid_request": "It is JSON, and no JSON-RPC 2.0 request; or it is too large or too deeply nested.",
    "method_not_found": "There is no such method.",
    "invalid_params": "Parameters are missing, unknown, of a wrong type or out of range; or a text is no YAML or JSON.",
    "internal_error": "A fault of the daemon. Its log has the rest.",
    "not_found": "No such node, connection, node type, file, device or control.",
    "conflict": "The graph, or the engine's state, is another than the request needs.",
    "invalid_graph": "The graph would break a rule.",
    "invalid_config": "A node's configuration can't be so.",
    "forbidden": "The caller's role does not reach so far, or a path leads out of the media folders.",
    "unavailable": "Not now, or not at this door.",
    "timeout": "The engine, or a device, did not answer in time. Of the first `runtime.status` tells more.",
}

KINDS: Mapping[str, str] = {
    "malformed": "not of the shape that is read here",
    "unknown_key": "a key that a document, an edit or a record does not have",
    "missing_key": "a key that has to be there",
    "alternatives": "of several ways to say it more than one is given, or none",
    "unknown_edit": "no such edit",
    "missing_parameter": "of a method: it has to be given",
    "unknown_parameter": "of a method, a node type or the configuration: there is none of this name",
    "too_many_parameters": "more by position than the method has",
    "wrong_type": "a value of another type",
    "invalid_value": "a value of the right type that can't be taken",
    "out_of_range": "a number, a text or a list beyond its bounds, which are in `data`",
    "unknown_choice": "none of the choices, which are in `data`",
    "missing": "a parameter of a node that has no default",
    "unfit_state": "a state of another type, or of a node with other channels or another structure",
    "unknown_type": "no such node type",
    "unknown_node": "no such node",
    "unknown_port": "the node has no such port, or would lose one that is connected",
    "unknown_connection": "no such connection",
    "not_found": "no such group of users",
    "id_taken": "a node of this id is there",
    "stale_place": "a place in a list that has other records than at the base revision",
    "duplicate": "it is there already",
    "direction": "an input where an output is meant, or the other way round",
    "type_mismatch": "audio into control, or the other way round",
    "channel_mismatch": "channel counts that do not go together; `data.cure` may name the type that helps",
    "cycle": "a loop; `data.path` names the nodes it goes through",
    "limit": "too large, too many, too deep; the limit is in `data`",
    "forbidden": "a path outside the media folders",
    "more": "there are more problems than are told",
}

# In the order in which the page tells of them. Those to come go last.
NOUNS = (
    "graph",
    "schedule",
    "history",
    "snapshots",
    "templates",
    "nodes",
    "devices",
    "runtime",
    "debug",
    "events",
    "presence",
    "system",
    "rpc",
)
TRANSACTION = ("not_found", "conflict", "invalid_graph", "invalid_config", "forbidden", "unavailable", "timeout")

BEHIND: Mapping[str, type] = {"runtime": Runtime, "schedule": Schedule}  # what the methods of a noun are handed on to


# The daemon's files that do a method's work, where it is in none of its own.
WORKERS: Mapping[str, Sequence[Any]] = {
    "debug.buffer": (buffers, taps, places),
    "debug.inject": (injecting, places),
    "debug.trace": (tracing, places.known_part),
}


def page() -> str:
    methods = in_order()
    described = {method["name"]: method for method in openrpc_document()["methods"]}
    lines = [INTRODUCTION, "| method | role | |", "|---|---|---|"]
    lines += [f"| [{m.name}](#{slug(m.name)}) | {m.role} | {m.summary} |" for m in methods]
    noun = ""
    for method in methods:
        if method.noun != noun:
            noun = method.noun
            lines += ["", f"## {noun}"]
        lines += _method(method, described[method.name])
    lines += _types()
    lines += _events()
    lines += _errors()
    return "\n".join(lines) + "\n"


def in_order() -> list[Method]:
    """By noun, then as declared. The table itself is in the order in which its files happened to be imported."""

    def key(method: Method) -> tuple[int, str, str, int]:
        place = NOUNS.index(method.noun) if method.noun in NOUNS else len(NOUNS)
        code = method.function.__code__
        return place, method.noun, code.co_filename, code.co_firstlineno

    return sorted(load_methods().values(), key=key)


def _method(method: Method, described: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"### {method.name}", "", *_signature(method, described), "", method.text, "")
    facts = [f"Role: {method.role}."]
    if method.name.startswith("events.") or method.name == "presence.set":
        facts.append("Needs a connection that lasts.")
    facts.append(f"Errors: {_errors_in_words(method)}.")
    yield " ".join(facts)
    if method.parameters:
        rows = [_parameter(parameter) for parameter in described["params"]]
        yield from ("", *table(["parameter", "values", "default", ""], rows))
    if method.http is not None:
        yield from ("", f"Over HTTP: `{method.http.usage}`")
    if method.shell is not None:
        yield from ("", f"In a shell: `{method.shell.example}`")
    yield from ("", "```json", msgspec.json.encode(request(method)).decode(), "```")


def _signature(method: Method, described: Mapping[str, Any]) -> list[str]:
    words = [
        parameter.name if parameter.required else f"{parameter.name}={plain(msgspec.to_builtins(parameter.default))}"
        for parameter in method.parameters
    ]
    result = schema_words(described["result"]["schema"])
    return [f"`{method.verb}({', '.join(words)})` → {result}"]


def _parameter(described: Mapping[str, Any]) -> tuple[str, str, str, str]:
    schema = described["schema"]
    default = "must be given" if described["required"] else code(plain(schema["default"]))
    meaning = described.get("description", "")
    return code(described["name"]), schema_words(schema), default, meaning[:1].upper() + meaning[1:]


# ---- Errors ----------------------------------------------------------------------------------------------------------


def errors(method: Method) -> list[str]:
    """The errors a method may answer with, beside the protocol's own: from its types, and from what it refuses."""
    found = set(re.findall(r'(?:Refusal|refuse)\(\s*"(\w+)"', _source(method)))
    if method.result is Receipt:
        found.update(TRANSACTION)
    if method.parameters:
        found.add("invalid_params")
    if method.role != "viewer":
        found.add("forbidden")
    return [name for name in ERROR_KINDS if name in found]


def _errors_in_words(method: Method) -> str:
    found = errors(method)
    if method.result is Receipt:
        own = [name for name in found if name not in TRANSACTION]
        return ", ".join([*map(code, own), "those of [every transaction](#errors)"])
    return ", ".join(map(code, found)) or "none of its own"


def _source(method: Method) -> str:
    """The source of a method, of the functions beside it that it uses, and of what it does with engine or devices."""
    function: Any = method.function
    used = [function.__globals__.get(name) for name in function.__code__.co_names]
    beside: list[Any] = [one for one in used if inspect.isfunction(one) and one.__module__ == function.__module__]
    if method.noun in BEHIND:
        beside.append(getattr(BEHIND[method.noun], method.verb))
    if method.noun == "devices":
        beside += [AlsaWorker, devices] if method.parameter("device") else [AlsaWorker._ask_in_turn]
    beside += WORKERS.get(method.name, ())
    return "".join(inspect.getsource(one) for one in [function, *beside])


def _errors() -> Iterator[str]:
    assert set(ERRORS) == set(ERROR_KINDS), "docs/making/methods.py explains every error, and no others"
    yield from ("", "## Errors", "")
    yield "`error.data.name` is the stable name. What is wrong, one by one, stands in `error.data.problems`, a list of"
    yield "[Problem](#problem): its `kind`, its `message` for people, and `where` in the request it is."
    yield from ("", "| code | name | |", "|---|---|---|")
    yield from (f"| {kind.code} | `{name}` | {ERRORS[name]} |" for name, kind in ERROR_KINDS.items())
    yield from ("", f"Every transaction may be refused as {either([code(name) for name in TRANSACTION])}.")
    yield from ("", "Kinds of problems:", "", "| kind | |", "|---|---|")
    yield from (f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items())


# ---- Types and events ------------------------------------------------------------------------------------------------


def _types() -> Iterator[str]:
    schemas = openrpc_document()["components"]["schemas"]
    edits = [one["$ref"].rpartition("/")[2] for one in schemas["Edit"]["anyOf"]]
    yield from ("", "## Edits", "", "What [graph.apply](#graphapply) takes; [The graph](graph.md) shows them at work.")
    links = [f"[{schemas[name]['properties']['op']['enum'][0]}](#{type_slug(name)})" for name in edits]
    yield from ("", "### Edit", "", f"One of {', '.join(links)}.")
    for name in edits:
        yield from _type(name, schemas[name])
    yield from ("", "## Types")
    for name in sorted(set(schemas) - set(edits) - {"Edit"}):
        yield from _type(name, schemas[name])


def _type(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"### {name}", "", inspect.cleandoc(schema.get("description", "")), "")
    required = schema.get("required", ())
    for field, kind in schema.get("properties", {}).items():
        default = "" if field in required else f", {code(plain(kind.get('default')))} unless given"
        yield f"- `{field}`: {schema_words(kind)}{default}"


def _events() -> Iterator[str]:
    yield from (
        "",
        "## Events",
        "",
        "Notifications, once [subscribed](#eventssubscribe): `method` is the event's name, and",
    )
    yield "`params` has `seq`, which counts all events of the daemon, after a loss `dropped`, and:"
    yield from ("", "| event | params | |", "|---|---|---|")
    for name in EVENT_NAMES:
        kind = event_type(name)
        params = [code(field) for field in kind.__struct_fields__ if field not in Told.__struct_fields__]
        yield f"| `{name}` | {', '.join(params)} | {inspect.cleandoc(kind.__doc__ or '')} |"
