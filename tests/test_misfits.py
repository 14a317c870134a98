"""daemon/misfits.py: what does not fit is told all at once, with its place, what was expected, and in no type's words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from tonnetz.daemon.misfits import misfit, misfits


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    port: str


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    rate: Annotated[int, Meta(ge=1)] = 1
    mode: Literal["crash", "full"] = "crash"
    inner: tuple[Inner, ...] = ()


def told(data: Any) -> list[tuple[str, str, str]]:
    return [(problem.kind, problem.where, problem.message) for problem in misfits(data, Outer, "It")]


def test_all_of_it_at_once() -> None:
    assert told({"rat": 3, "rate": 0, "mode": "ful", "inner": [{"prt": "a"}]}) == [
        ("unknown_parameter", "rat", "It has no 'rat'. Did you mean 'rate'?"),
        ("invalid_value", "rate", "Expected int >= 1, not 0."),
        ("unknown_choice", "mode", "'ful' is no choice here. Did you mean 'full'? Known: crash, full."),
        ("unknown_parameter", "inner[0]", "There is no 'prt' here."),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rate": 2, "mode": "full", "inner": [{"port": "a"}]}, None),
        ([], "It is a mapping, not a list."),
        ({"rate": "fast"}, "Expected int, not the text 'fast'."),
        ({"mode": False}, "'false' is no choice here. Known: crash, full."),
        ({"inner": [{}]}, "'port' must be given."),
        ({"inner": 3}, "Expected array, not 3."),
    ],
)
def test_one_by_one(data: Any, message: str | None) -> None:
    assert [problem[2] for problem in told(data)] == ([message] if message else [])


@pytest.mark.parametrize(("value", "said"), [("Rw", "'Rw'"), (432, "432"), ("x" * 100, f"'{'x' * 59}…'")])
def test_a_text_of_a_pattern_is_called_by_its_name(value: Any, said: str) -> None:
    kind = Annotated[str, Meta(pattern=r"^\d$", description="digit")]
    (problem,) = misfit(value, kind, "here")
    assert problem.message == rf"{said} is no digit: it has to match ^\d$."
