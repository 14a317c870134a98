"""docs/man/tonnetz.yaml.5: the configuration file, from the same settings as the table in docs/configuration.md."""

from __future__ import annotations

from pathlib import Path

from .roff import head, item, joined, paragraphs, section, verbatim
from .settings import Key, keys

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo" / "tonnetz.yaml"

DESCRIPTION = """\
The configuration of *tonnetzd*(8): YAML, or JSON, which is YAML too. Every key has a default, so an empty file is a
working configuration. A key that does not exist is an error, and the daemon says which one may have been meant;
`tonnetzd --check --config FILE` looks without starting anything.

Relative paths start at the folder in which the file lies.

Keys are written here with dots: `engine.clock` is `clock` within `engine`.
"""


def default(key: Key) -> str:
    return f"default `{key.default}`" if key.default else "it has to be given"


def page() -> str:
    lines = [
        *head("tonnetz.yaml", 5, "File Formats"),
        *section("NAME"),
        "tonnetz.yaml \\- configuration of tonnetzd",
        *section("DESCRIPTION"),
        *paragraphs(DESCRIPTION),
        *section("KEYS"),
    ]
    for key in keys():
        lines += item(f"`{key.path}`", f"{key.meaning} Values: {key.values}; {default(key)}.")
    settings, _, _ = DEMO.read_text().partition("\ngraph:")
    example = [line for line in settings.splitlines() if not line.startswith("#")]
    lines += [*section("EXAMPLE"), *verbatim(line for line in example if line)]
    lines += [*section("FILES"), *item("`/etc/tonnetz/tonnetz.yaml`", "Read when no other is named, if it is there.")]
    lines += [*section("SEE ALSO"), "\\fBtonnetzd\\fP(8), \\fBtonnetz\\fP(1)"]
    return joined(lines)
