"""daemon/annotations.py: seen through `Annotated` and `| None`, however they are nested."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from tonnetz.daemon.annotations import bare, choices, leaves, metas

Decibels = Annotated[float, Meta(ge=-120, le=24, description="gain")]


class Band(msgspec.Struct):
    gain: Decibels
    kind: Literal["low", "high"] | None = None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (int, (int, False)),
        (int | None, (int, True)),
        (Decibels, (float, False)),
        (Decibels | None, (float, True)),
        (Annotated[Decibels | None, Meta(description="outer")], (float, True)),
        (int | str, (int | str, False)),
        (int | str | None, (int | str | None, False)),
        (list[Decibels], (list[Decibels], False)),
    ],
)
def test_bare(kind: Any, expected: tuple[Any, bool]) -> None:
    assert bare(kind) == expected


def test_what_is_within() -> None:
    kind = dict[str, list[Band] | Literal["none"]]
    assert {leaf for leaf in leaves(kind) if isinstance(leaf, type)} == {str, float, type(None)}
    assert sorted(choices(kind)) == ["none"] and sorted(choices(Literal["low", "high"] | None)) == ["high", "low"]
    assert [meta.description for meta in metas(Annotated[Decibels | None, Meta(description="outer")])] == [
        "outer",
        "gain",
    ]
