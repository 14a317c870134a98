"""Makes the reference pages from what they describe: the catalogue of node types, the method table, the command line,
the settings. Nothing on them is written by hand twice, so nothing on them can be out of date:

    .venv/bin/python docs/make.py            writes the pages that have changed
    .venv/bin/python docs/make.py --check    shows what would change, exit 1 if anything would
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from making import command_man, configuration, daemon_man, methods, node_types, settings_man

DOCS = Path(__file__).resolve().parent
PAGES: Mapping[str, Callable[[], str]] = {
    "node-types.md": node_types.page,
    "methods.md": methods.page,
    "configuration.md": lambda: configuration.page((DOCS / "configuration.md").read_text()),
    "man/tonnetz.1": command_man.page,
    "man/tonnetzd.8": daemon_man.page,
    "man/tonnetz.yaml.5": settings_man.page,
}


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.stderr.write(__doc__ or "")
        return 2
    stale = 0
    for name, make in PAGES.items():
        path = DOCS / name
        old, new = path.read_text() if path.exists() else "", make()
        if old == new:
            continue
        stale += 1
        if check:
            lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"docs/{name}", "as made", lineterm="")
            sys.stdout.write("\n".join(lines) + "\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(new)
            sys.stdout.write(f"docs/{name}\n")
    if check and stale:
        sys.stdout.write("Run: .venv/bin/python docs/make.py\n")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
