"""daemon/rfc3339.py."""

from __future__ import annotations

from tonnetz.daemon.rfc3339 import nanoseconds, written


def test_times_are_written_in_utc_and_read_back() -> None:
    noon = nanoseconds("2026-05-04T14:00:00.123456+02:00")
    assert written(noon, "microseconds") == "2026-05-04T12:00:00.123456Z"
    assert written(noon, "milliseconds") == "2026-05-04T12:00:00.123Z"
    assert written(noon + 999, "seconds") == "2026-05-04T12:00:00Z"
    assert nanoseconds(written(noon, "microseconds")) == noon


def test_times_are_read_as_rfc_3339() -> None:
    assert nanoseconds("1970-01-01T00:00:01Z") == 1_000_000_000
    assert nanoseconds("1970-01-01t01:00:00.25+01:00") == 250_000_000
    assert nanoseconds("1969-12-31 23:59:59.5-00:00") == -500_000_000
