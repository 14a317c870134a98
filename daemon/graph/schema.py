"""A node type's configuration as JSON Schema (draft 2020-12): forms are drawn from it, other programs check against it.

`x-unit`, `x-scale`, `x-step` and `x-live` are what a form wants to know beyond the standard's words. `null`, which the
daemon takes for "the default", is left out except where it is a value: a document that says nothing says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .config import CREDENTIAL, SECRET, TEXT_MAXIMUM, type_fields
from .spec import NodeSpec, ParameterSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
JSON_TYPES = {"float": "number", "int": "integer", "bool": "boolean", "choice": "string", "text": "string"}


def json_schema(spec: NodeSpec) -> dict[str, Any]:
    """The schema of a `config` of this type, given whole."""
    return {
        "$schema": DIALECT,
        "title": title(spec.type),
        "description": spec.help,
        **_object(spec.parameters, dict(type_fields(spec).defaults)),
    }


def title(name: str, unit: str = "") -> str:
    """A name as a form's caption: `attack_ms` in ms is `Attack`."""
    suffix = "db" if unit == "dBFS" else unit.lower()
    bare = name.removesuffix(f"_{suffix}") if suffix else name
    return bare.replace("_", " ").capitalize()


def _object(parameters: Sequence[ParameterSpec], defaults: dict[str, Any]) -> dict[str, Any]:
    required = [p.name for p in parameters if defaults[p.name] is None and not p.optional and p.kind != "matrix"]
    described: dict[str, Any] = {
        "type": "object",
        "properties": {p.name: _property(p, defaults[p.name]) for p in parameters},
        "additionalProperties": False,
    }
    if required:
        described["required"] = required
    return described


def _property(parameter: ParameterSpec, default: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"title": title(parameter.name, parameter.unit), "description": parameter.help}
    if parameter.secret:
        secret_shown = {"type": "object", "const": SECRET, "description": "Keeps the secret that is set."}
        named = {
            "type": "object",
            "properties": {"credential": {"type": "string", "pattern": CREDENTIAL}},
            "required": ["credential"],
            "additionalProperties": False,
            "description": "What the service manager hands over under this name (LoadCredential=).",
        }
        described |= {"anyOf": [_value(parameter), secret_shown, named], "writeOnly": True}
    else:
        described |= _value(parameter)
    if default is not None or parameter.optional or parameter.kind == "matrix":
        described["default"] = default
    if parameter.unit:
        described["x-unit"] = parameter.unit
    if parameter.kind in ("float", "int"):
        described["x-scale"] = "logarithmic" if parameter.log_scale else "linear"
    if parameter.step:
        described["x-step"] = parameter.step
    described["x-live"] = not parameter.structure
    return described


def _value(parameter: ParameterSpec) -> dict[str, Any]:
    """The standard's words for the values themselves."""
    if parameter.kind == "list":
        fields = {field.name: field.default for field in parameter.fields}
        return {
            "type": "array",
            "items": _object(parameter.fields, fields),
            "minItems": parameter.count_minimum,
            "maxItems": parameter.count_maximum,
        }
    if parameter.kind == "matrix":
        cell = {"type": ["number", "null"], **_bounds(parameter)}
        return {
            "type": ["array", "null"],
            "items": {"type": "array", "items": cell},
            "x-rows": parameter.rows,
            "x-columns": parameter.columns,
        }
    described: dict[str, Any] = {"type": JSON_TYPES[parameter.kind]}
    if parameter.kind == "choice":
        described["enum"] = list(parameter.choices)
    elif parameter.kind == "text":
        described["maxLength"] = TEXT_MAXIMUM if parameter.maximum is None else int(parameter.maximum)
    else:
        described |= _bounds(parameter)
    if parameter.optional:
        described["type"] = [described["type"], "null"]
        if "enum" in described:
            described["enum"].append(None)
    return described


def _bounds(parameter: ParameterSpec) -> dict[str, Any]:
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return {word: bound for word, bound in bounds.items() if bound is not None}
