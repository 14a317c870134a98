"""The log, for whoever reads it: lines on a terminal or in a file, records with fields where systemd's journal listens.

    journalctl -u tonnetz TONNETZ_NODE=studio_feed      what became of one node
    journalctl -u tonnetz -p warning -o verbose         with the place in the source

A record's `extra={"fields": {"node": "studio_feed"}}` becomes `TONNETZ_NODE=`, in the journal only.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import TextIO

SOCKET = "/run/systemd/journal/socket"
LONGEST = 48 << 10  # bytes of a message; what does not fit into a datagram would have to go as a file
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))  # as syslog has them
DEBUG = 7


def set_up_log(level: str) -> None:
    """All of the process's log goes where it should: to the journal if that is what standard error is."""
    handler: logging.Handler
    if is_journal(sys.stderr):
        handler = JournalHandler()
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def is_journal(stream: TextIO) -> bool:
    """Whether this is the stream to the journal that $JOURNAL_STREAM names, as systemd recommends to ask."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or none of the system's
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


class JournalHandler(logging.Handler):
    """Sends each record with its fields. It never waits: what the journal does not take at once goes to standard
    error, which is the journal's too and can wait longer."""

    def __init__(self, address: str = SOCKET) -> None:
        super().__init__()
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._plain = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self._plain.format(record)  # with the traceback, if there is one
            self._send(record, text)
        except Exception:  # noqa: BLE001 - logging's own way for what goes wrong in it
            self.handleError(record)

    def _send(self, record: logging.LogRecord, text: str) -> None:
        message = b"".join(field(name, value) for name, value in fields(record, text))
        try:
            self._socket.sendto(message, self._address)
        except OSError:
            sys.stderr.write(f"<{priority(record.levelno)}>{text.splitlines()[0]}\n")

    def close(self) -> None:
        self._socket.close()
        super().close()


def fields(record: logging.LogRecord, text: str) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", text[:LONGEST]
    yield "PRIORITY", str(priority(record.levelno))
    yield "SYSLOG_IDENTIFIER", "tonnetzd"
    yield "CODE_FILE", record.pathname
    yield "CODE_LINE", str(record.lineno)
    yield "CODE_FUNC", record.funcName or ""
    yield "LOGGER", record.name
    for name, value in getattr(record, "fields", {}).items():
        yield f"TONNETZ_{name.upper()}", str(value)


def field(name: str, value: str) -> bytes:
    """One field as the journal's protocol has it: a value with newlines follows its length."""
    data = value.encode(errors="replace")
    if "\n" not in value:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


def priority(level: int) -> int:
    return next((number for least, number in PRIORITIES if level >= least), DEBUG)
