"""Plain data (from JSON, YAML or D-Bus) read into structs, with everything that is wrong said at once.

msgspec stops at the first mistake and speaks of types; whoever wrote the data by hand wants all of them, in words, and
to know which key they misspelt. So msgspec has the first try, and only what it refuses is looked at key by key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import msgspec

from ..problems import Problem, suggestion
from .wording import shortened, spoken

Read = TypeVar("Read", bound=msgspec.Struct)

NODE_ID = "a node's id: a lower-case letter, then lower-case letters, digits and _, at most 63 in all"
PORT = "a port, written node.port, as mic_1.out"
COORDINATE = "a number from -10000000 to 10000000"
WANTED = {
    "type": "a node type's name",
    "source": PORT,
    "target": PORT,
    "config": "a mapping of parameters to values",
    "label": "a text of at most 200 characters",
    "name": "a text of at most 200 characters",
    "position": f"a mapping of x and y, each {COORDINATE}",
    "bypass": "true or false",
    "state": "a mapping, as nodes.get_state gives it",
    "version": "a whole number",
    "fields": "a mapping of names to fields",
    "cell": "float32, float64, uint32 or uint64",
    "shape": "two counts, [rows, columns]",
    "data": "cells in base64",
    "strategy": "fade, immediate, drain or bridge",
    "x": COORDINATE,
    "y": COORDINATE,
}


def read(
    data: Any,
    into: type[Read],
    what: str,
    where: str,
    problems: list[Problem],
    *,
    names: str = NODE_ID,
    ignored: Collection[str] = (),
) -> Read | None:
    """`data` as a struct, or None with its problems. `what` it is and what its `id` names, in words; keys `ignored`
    may be there and mean nothing.
    """
    if not isinstance(data, Mapping):
        problems.append(Problem("malformed", f"{what} is a mapping, not {spoken(data)}.", where))
        return None
    known = into.__struct_fields__
    unknown = [key for key in data if key not in known and key not in ignored]
    if not unknown:
        try:
            return msgspec.convert({key: data[key] for key in known if key in data}, into)
        except (msgspec.ValidationError, RecursionError):
            pass  # what it was is found below
    for key in unknown:
        word = shortened(key)
        message = f"{what} has no '{word}'.{suggestion(word, known)}"
        problems.append(Problem("unknown_key", message, f"{where}.{word}"))
    for field in msgspec.structs.fields(into):
        name = field.encode_name
        if name not in data:
            if field.required:
                wanted = names if name == "id" else WANTED[name]
                problems.append(Problem("missing_key", f"{what} needs '{name}': {wanted}.", f"{where}.{name}"))
            continue
        try:
            msgspec.convert(data[name], field.type)
        except msgspec.ValidationError:
            wanted = names if name == "id" else WANTED[name]
            message = f"'{name}' must be {wanted}; it is {spoken(data[name])}."
            problems.append(Problem("malformed", message, f"{where}.{name}"))
        except RecursionError:
            problems.append(Problem("malformed", f"'{name}' is nested too deeply.", f"{where}.{name}"))
    return None
