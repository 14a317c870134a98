"""Secrets that the service manager hands over: files in $CREDENTIALS_DIRECTORY, which only this process can read
(systemd's LoadCredential=, SetCredentialEncrypted= and the like).

Where a node wants a secret, `{"credential": NAME}` names one: the graph and all that is stored hold the name alone.
Those that begin with `tonnetz.` are the daemon's own, such as tokens of the HTTP door: a node, which sends its secrets
wherever an operator tells it to, gets none of them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ..graph.config import CREDENTIAL
from ..graph.secrecy import revealed
from ..graph.spec import NodeSpec
from ..problems import Problem, Refusal, refuse, suggestion

log = logging.getLogger(__name__)

LONGEST = 64 << 10  # bytes; a password is shorter, and systemd itself allows a megabyte
OWN = "tonnetz."
_assumed: ContextVar[bool] = ContextVar("assumed", default=False)


def credential(name: str, where: str = "") -> str:
    """What is in a credential, without the newline that an editor puts at its end. Read anew each time, so that a
    restart of the unit is enough to change one. Refusal (invalid_config) at `where` if there is none.
    """
    folder = _folder()
    if folder is None and _assumed.get():
        return name.ljust(64, "-")
    path = folder / name if folder and re.fullmatch(CREDENTIAL, name) and name not in (".", "..") else None
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


@contextlib.contextmanager
def assumed() -> Iterator[None]:
    """Within, a process that was handed none at all takes them for given: the service alone has the service's, and
    others too may look whether a configuration is right."""
    token = _assumed.set(True)
    try:
        yield
    finally:
        _assumed.reset(token)


def with_credentials(spec: NodeSpec, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node's complete configuration with what the credentials hold in the place of their names. Refusal
    (invalid_config) where one is missing."""
    return revealed(config, spec, lambda name, place: _for_a_node(name, f"config.{place}"))


def filled(node_id: str, spec: NodeSpec, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for a node that is to play whatever is missing: its secret is empty then, and the log says why."""

    def read(name: str, place: str) -> str:
        try:
            return _for_a_node(name)
        except Refusal as refusal:
            fields = {"fields": {"node": node_id}}
            log.warning("%s goes without its %s: %s", node_id, place, refusal.message, extra=fields)
            return ""

    return revealed(config, spec, read)


def _for_a_node(name: str, where: str = "") -> str:
    if name.startswith(OWN):
        message = f"The credential '{name[:80]}' is the daemon's own, which no node gets."
        raise refuse("forbidden", [Problem("forbidden", message, where)])
    return credential(name, where)


def _folder() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return Path(folder) if folder else None
