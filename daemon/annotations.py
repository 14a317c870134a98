"""What is inside a type annotation: the types it is built of, and what `Annotated` says of them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec


def bare(kind: Any) -> tuple[Any, bool]:
    """The type without its annotations and without None, and whether None is among its values."""
    if get_origin(kind) is Annotated:
        return bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        parts = get_args(kind)
        others = [part for part in parts if part is not type(None)]
        if len(others) == 1:
            return bare(others[0])[0], len(others) < len(parts)
    return kind, False


def leaves(kind: Any) -> Iterator[Any]:
    """The plain types a type is built of, into structs and typed dictionaries too."""
    waiting, seen = [kind], set()
    while waiting:
        kind = waiting.pop()
        if get_origin(kind) is Annotated:
            waiting.append(get_args(kind)[0])
        elif get_args(kind):
            waiting.extend(get_args(kind))
        elif isinstance(kind, type) and hasattr(kind, "__annotations__") and kind not in seen:
            seen.add(kind)
            waiting.extend(get_type_hints(kind, include_extras=True).values())
        else:
            yield kind


def metas(kind: Any) -> Iterator[msgspec.Meta]:
    """The descriptions and bounds attached to a type, the outermost first."""
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        yield from (extra for extra in extras if isinstance(extra, msgspec.Meta))
        yield from metas(inner)
    else:
        for part in get_args(kind):
            yield from metas(part)


def choices(kind: Any) -> Iterator[Any]:
    """The values of the literal types within a type."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    else:
        for part in get_args(kind):
            yield from choices(part)
