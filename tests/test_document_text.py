"""daemon/document_text.py: text becomes data as people mean it, and never more than it looks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonnetz.daemon.document_text import DEPTH_LIMIT, TEXT_LIMIT, TextFormat, read_text, write_text
from tonnetz.daemon.problems import Refusal

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | TEXTS
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1e3", {"a": 1000.0}),
        ("a: 1.5e-3", {"a": 0.0015}),
        ("a: .5", {"a": 0.5}),
        ("a: 010", {"a": 10}),
        ("a: no", {"a": "no"}),
        ("a: off", {"a": "off"}),
        ("a: true", {"a": True}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: hw:0", {"a": "hw:0"}),
        ("a: 2024-01-01", {"a": "2024-01-01"}),
        ("a: .nan", {"a": ".nan"}),
        ("a: NaN", {"a": "NaN"}),
        ('{"a": [1, 2]}', {"a": [1, 2]}),
        ("{a: [1, 2]}", {"a": [1, 2]}),
        ('{"a": NaN}', {"a": "NaN"}),
        ("[]", []),
        ("", None),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
    ],
)
def test_words_are_read_as_version_1_2_means_them(text: str, data: Any) -> None:
    assert read_text(text) == data


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1", "did not find expected ',' or ']', in line 2, column 1"),
        ("a: 1\nb: 2\na: 3", "the key 'a' is given twice, in line 3, column 1"),
        ("a: &x [1]\nb: *x", r"aliases \(\*name\) are not read; write it out, in line 2, column 4"),
        ("&a [*a]", "aliases"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("? [1]\n: 2", "unhashable key"),
        ("a: " + "1" * 5000, "a number of too many digits"),
        ("a: \ud800", "half a surrogate pair"),
        ("a: \0", "unacceptable character"),
        ("[" * 200_000, f"nested too deeply; {DEPTH_LIMIT} levels"),
        ("- " * 200_000, "nested too deeply"),
        ("{a: " * 200_000, "nested too deeply"),
        ("a" * (TEXT_LIMIT + 1), f"at most {TEXT_LIMIT} are read"),
    ],
)
def test_bad_text_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(Refusal, match=complaint) as refused:
        read_text(text)
    assert refused.value.name == "invalid_params"


def test_as_deep_as_allowed_is_read() -> None:
    assert str(read_text("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)).count("[") == DEPTH_LIMIT


@pytest.mark.parametrize("format", ["yaml", "json"])
@given(data=DATA)
def test_what_is_written_is_read_back(format: TextFormat, data: Any) -> None:
    assert read_text(write_text(data, format)) == data


@pytest.mark.parametrize(
    "word", ["1e3", "1.e3", "010", "0x1F", "no", "Yes", "~", "", "12:30", "<<", "=", "-", "null", ".5"]
)
def test_words_that_look_like_something_else_are_put_in_quotes(word: str) -> None:
    assert read_text(write_text({word: word}, "yaml")) == {word: word}


def test_short_things_stand_on_one_line() -> None:
    document = {"nodes": [{"id": "eq", "type": "gain"}], "connections": [{"source": "a.out", "target": "b.in"}]}
    assert write_text(document, "yaml") == (
        "nodes:\n- {id: eq, type: gain}\nconnections:\n- {source: a.out, target: b.in}\n"
    )


def test_equal_parts_are_written_out_and_not_as_aliases() -> None:
    part = {"a": [1]}
    assert "&" not in write_text([part, part], "yaml")
