"""Secrets that the service manager hands over: files in $CREDENTIALS_DIRECTORY, which only this process can read
(systemd's LoadCredential=, SetCredentialEncrypted= and the like).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .problems import Problem, refuse, suggestion

NAME = re.compile(r"^[A-Za-z0-9_.@-]{1,255}$")
LONGEST = 64 << 10  # bytes; a password is shorter, and systemd itself allows a megabyte


def credential(name: str, where: str = "") -> str:
    """What is in a credential, without the newline that an editor puts at its end. Read anew each time, so that a
    restart of the unit is enough to change one. Refusal (invalid_config) at `where` if there is none.
    """
    folder = _folder()
    path = folder / name if folder and NAME.match(name) and name not in (".", "..") else None
    try:
        text = path.read_bytes()[: LONGEST + 1].decode() if path else None
    except (OSError, UnicodeDecodeError):
        text = None
    if text is None or len(text) > LONGEST:
        hint = suggestion(name, credentials()) or " The service has none; see LoadCredential= in systemd.exec(5)."
        raise refuse("invalid_config", [Problem("not_found", f"There is no credential '{name[:80]}'.{hint}", where)])
    return text.removesuffix("\n").removesuffix("\r")


def credentials() -> list[str]:
    """The names of those there are."""
    folder = _folder()
    try:
        return sorted(os.listdir(folder)) if folder else []
    except OSError:
        return []


def _folder() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return Path(folder) if folder else None
