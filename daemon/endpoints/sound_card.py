"""The outside half of a node that plays to, or captures from, a sound card.

The thread behind it is the core's (csrc/card.h): it opens the device, moves the samples, follows the card's clock and
tries again when the card is away. What is left to do here is to order it, and to say how it is doing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from .endpoint import EndpointState, Ring, Surroundings

log = logging.getLogger(__name__)

RING_S = 0.5  # an audio thread that was held up for a quarter of a second runs after what it missed: twice that fits
SILENT_DRIVER_S = 2.0  # a driver or server that has not answered for so long hangs
CLOSING_S = 1.0  # a card has played what it holds by then; one whose driver hangs has nothing that is worth waiting for
XRUNS_S = 0.3  # between two times that xruns are told: a machine that is overrun has them all the time
LOOK_S = 1.0  # how often a running card is asked whether it still answers


class CardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What of a node's configuration its card goes by. None: the engine's rate, its block size."""

    device: str
    rate: int | None
    format: Literal["auto", "s16", "s24_3", "s24_4", "s24_4_left", "s32", "f32"]
    period_frames: int | None
    periods: int
    drift: Literal["auto", "off"]
    buffer_ms: float


class Card(Protocol):
    """A card's thread."""

    @property
    def event_fd(self) -> int: ...
    @property
    def status(self) -> Any:
        """A CardStatus of daemon/engine/card.py."""

    @property
    def message(self) -> str: ...
    def start(self) -> None: ...
    def end(self, length: int | None) -> None: ...
    def join(self, timeout_s: float) -> bool: ...
    def clear_bell(self) -> None: ...


class SoundCard:
    """One direction of one device. On the event loop's thread throughout."""

    def __init__(self, node_id: str, settings: CardSettings, surroundings: Surroundings, *, capture: bool) -> None:
        self.node_id = node_id
        self.ring: Ring = surroundings.make_ring(surroundings.channels, round(RING_S * surroundings.sample_rate))
        self._settings = settings
        self._capture = capture
        self._on_state = surroundings.on_state
        self._on_gap = surroundings.on_gap
        self._xruns, self._xrun_ms = 0, 0.0  # those that were told
        self._xruns_told = -XRUNS_S
        self._told: tuple[str, str] = ("starting", "")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.TimerHandle | None = None
        self._card: Card | None = None
        if surroundings.make_card is None:  # nobody listens: nothing is opened, and nothing waits
            self.ring.close()
            return
        self._card = surroundings.make_card(
            settings.device,
            self.ring,
            capture=capture,
            engine_rate=surroundings.sample_rate,
            block_frames=surroundings.block_frames,
            rate=settings.rate or 0,
            format=settings.format,
            period_frames=settings.period_frames or 0,
            periods=settings.periods,
            follow=settings.drift == "auto",
            buffer_frames=round(settings.buffer_ms * surroundings.sample_rate / 1000),
        )

    @property
    def state(self) -> EndpointState:
        """Detail: device; once it was opened rate, format, period_frames, buffer_frames, mapped; whether it is the
        engine's clock; ppm, fill_ms, latency_ms; xruns, xrun_ms, silent_frames, resyncs, losses, clipped."""
        if self._card is None:
            return EndpointState("running", "Offline: no sound card is opened.", {"device": self._settings.device})
        status = self._card.status
        detail = {"device": self._settings.device, **_detail(status)}
        if status.state == "running" and status.quiet_s > SILENT_DRIVER_S:
            silent = f"The driver or server of {self._settings.device} has not answered for {status.quiet_s:.0f} s."
            return EndpointState("retrying", silent, detail)
        return EndpointState(status.state, self._card.message, detail)

    def start(self) -> None:
        if self._card is None:
            return
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._card.event_fd, self._hear)
        self._card.start()
        self._look = self._loop.call_later(LOOK_S, self._look_again)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Nothing of it is the card's: the gain is the core node's, and all else asks for another card."""

    def drain(self) -> None:
        """One that captures hears no more; what is in the ring plays out."""
        if self._card is not None:
            self._card.end(None)

    def close(self, length: int | None = None) -> None:
        if self._card is None:
            return
        if self._loop is not None:
            self._loop.remove_reader(self._card.event_fd)
            self._loop = None
        if self._look is not None:
            self._look.cancel()
        self._card.end(self.ring.written if length is None else length)

    def join(self, timeout_s: float) -> bool:
        return self._card is None or self._card.join(min(timeout_s, CLOSING_S))

    # ---- What the card tells -----------------------------------------------------------------------------------------

    def _hear(self) -> None:
        if self._card is not None:
            self._card.clear_bell()
            self._tell_xruns()
            self._tell()

    def _look_again(self) -> None:
        """A driver that hangs rings no bell."""
        if self._loop is not None:
            self._look = self._loop.call_later(LOOK_S, self._look_again)
            self._tell_xruns()
            if self.state.name != self._told[0]:
                self._tell()

    def _tell_xruns(self) -> None:
        now = time.monotonic()
        if self._card is None or now - self._xruns_told < XRUNS_S:
            return
        status = self._card.status
        xruns, lost_ms = status.xruns - self._xruns, status.xrun_ms - self._xrun_ms
        if xruns > 0:
            self._xruns, self._xrun_ms, self._xruns_told = status.xruns, status.xrun_ms, now
            how = f"{self._settings.device} ran {'over' if self._capture else 'dry'}"
            times = f", {xruns} times" if xruns > 1 else ""
            advice = "If that comes again, longer or more periods help (period_frames, periods)."
            self._on_gap(f"{how}{times}: {lost_ms:.1f} ms passed until it went on. {advice}")

    def _tell(self) -> None:
        state = self.state
        if state.name == "retrying" and self._told != (state.name, state.message):
            log.warning("%s: %s", self.node_id, state.message)
        self._told = (state.name, state.message)
        self._on_state(state)


def _detail(status: Any) -> dict[str, Any]:
    shown = {name: value for name, value in status._asdict().items() if name not in ("state", "quiet_s", "leads")}
    if not status.rate:  # not opened yet
        for name in ("rate", "format", "period_frames", "buffer_frames", "mapped"):
            del shown[name]
    for name, digits in (("ppm", 2), ("fill_ms", 2), ("latency_ms", 2), ("xrun_ms", 1)):
        shown[name] = round(shown[name], digits)
    return {"is_clock": status.leads, **shown}
