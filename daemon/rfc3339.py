"""A time of day as it is written in requests and answers: RFC 3339, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from .problems import Problem, refuse

Grain = Literal["seconds", "milliseconds", "microseconds"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written(time_ns: int, grain: Grain) -> str:
    """`2026-05-04T12:00:00.250Z`, from ns since 1970; what is finer than the grain is cut off."""
    moment = EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.isoformat(timespec=grain).replace("+00:00", "Z")


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
