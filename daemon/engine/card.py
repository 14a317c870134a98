"""A sound card of the core's (csrc/card.h): a thread in C that moves frames between a PCM and a ring, and tries again
where it fails. Python orders it, looks at it, and ends it; no sample passes through here."""

from __future__ import annotations

import contextlib
import os
from typing import Literal, NamedTuple

from tonnetz._core import ffi, lib

from .core import check, made, text
from .ring import Ring

Format = Literal["auto", "s16", "s24_3", "s24_4", "s24_4_left", "s32", "f32"]
CardState = Literal["starting", "running", "retrying", "ended"]

_FORMATS: dict[Format, int] = {
    "auto": lib.TZ_FORMAT_AUTO,
    "s16": lib.TZ_FORMAT_S16,
    "s24_3": lib.TZ_FORMAT_S24_3,
    "s24_4": lib.TZ_FORMAT_S24_4,
    "s24_4_left": lib.TZ_FORMAT_S24_4_LEFT,
    "s32": lib.TZ_FORMAT_S32,
    "f32": lib.TZ_FORMAT_F32,
}
_FORMAT_NAMES = {number: name for name, number in _FORMATS.items()}
_STATES: dict[int, CardState] = {
    lib.TZ_CARD_STARTING: "starting",
    lib.TZ_CARD_RUNNING: "running",
    lib.TZ_CARD_RETRYING: "retrying",
    lib.TZ_CARD_ENDED: "ended",
}


class CardStatus(NamedTuple):
    """How a card is. csrc/tonnetz_core.h explains the counts."""

    state: CardState
    leads: bool
    rate: int
    period_frames: int
    buffer_frames: int
    format: Format
    mapped: bool
    xruns: int
    silent_frames: int
    resyncs: int
    clipped: int
    losses: int
    xrun_ms: float
    quiet_s: float
    ppm: float
    fill_ms: float
    latency_ms: float


class Card:
    """One direction of one device, at the far end of a node's ring."""

    def __init__(
        self,
        device: str,
        ring: Ring,
        *,
        capture: bool,
        engine_rate: int,
        block_frames: int,
        rate: int = 0,
        format: Format = "auto",
        period_frames: int = 0,
        periods: int = 0,
        follow: bool = True,
        buffer_frames: int = 0,
        realtime_priority: int = 0,
    ) -> None:
        """`rate`, `period_frames` and `periods` of 0 are the engine's rate, its block, and 3. `follow`: a clock that is
        not the engine's is followed by resampling."""
        wanted = {
            "capture": capture,
            "channels": ring.channels,
            "rate": rate,
            "format": _FORMATS[format],
            "period_frames": period_frames,
            "periods": periods,
            "follow": follow,
            "buffer_frames": buffer_frames,
            "engine_rate": engine_rate,
            "block_frames": block_frames,
            "realtime_priority": realtime_priority,
        }
        order = ffi.new("struct tz_card_order *", wanted)
        handle = lib.tz_card_new(device.encode(), order, ring.handle)
        self.handle = made(handle, lib.tz_card_release, f"a card for {device}")

    def start(self) -> None:
        check(lib.tz_card_start(self.handle), "a sound card's thread")

    def end(self, length: int | None) -> None:
        """Begins the end. Of all frames that the ring of a card that plays was given, `length` are heard; None: those
        that it was given until now."""
        lib.tz_card_end(self.handle, 0 if length is None else length)

    def join(self, timeout_s: float) -> bool:
        """Waits until the thread is gone. False: it was not in time."""
        return bool(lib.tz_card_join(self.handle, round(timeout_s * 1000)))

    @property
    def event_fd(self) -> int:
        return int(lib.tz_card_event_fd(self.handle))

    def clear_bell(self) -> None:
        """Lets `event_fd` be quiet until something new happens."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)

    @property
    def status(self) -> CardStatus:
        status = ffi.new("struct tz_card_status *")
        lib.tz_card_status(self.handle, status)
        plain = {name: getattr(status, name) for name in CardStatus._fields}
        return CardStatus(**{**plain, "state": _STATES[status.state], "format": _FORMAT_NAMES[status.format]})

    @property
    def message(self) -> str:
        """Why it is not running; empty while it is."""
        size = lib.tz_card_message(self.handle, ffi.NULL, 0) + 1
        buffer = ffi.new("char[]", size)
        lib.tz_card_message(self.handle, buffer, size)
        return text(buffer)
