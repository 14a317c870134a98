"""The table of keys in docs/configuration.md; the rest of that page is written by hand."""

from __future__ import annotations

from .markdown import code, table
from .settings import keys

BEGIN = "<!-- The table is made by docs/make.py from daemon/settings.py. -->\n"
END = "<!-- Up to here. -->\n"


def page(present: str) -> str:
    """The page with its table as it should be."""
    before, begin, rest = present.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin + end == BEGIN + END, "docs/configuration.md has lost the marks around its table"
    rows = [
        (code(key.path), key.values, code(key.default) if key.default else "has to be given", key.meaning)
        for key in keys()
    ]
    lines = table(["key", "values", "default", ""], rows)
    return before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + after
