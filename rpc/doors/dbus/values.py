"""What a Python type is on the bus, and its values there and back.

What D-Bus has a type for is of that type: `s`, `b`, `x`, `d`, arrays of these, records as `a{sv}` under the names that
JSON-RPC uses. What is open (any value, a configuration, a graph document), alone or anywhere within, is one JSON text:
a document of a thousand nodes costs the event loop 1 ms as a text, and 300 ms as dictionaries. D-Bus has no null: in a
record the key is missing, a number is NaN, anything else is empty.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from tonnetz.daemon.annotations import bare
from tonnetz.daemon.problems import Problem, refuse

from ..json_rpc import Limits, deeper_than
from .connection import Variant

PLAIN = {str: "s", bool: "b", int: "x", float: "d"}
TEXT = "s"
DEPTH = Limits().depth


@cache
def signature(kind: Any) -> str:
    """The D-Bus signature of a type; `s` for what is written as JSON, `` for None."""
    if kind is type(None):
        return ""
    return _own_signature(kind) or TEXT


@cache
def is_json(kind: Any) -> bool:
    """Whether values of this type are JSON texts on the bus."""
    return kind is not type(None) and _own_signature(kind) is None


def to_bus(kind: Any, value: Any) -> Any:
    """A value as dbus-next marshals it, by `signature(kind)`."""
    if is_json(kind):
        return msgspec.json.encode(value).decode()
    return _to_bus(kind, value)


def from_bus(kind: Any, value: Any, where: str) -> Any:
    """The plain value that a caller sent for a parameter of this type; a text where none belongs is read as JSON.

    Whether it is what the type wants is left to the method table. Refusal (invalid_params) for what is no JSON.
    """
    plain = unwrapped(value, where)
    if isinstance(plain, str) and not _takes_text(kind):
        return parsed(plain, where)
    return plain


def record(kind: type[msgspec.Struct], value: Any) -> dict[str, Variant]:
    """A struct, or a mapping with its keys, as `a{sv}`. Each open field is a JSON text; null ones are left out."""
    fields = fields_of(kind)
    given = value if isinstance(value, Mapping) else {name: getattr(value, name) for name in fields}
    return {
        name: Variant(signature(field), to_bus(field, given[name]))
        for name, field in fields.items()
        if given.get(name) is not None
    }


def unwrapped(value: Any, where: str) -> Any:
    """Without variants. JSON-RPC knows no NaN and no infinity, so neither do methods."""
    if isinstance(value, Variant):
        return unwrapped(value.value, where)
    if isinstance(value, dict):
        return {key: unwrapped(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [unwrapped(inner, f"{where}[{place}]") for place, inner in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise refuse("invalid_params", [Problem("invalid_value", f"{value} is no number to work with.", where)])
    return value


def parsed(text: str, where: str) -> Any:
    """The data of a JSON text, as strict as JSON-RPC."""
    try:
        data = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        message = f'This is not JSON ({error}). Write texts in quotes too: "\\"so\\"".'
        raise refuse("invalid_params", [Problem("malformed", message, where)]) from None
    except RecursionError:
        data = None
        too_deep = True
    else:
        too_deep = deeper_than(data, DEPTH)
    if too_deep:
        raise refuse("invalid_params", [Problem("limit", f"Nested in more than {DEPTH} levels.", where)])
    return data


# ---- Types -----------------------------------------------------------------------------------------------------------


def _own_signature(kind: Any, outer: tuple[Any, ...] = ()) -> str | None:
    """None for what D-Bus has no type for."""
    kind, optional = bare(kind)
    if kind in PLAIN:
        return None if optional and kind in (bool, int) else PLAIN[kind]
    if get_origin(kind) is Literal:
        kinds = {type(choice) for choice in get_args(kind)}
        return "s" if kinds == {str} else "b" if kinds == {bool} else None
    inner = get_args(kind)
    if get_origin(kind) in (list, tuple) and (get_origin(kind) is list or inner[1:] == (...,)):
        return _prefixed("a{}", _own_signature(inner[0], outer))
    if get_origin(kind) is dict and inner[0] is str:
        return _prefixed("a{{s{}}}", _own_signature(inner[1], outer))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in outer:
        fields = fields_of(kind).values()
        return "a{sv}" if all(_own_signature(field, (*outer, kind)) for field in fields) else None
    return None


def _prefixed(pattern: str, inner: str | None) -> str | None:
    return None if inner is None else pattern.format(inner)


def _to_bus(kind: Any, value: Any) -> Any:
    kind, _ = bare(kind)
    if value is None:
        return math.nan if kind is float else "" if _own_signature(kind) == "s" else {} if _is_mapping(kind) else []
    if get_origin(kind) in (list, tuple):
        return [_to_bus(get_args(kind)[0], item) for item in value]
    if get_origin(kind) is dict:
        return {key: _to_bus(get_args(kind)[1], item) for key, item in value.items()}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return record(kind, value)
    if kind is str:
        return value.replace("\0", "\ufffd")  # for a text with a zero in it the bus would throw us out
    return float(value) if kind is float else value


def _is_mapping(kind: Any) -> bool:
    return (_own_signature(kind) or "").startswith("a{")


@cache
def fields_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The types of a record's fields, without None: what is null is left out."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: bare(hints[name])[0] for name in kind.__struct_fields__}


@cache
def _takes_text(kind: Any) -> bool:
    """Whether a text may be a value of the type itself."""
    kind, _ = bare(kind)
    if get_origin(kind) in (Union, types.UnionType):
        return any(_takes_text(part) for part in get_args(kind))
    return kind is str or (get_origin(kind) is Literal and any(isinstance(one, str) for one in get_args(kind)))
