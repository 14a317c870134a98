"""rpc/openrpc.py: the description is complete, consistent, and describes what is really answered."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from tonnetz.rpc.method_table import load_methods
from tonnetz.rpc.openrpc import openrpc_document

DOCUMENT = openrpc_document()
# The parts of the OpenRPC 1.3 meta-schema that concern us: what a generator of clients relies on.
META_SCHEMA = {
    "type": "object",
    "required": ["openrpc", "info", "methods"],
    "properties": {
        "openrpc": {"pattern": r"^1\.3\.\d+$"},
        "info": {"type": "object", "required": ["title", "version"]},
        "methods": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "params", "result", "summary", "description"],
                "propertyNames": {
                    "pattern": "^(name|tags|summary|description|paramStructure|params|result|errors|x-.+)$"
                },
                "properties": {
                    "paramStructure": {"enum": ["by-name", "by-position", "either"]},
                    "params": {"type": "array", "items": {"$ref": "#/$defs/descriptor"}},
                    "result": {"$ref": "#/$defs/descriptor"},
                },
            },
        },
        "components": {
            "type": "object",
            "properties": {
                "errors": {"additionalProperties": {"type": "object", "required": ["code", "message"]}},
            },
        },
    },
    "$defs": {
        "descriptor": {
            "type": "object",
            "required": ["name", "schema"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string"},
                "required": {"type": "boolean"},
                "description": {"type": "string"},
                "schema": {"type": "object"},
            },
        }
    },
}


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(references(inner) for inner in part.values()))
    if isinstance(part, list):
        return set().union(*(references(inner) for inner in part))
    return set()


def schema(of: dict[str, Any]) -> dict[str, Any]:
    """A schema of the document that stands for itself."""
    return {**of, "components": DOCUMENT["components"]}


def test_it_is_openrpc() -> None:
    jsonschema.validate(DOCUMENT, META_SCHEMA)
    assert json.loads(msgspec.json.encode(DOCUMENT)) == DOCUMENT


def test_every_method_is_described() -> None:
    assert [method["name"] for method in DOCUMENT["methods"]] == list(load_methods())


def test_no_reference_leads_nowhere() -> None:
    for reference in references(DOCUMENT):
        part: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
        assert part


@pytest.mark.parametrize("method", DOCUMENT["methods"], ids=lambda method: method["name"])
def test_schemas_are_schemas_and_defaults_fit(method: dict[str, Any]) -> None:
    for descriptor in (*method["params"], method["result"]):
        jsonschema.Draft202012Validator.check_schema(descriptor["schema"])
        if "default" in descriptor["schema"]:
            jsonschema.validate(descriptor["schema"]["default"], schema(descriptor["schema"]))


def test_both_ways_of_writing_edits_are_described() -> None:
    edits = next(method for method in DOCUMENT["methods"] if method["name"] == "graph.apply")["params"][0]
    for edit in ({"op": "connect", "source": "a.out", "target": "b.in"}, {"remove_node": {"id": "a"}}):
        jsonschema.validate([edit], schema(edits["schema"]))
    for wrong in ({"op": "conect", "source": "a.out"}, {"op": "remove_node"}, "connect"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([wrong], schema(edits["schema"]))
