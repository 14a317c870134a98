"""`tonnetzd install-units`: writes the files, and says what to do next."""

from __future__ import annotations

import sys
from pathlib import Path

from .units import NEXT_SYSTEM, NEXT_USER, UNIT, CanNotInstall, install, own_commands, text_of


def run(*, print_unit: bool, user: bool, root: Path) -> int:
    """The exit status: 0, or 1 with the reason on standard error."""
    try:
        commands = own_commands()
        if print_unit:
            sys.stdout.write(text_of(f"user/{UNIT}" if user else UNIT, commands))
            return 0
        for written in install(commands, user=user, root=root):
            sys.stdout.write(f"{written.path}{' is there already, and kept' if written.kept else ''}\n")
    except CanNotInstall as error:
        sys.stderr.write(f"tonnetzd: {error}.\n")
        return 1
    except OSError as error:
        advice = "" if user else " Installing for the system takes root; --user needs no rights."
        sys.stderr.write(f"tonnetzd: {error.filename} can't be written: {error.strerror}.{advice}\n")
        return 1
    if root == Path("/"):
        sys.stdout.write("\nNext:\n")
        sys.stdout.writelines(f"  {line}\n" for line in (NEXT_USER if user else NEXT_SYSTEM))
    return 0
