"""daemon/service/log.py and event_log.py: the log with fields, for the journal."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import struct
from pathlib import Path

import pytest

from tonnetz.daemon.events import Hub
from tonnetz.daemon.service import log as service_log
from tonnetz.daemon.service.event_log import log_events


def read_entry(data: bytes) -> dict[str, str]:
    """One entry of the journal's own protocol."""
    found = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if equals:
            found[name.decode()], data = value.decode(), rest
        else:
            (size,) = struct.unpack_from("<Q", rest)
            found[name.decode()], data = rest[8 : 8 + size].decode(), rest[9 + size :]
    return found


def test_records_go_to_the_journal_with_priority_and_fields(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        handler = service_log.JournalHandler(str(tmp_path / "journal"))
        log = logging.getLogger("tonnetz.test_log")
        log.propagate = False
        log.addHandler(handler)
        log.setLevel("DEBUG")
        log.warning("%s is retrying", "feed", extra={"fields": {"node": "feed"}})
        entry = read_entry(listening.recv(100_000))
        assert entry["MESSAGE"] == "feed is retrying" and entry["PRIORITY"] == "4"
        assert entry["TONNETZ_NODE"] == "feed" and entry["LOGGER"] == "tonnetz.test_log"
        assert entry["SYSLOG_IDENTIFIER"] == "tonnetzd" and entry["CODE_FILE"] == __file__
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception("it failed")
        entry = read_entry(listening.recv(100_000))
        assert entry["MESSAGE"].startswith("it failed\nTraceback") and "two\nlines" in entry["MESSAGE"]
        assert entry["PRIORITY"] == "3"
        for level, priority in (("DEBUG", "7"), ("INFO", "6"), ("CRITICAL", "2")):
            log.log(getattr(logging, level), "x" * 1_000_000)
            entry = read_entry(listening.recv(100_000))
            assert entry["PRIORITY"] == priority and entry["MESSAGE"] == "x" * service_log.LONGEST
        log.removeHandler(handler)
        handler.close()


def test_a_journal_that_takes_nothing_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = service_log.JournalHandler(str(tmp_path / "nobody"))
    handler.emit(logging.LogRecord("tonnetz", logging.ERROR, __file__, 1, "lost", None, None))
    assert capsys.readouterr().err == "<3>lost\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(str(tmp_path / "nobody"))
        for number in range(10_000):
            handler.emit(logging.LogRecord("tonnetz", logging.INFO, __file__, 1, str(number), None, None))
    assert "<6>9999" in capsys.readouterr().err
    handler.close()


def test_the_journal_is_told_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        for text, expected in (
            (f"{found.st_dev}:{found.st_ino}", True),
            (f"{found.st_dev}:{found.st_ino + 1}", False),
            ("", False),
        ):
            monkeypatch.setenv("JOURNAL_STREAM", text)
            assert not service_log.is_journal(io.StringIO())
            assert service_log.is_journal(stream) is expected


async def test_a_nodes_trouble_is_logged_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    hub = Hub()
    with log_events(hub):
        for state, message in (
            ("starting", ""),
            ("running", ""),
            ("retrying", "no such card"),
            ("retrying", "no such card"),
            ("failed", "it is broken"),
            ("running", ""),
            ("running", ""),
        ):
            hub.publish(
                "node_state_changed", {"node_id": "mic", "state": state, "state_message": message, "detail": {}}
            )
        await asyncio.sleep(0.01)
    assert [record.getMessage() for record in caplog.records] == [
        "mic is retrying: no such card",
        "mic is failed: it is broken",
        "mic is running again",
    ]
    assert caplog.records[0].fields == {"node": "mic", "state": "retrying"}  # type: ignore[attr-defined]
    assert hub.listeners == 0
