"""Manual pages in the `man` macros, from paragraphs in which `code` and *emphasis* are marked as in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tonnetz.daemon.version import __version__

RELEASED = {"0.1.0": "2026-11-23"}  # the date at the foot of the pages


def head(name: str, section: int, title: str) -> list[str]:
    return [
        '.\\" Made by docs/make.py; change the words at their source.',
        f'.TH {name.upper()} {section} {RELEASED[__version__]} "Tonnetz {__version__}" "{title}"',
    ]


def joined(lines: Sequence[str]) -> str:
    """The page. A paragraph that begins a section is not marked as one."""
    before = ["", *lines]
    kept = [
        line for line, last in zip(lines, before, strict=False) if line != ".PP" or not last.startswith((".SH", ".SS"))
    ]
    return "\n".join(kept) + "\n"


def section(name: str) -> list[str]:
    return [f".SH {name}"]


def subsection(name: str) -> list[str]:
    return [f".SS {escaped(name)}"]


def paragraphs(text: str) -> list[str]:
    """Paragraphs separated by empty lines. One that begins with a line of `\\b` is set as it is, as click does."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        first, _, rest = paragraph.partition("\n")
        if first.strip() == "\b":
            lines += verbatim(rest.splitlines())
        else:
            lines += [".PP", inline(" ".join(paragraph.split()))]
    return lines


def verbatim(lines: Iterable[str]) -> list[str]:
    return [".PP", ".RS 4", ".nf", *map(escaped, lines), ".fi", ".RE"]


def item(term: str, text: str) -> list[str]:
    """A term, itself marked as in Markdown, and below it what it means."""
    return [".TP", inline(term), inline(text)]


def inline(text: str) -> str:
    """Words with their marks; links are left out but for their words."""
    text = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]+`|\*[^*]+\*)", text)
    return _guarded("".join(_marked(part) for part in parts))


def _marked(part: str) -> str:
    if len(part) > 2 and part[0] == part[-1] == "`":
        return f"\\fB{_spelt(part[1:-1])}\\fP"
    if len(part) > 2 and part[0] == part[-1] == "*":
        return f"\\fI{_spelt(part[1:-1])}\\fP"
    return _spelt(part)


def escaped(text: str) -> str:
    """A line that roff prints as it is."""
    return _guarded(_spelt(text))


# roff makes a hyphen of a bare -, and typographic marks of the others: what is to be typed must stay as it is.
NAMES = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga"})


def _spelt(text: str) -> str:
    return text.translate(NAMES)


def _guarded(line: str) -> str:
    """A line that begins with a dot would be a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line
