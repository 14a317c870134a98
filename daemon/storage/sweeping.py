"""Forgetting secrets that nothing refers to any more.

To find them, all that is kept has to be read, which takes seconds where there is much. So it is done in pieces, after
the start, while the database has nothing else to do.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Generator, Iterator

from .journal import Unreadable, decompressed
from .restoring import NAMED
from .secret_file import REFERENCE, SecretFile

ENTRIES_AT_ONCE = 100  # some 0.1 MB, read in less than a millisecond
MOST_NAMED = 5  # of what can't be read; whoever has lost more looks at all of it anyway


def sweep(connection: sqlite3.Connection, secrets: SecretFile) -> Generator[None, None, str]:
    """Comes back after each piece. At the end, either secrets have been forgotten, or all are kept, since something
    can't be read that may refer to them: what it gives back says so. Raises sqlite3.Error, OSError."""
    found: set[str] = set()
    unreadable: list[str] = []
    for what, text in _all_kept(connection):
        if text is None:
            unreadable.append(what)
        else:
            found.update(reference.decode() for reference in REFERENCE.findall(text))
        yield
    if not unreadable:
        secrets.forget(found)
        return ""
    more = f" and {len(unreadable) - MOST_NAMED} more" if len(unreadable) > MOST_NAMED else ""
    return (
        f"Some of what is stored can't be read: {', '.join(unreadable[:MOST_NAMED])}{more}. It is left as it is, and no"
        " secret is forgotten while it is there. Snapshots and templates can be deleted; the rest goes as it gets old."
    )


def _all_kept(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes | None]]:
    """What it is, and its text, in which references may stand; None where it can't be read."""
    yield from _transactions(connection)
    for (revision,) in connection.execute("SELECT revision FROM graphs").fetchall():
        found = connection.execute("SELECT graph FROM graphs WHERE revision = ?", (revision,)).fetchone()
        yield f"the whole graph of revision {revision}", _text(found[0]) if found else b""
    for kind in NAMED:
        for name in kind.names(connection):
            packed = kind.packed(connection, name)
            yield f"the {kind.noun} '{name}'", _text(packed) if packed else b""


def _transactions(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes | None]]:
    """Some at once; where one is damaged, that one too."""
    last = -1
    query = "SELECT revision, crc, entry FROM transactions WHERE revision > ? ORDER BY revision LIMIT ?"
    while some := connection.execute(query, (last, ENTRIES_AT_ONCE)).fetchall():
        for revision, crc, entry in some:
            if zlib.crc32(entry) != crc:
                yield f"the transaction of revision {revision}", None
        last = some[-1][0]
        yield "", b"".join(entry for _, _, entry in some)


def _text(packed: bytes) -> bytes | None:
    try:
        return decompressed(packed)
    except Unreadable:
        return None
