"""The database file: opened, brought up to date, checked, and set aside when it is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from .schema import APPLICATION_ID, MIGRATIONS, VERSION

Durability = Literal["crash", "full"]

FILE = "tonnetz.db"
BESIDE = ("", "-wal", "-shm")  # what SQLite keeps beside the file, by their suffix
BUSY_S = 5.0  # how long a writer waits for somebody who looks into the file with another program
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DISK = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
)


class TooNew(Exception):
    """A later version of the program has written this database."""


class Damaged(Exception):
    """The file is no database, or its pages do not fit together."""


def open_database(folder: Path, durability: Durability) -> sqlite3.Connection:
    """The database in a folder, made or brought to the present version. Raises TooNew, Damaged, sqlite3.Error."""
    connection = sqlite3.connect(folder / FILE, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL syncs at checkpoints alone: what was committed outlives the process, not a loss of power.
        connection.execute(f"PRAGMA synchronous={'FULL' if durability == 'full' else 'NORMAL'}")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # the writer does it between two batches, not within one
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise TooNew(f"{folder / FILE} is of version {version}, and this program knows versions up to {VERSION}")
        if version and (flaw := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise Damaged(flaw)
        for step in range(version, VERSION):
            _migrate(connection, step)
    except BaseException as error:
        connection.close()
        if is_damage(error):
            raise Damaged(str(error)) from error
        raise
    return connection


def _migrate(connection: sqlite3.Connection, step: int) -> None:
    """One version onward, whole or not at all."""
    with transaction(connection):
        for statement in MIGRATIONS[step].split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={step + 1}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is done within is kept, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def is_damage(error: BaseException) -> bool:
    """Whether this is not the disk's trouble of the moment, but the file's for good."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, Damaged) or (isinstance(code, int) and code & 0xFF in _DAMAGE)


def is_the_disks(error: BaseException) -> bool:
    """Whether the disk does not take, or give, what it will perhaps take later."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, OSError) or (isinstance(code, int) and code & 0xFF in _DISK)


def set_aside(folder: Path) -> Path:
    """Moves a damaged database out of the way, into a folder of its own, which is given back."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    number = 1
    while (aside := folder / f"damaged-{stamp}{f'-{number}' if number > 1 else ''}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for suffix in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder / f"{FILE}{suffix}", aside / f"{FILE}{suffix}")
    return aside


def open_without_writing(folder: Path) -> sqlite3.Connection:
    """A database on a disk that takes nothing now, to read from. The index of its log is kept in memory: there may be
    no room for its file. Nobody else may use the database meanwhile. Raises sqlite3.Error."""
    uri = f"{(folder / FILE).absolute().as_uri()}?mode=rw"  # not made where there is none
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    return connection


def open_to_read(folder: Path) -> sqlite3.Connection:
    """A database that is not to be changed: one set aside, or that of a daemon at work. Raises sqlite3.Error."""
    uri = f"{(folder / FILE).absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


def words(error: BaseException) -> str:
    """An error as a message says it: what the system said, where there is such a thing."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    name = getattr(error, "sqlite_errorname", "")
    return f"{error} ({name})" if name else str(error)
