"""A time of day as it is written in requests: RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .problems import Problem, refuse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(text: str) -> int:
    """A time in RFC 3339 as ns since 1970. A Refusal where it is none, or does not say how far from UTC it is."""
    try:
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            raise ValueError("no offset")
        return (moment - EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError):
        message = (
            f"'{text[:60]}' is no time in RFC 3339, such as 2026-05-04T12:00:00.25Z or 2026-05-04T14:00:00+02:00. "
            "A frame is a number."
        )
        raise refuse("invalid_params", [Problem("invalid_value", message, "at")]) from None
