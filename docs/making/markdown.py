"""Markdown's small change: tables, code, and what a type from a JSON Schema is called in words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tonnetz.daemon.annotations import metas
from tonnetz.daemon.graph.edits import NodeId, PortName
from tonnetz.rpc.method_table import load_methods

# What a text of a known pattern is called on the pages, which say once how each is written.
PATTERNS = {next(metas(NodeId)).pattern: "name", next(metas(PortName)).pattern: "node.port"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table whose empty columns are left out."""
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines = [[head[column] for column in kept], ["---"] * len(kept)]
    lines += [[row[column].replace("|", "\\|") for column in kept] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def code(text: Any) -> str:
    return f"`{text}`"


def plain(value: Any) -> str:
    """A value as JSON writes it, but whole numbers without their `.0`."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def either(words: Sequence[str]) -> str:
    """`a`, `b` or `c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def type_slug(name: str) -> str:
    """The anchor of a type's heading in methods.md, where a method of the same letters may stand before it."""
    return f"{slug(name)}-1" if slug(name) in map(slug, load_methods()) else slug(name)


def schema_words(schema: Mapping[str, Any]) -> str:
    """The type that a JSON Schema describes, short enough for a cell; types with a name are links to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{type_slug(name)})"
    if "anyOf" in schema:
        kinds = [schema_words(one) for one in schema["anyOf"]]
        return either([word for kind in kinds for word in (kind.split(" or ") if kind.startswith("`") else [kind])])
    if "enum" in schema:
        return either([code(choice) for choice in schema["enum"]])
    match schema.get("type"):
        case "string":
            return PATTERNS.get(schema.get("pattern"), "text") + _length(schema)
        case "integer" | "number":
            return ("whole number" if schema["type"] == "integer" else "number") + _range(schema)
        case "boolean":
            return "`true` or `false`"
        case "null":
            return "`null`"
        case "array":
            return f"list of {_plural(schema_words(schema.get('items', {})))}"
        case "object":
            inner = schema.get("additionalProperties")
            return f"mapping of names to {schema_words(inner)}" if inner else "mapping"
    return "anything"


def _plural(words: str) -> str:
    return {"text": "texts", "name": "names", "anything": "values", "mapping": "mappings"}.get(words, words)


def _length(schema: Mapping[str, Any]) -> str:
    return f", at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""


def _range(schema: Mapping[str, Any]) -> str:
    low, high = (f"{schema[bound]:,.15g}" if bound in schema else "" for bound in ("minimum", "maximum"))
    if low and high:
        return f", {low} to {high}"
    return f", at least {low}" if low else f", at most {high}" if high else ""
