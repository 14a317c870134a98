"""rpc/doors/dbus/values.py: what Python types are on the bus."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
import pytest
from dbus_next import Variant
from dbus_next.signature import SignatureTree

from tonnetz.daemon.problems import Refusal
from tonnetz.rpc.doors.dbus.values import from_bus, is_json, signature, to_bus
from tonnetz.rpc.method_table import load_methods


class Point(msgspec.Struct):
    x: float
    y: float | None = None


class Pin(msgspec.Struct):
    name: str
    place: Point
    tags: list[str]


class Open(msgspec.Struct):
    name: str
    config: dict[str, Any]


class Chain(msgspec.Struct):
    next: Chain | None = None


TYPES: list[tuple[Any, str]] = [
    (str, "s"),
    (bool, "b"),
    (int, "x"),
    (float, "d"),
    (None | float, "d"),
    (str | None, "s"),
    (Annotated[float, msgspec.Meta(ge=0, le=1)] | None, "d"),
    (Literal["a", "b"], "s"),
    (list[float | None], "ad"),
    (tuple[str, ...], "as"),
    (dict[str, list[int]], "a{sax}"),
    (Point, "a{sv}"),
    (list[Pin], "aa{sv}"),
    (type(None), ""),
]
JSON: list[Any] = [
    Any,
    dict[str, Any],
    list[Any],
    Open,
    list[Open],
    dict[str, Open],
    int | str,
    int | None,
    list[int | None],
    Chain,
    Literal["a", 1],
]


@pytest.mark.parametrize(("kind", "expected"), TYPES, ids=str)
def test_what_d_bus_has_a_type_for_is_of_it(kind: Any, expected: str) -> None:
    assert (signature(kind), is_json(kind)) == (expected, False)


@pytest.mark.parametrize("kind", JSON, ids=str)
def test_what_is_open_is_json(kind: Any) -> None:
    assert (signature(kind), is_json(kind)) == ("s", True)


def test_every_type_of_the_table_has_a_signature() -> None:
    for method in load_methods().values():
        for kind in (*(parameter.type for parameter in method.parameters), method.result):
            text = signature(kind)
            assert text == "" or len(SignatureTree(text).types) == 1


VALUES: list[tuple[Any, Any, Any]] = [
    (float, 3, 3.0),
    (list[float | None], [1.0, None], [1.0, math.nan]),
    (str | None, None, ""),
    (Point | None, None, {}),
    (str, "a\0b", "a\ufffdb"),
    (Point, Point(1.0), {"x": Variant("d", 1.0)}),
    (list[Point], [{"x": 1, "y": 2}], [{"x": Variant("d", 1.0), "y": Variant("d", 2.0)}]),
    (
        Pin,
        Pin("p", Point(1, 2), ["t"]),
        {
            "name": Variant("s", "p"),
            "place": Variant("a{sv}", {"x": Variant("d", 1.0), "y": Variant("d", 2.0)}),
            "tags": Variant("as", ["t"]),
        },
    ),
    (dict[str, Any], {"gain_db": None, "a": "\0"}, '{"gain_db":null,"a":"\\u0000"}'),
    (int | None, None, "null"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), VALUES, ids=lambda value: str(value)[:40])
def test_values_go_to_the_bus(kind: Any, value: Any, expected: Any) -> None:
    assert repr(to_bus(kind, value)) == repr(expected)
    SignatureTree(signature(kind)).verify([to_bus(kind, value)])


BACK: list[tuple[Any, Any, Any]] = [
    (float, 3, 3),
    (str, "[1]", "[1]"),
    (int | str, "now", "now"),
    (dict[str, Any], '{"gain_db": -3}', {"gain_db": -3}),
    (dict[str, Any], {"gain_db": Variant("d", -3.0)}, {"gain_db": -3.0}),
    (Any, "null", None),
    (Point, Variant("a{sv}", {"x": Variant("i", 1)}), {"x": 1}),
    (float, "2.5", 2.5),
]


@pytest.mark.parametrize(("kind", "value", "expected"), BACK, ids=lambda value: str(value)[:40])
def test_values_come_from_the_bus(kind: Any, value: Any, expected: Any) -> None:
    assert from_bus(kind, value, "place") == expected


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (math.nan, "p"),
        ([1.0, math.inf], "p[1]"),
        ({"a": Variant("d", -math.inf)}, "p.a"),
        ("{", "p"),
        ("NaN", "p"),
        ('"\\ud800"', "p"),
        ("[" * 100 + "]" * 100, "p"),
        ("[" * 100_000, "p"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_json_has_no_words_for_is_refused(value: Any, where: str) -> None:
    with pytest.raises(Refusal) as refused:
        from_bus(Any, value, where.partition("[")[0].partition(".")[0])
    assert refused.value.name == "invalid_params" and refused.value.problems[0].where == where
