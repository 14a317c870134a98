"""What people type as `key=value`: paths such as `bands.1.gain_db=3` or `bands[0].q=2`, values as in YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tonnetz.daemon.document_text import read_text
from tonnetz.daemon.problems import Refusal

KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+|\[\d+\])*$")
# No leading zeros: 007 is a name, as in JSON and unlike in YAML 1.1, where it is the octal number 7.
NUMBER = re.compile(r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
CONSTANTS = {"true": True, "false": False, "null": None}


class WrongWord(ValueError):
    """A word that cannot be read; the text says why and what to write."""


def sentence(words: object) -> str:
    """Words as a sentence: a capital letter, a full stop."""
    text = str(words)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def is_assignment(word: str) -> bool:
    """Whether the word is `key=value`, rather than a name."""
    key, equals, _ = word.partition("=")
    return bool(equals and KEY.match(key))


def assigned(words: Iterable[str]) -> dict[str, Any]:
    """The nested object that the words spell; list positions become keys: `{"bands": {"1": {"gain_db": 3}}}`.

    That form changes single records of a list and leaves the others. Raises WrongWord.
    """
    everything: dict[str, Any] = {}
    for word in words:
        if not is_assignment(word):
            raise WrongWord(f"'{word}' is not key=value (such as gain_db=-6 or bands.0.q=2)")
        key, _, text = word.partition("=")
        path = key.replace("[", ".").replace("]", "").split(".")
        inner = everything
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise WrongWord(f"'{key}' goes into something that another word sets as a whole")
        if path[-1] in inner:
            raise WrongWord(f"'{key}' is given twice")
        inner[path[-1]] = value_of(text)
    return everything


def value_of(text: str) -> Any:
    """A value: number, true, false, null, a list or object in JSON or YAML, a text in double quotes, else the text."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if NUMBER.match(text):
        if set(text) <= set("+-0123456789"):
            return int(text)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise WrongWord(f"{text} is beyond what a number can be (1.8e308)")
        return number
    if text[:1] in ("[", "{", '"'):
        try:
            return msgspec.json.decode(text.encode())
        except (msgspec.DecodeError, RecursionError):
            return _as_yaml(text)
    return text


def _as_yaml(text: str) -> Any:
    """`[{gain_db: -6}]` is no JSON, but what a reader of YAML types."""
    try:
        return read_text(text, "The value")
    except Refusal as refusal:
        raise WrongWord(refusal.message.rstrip(".")) from None


def spelled(value: Any) -> str:
    """A value as it can be typed again: what `value_of` reads back as the same (or as the same number)."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if (
        isinstance(value, str)
        and value
        and value[0] not in '[{"'
        and value not in CONSTANTS
        and not NUMBER.match(value)
    ):
        return value
    return msgspec.json.encode(value).decode()
