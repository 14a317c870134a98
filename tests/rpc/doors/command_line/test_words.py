"""rpc/doors/command_line/words.py: what is typed is what is meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonnetz.rpc.doors.command_line.words import WrongWord, assigned, is_assignment, spelled, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("True", "True"),
        ("", ""),
        ("-", "-"),
        (".", "."),
        ("e5", "e5"),
        ("007", "007"),
        ("1.2.3", "1.2.3"),
        ("hw:0", "hw:0"),
        ("NaN", "NaN"),
        ("a b", "a b"),
        ('"12"', "12"),
        ("[1, 2]", [1, 2]),
        ('{"a": null}', {"a": None}),
        ("[{gain_db: -6}, {mute: true}]", [{"gain_db": -6}, {"mute": True}]),
        ("{gain_db: 1e1}", {"gain_db": 10.0}),
    ],
)
def test_values(text: str, value: Any) -> None:
    read = value_of(text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize("text", ["1e999", "[1", '{"a"', '"open'])
def test_values_that_cannot_be_read(text: str) -> None:
    with pytest.raises(WrongWord):
        value_of(text)


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_what_is_spelled_can_be_typed_again(value: Any) -> None:
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return
    assert value_of(spelled(value)) == value


def test_paths() -> None:
    assert assigned(["gain_db=-6", "bands.1.gain_db=3", "bands[0].q=2", "bands.1.q=1"]) == {
        "gain_db": -6,
        "bands": {"1": {"gain_db": 3, "q": 1}, "0": {"q": 2}},
    }
    assert assigned(["path=/a=b.flac", "label="]) == {"path": "/a=b.flac", "label": ""}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["gain_db"], "'gain_db' is not key=value"),
        (["=3"], "'=3' is not key=value"),
        (["bands..q=3"], "is not key=value"),
        (["bands[x].q=3"], "is not key=value"),
        (["q=1", "q=2"], "'q' is given twice"),
        (["bands=[]", "bands.0.q=1"], "another word sets as a whole"),
        (["bands.0.q=1", "bands=[]"], "given twice"),
    ],
)
def test_words_that_are_no_assignment(words: list[str], complaint: str) -> None:
    with pytest.raises(WrongWord, match=complaint.replace("[", r"\[")):
        assigned(words)


@pytest.mark.parametrize(
    ("word", "yes"), [("a=1", True), ("a.0.b=", True), ("a[1].b=2", True), ("a", False), ("1=2", False)]
)
def test_names_and_assignments_are_told_apart(word: str, yes: bool) -> None:
    assert is_assignment(word) == yes
