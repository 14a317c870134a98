"""How values are named in messages: short, whole characters, and never the inside of something deep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST = 60  # characters of a text that a message repeats


def spoken(value: Any) -> str:
    """A value as a message names it: `'a text'`, `30000`, `true`, `null`, `a list`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}".replace("nan", "NaN").replace("inf", "Infinity")
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a number of more than 18 digits"
    if isinstance(value, str):
        return f"the text '{shortened(value)}'"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"


def shortened(text: object) -> str:
    """A word that somebody sent, fit for a message and for suggestions: whoever sends megabytes gets a line back."""
    word = text if isinstance(text, str) else spoken(text)
    short = word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…"
    return short.encode(errors="replace").decode()


def flaw_in_text(text: str) -> str:
    """What in a text no file, bus or terminal can carry, or nothing."""
    if "\0" in text:
        return "a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half a surrogate pair, which is no character"
    return ""
