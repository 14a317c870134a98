"""Why a value does not fit its type, in words: msgspec stops at the first mistake and speaks of Python's types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_origin

import msgspec

from .annotations import bare, choices, metas
from .graph.wording import shortened, spoken
from .problems import Problem, suggestion


def misfits(data: Any, into: type[msgspec.Struct], what: str) -> Iterator[Problem]:
    """All that keeps plain data from being such a struct, each with the place; `what` it is, in words."""
    if not isinstance(data, Mapping):
        yield Problem("wrong_type", f"{what} is a mapping, not {spoken(data)}.")
        return
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(into)}
    for name in data:
        if name not in fields:
            word = shortened(name)
            yield Problem("unknown_parameter", f"{what} has no '{word}'.{suggestion(word, fields)}", word)
    for name, kind in fields.items():
        if name in data:
            yield from misfit(data[name], kind, name)


def misfit(value: Any, kind: Any, where: str) -> Iterator[Problem]:
    """Why a value is not of a type, where it is not."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield problem_from(error, value, kind, where)
    except RecursionError:
        yield Problem("limit", "Nested too deeply.", where)


def problem_from(error: msgspec.ValidationError, value: Any, kind: Any, where: str) -> Problem:
    """msgspec's words as a problem: ``Expected `int`, got `str` - at `$.a[0]` `` below `where`."""
    message, _, place = str(error).partition(" - at `")
    place = place.rstrip("`").removeprefix("$")
    for key in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", place):
        try:
            value = value[key[0]] if key[0] else value[int(key[1])]
        except (KeyError, IndexError, TypeError):
            break
    else:
        if "[...]" not in place and not isinstance(value, Mapping | list):
            message = f"{message.partition(', got ')[0]}, not {spoken(value)}"
    where = f"{where}{place}"
    # A choice of texts may also be given something that is no text; an invalid one is repeated, however long it is.
    if message.startswith("Invalid enum value") or (not place and get_origin(bare(kind)[0]) is Literal):
        known = [str(choice) for choice in choices(kind)]
        near = suggestion(shortened(value), known)
        listed = "" if near.startswith(" Known") else f" Known: {', '.join(known)}."
        return Problem("unknown_choice", f"'{shortened(value)}' is no choice here.{near}{listed}", where)
    if found := re.match(r"Object (contains unknown|missing required) field `(.*)`$", message):
        unknown = found[1] == "contains unknown"
        said = f"There is no '{shortened(found[2])}' here." if unknown else f"'{found[2]}' must be given."
        return Problem("unknown_parameter" if unknown else "missing_parameter", said, where)
    pattern = next((meta for meta in metas(kind) if meta.pattern and meta.description), None)
    if pattern is not None and message.startswith("Expected `str`") and "length" not in message:
        said = f"'{shortened(value)}'" if isinstance(value, str) else spoken(value)
        message = f"{said} is no {pattern.description}: it has to match {pattern.pattern}"
    problem = "wrong_type" if ", got `" in str(error) else "invalid_value"
    return Problem(problem, f"{message.replace('`', '')}.", where)
