"""Live figures: levels, load, scopes and spectra, some tens of times a second.

Whoever wants the same at the same rate shares a feed: it is measured and written down once. A listener that does not
keep up gets the newest and misses what was in between.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ..engine.core import Samples
from ..engine.core_probes import Floats
from ..misfits import misfits
from ..problems import Refusal, refuse
from .decibels import decibels
from .levels import Layout, Selection
from .taps import Tap

if TYPE_CHECKING:
    from ..session import Session

log = logging.getLogger(__name__)

Port = Annotated[str, Meta(max_length=256, description="a port as node.port, or a connection as source:target")]


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest samples of a port."""

    port: Port
    frames: Annotated[int, Meta(ge=16, le=8192)] = 1024


class Spectrum(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The spectrum of a port's newest samples, its channels' powers added up."""

    port: Port
    size: Annotated[int, Meta(ge=64, le=16384)] = 2048


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a listener wants to be told, `rate` times a second. `nodes`: whose levels; null is all."""

    rate: Annotated[float, Meta(ge=1, le=60)] = 10.0
    nodes: Annotated[tuple[str, ...], Meta(max_length=10_000)] | None = None
    meters: Literal["json", "binary", "off"] = "json"
    scopes: Annotated[tuple[Scope, ...], Meta(max_length=4)] = ()
    spectra: Annotated[tuple[Spectrum, ...], Meta(max_length=4)] = ()


class Figures(msgspec.Struct, frozen=True):
    """One look: the text, with binary meters their frame, and the layout that this one is in."""

    text: str
    meters: bytes | None
    layout: str
    layout_number: int


Offer = Callable[[Figures], None]
# `TNZM`, layout number, frame; then a peak and an rms for each channel.
HEADER = struct.Struct("<4sIQ")


class Monitoring:
    """All feeds of a session, by what is wanted."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._feeds: dict[Wanted, Feed] = {}

    @staticmethod
    def wanted(given: Any) -> Wanted:
        """From plain data. A Refusal says all that is wrong with it."""
        try:
            return msgspec.convert(given, Wanted)
        except msgspec.ValidationError:
            raise refuse("invalid_params", list(misfits(given, Wanted, "What is wanted"))) from None

    def subscribe(self, wanted: Wanted, offer: Offer) -> Callable[[], None]:
        """From now on `offer` is called with every look; the function given back ends that. Raises a Refusal where
        there is no such port."""
        feed = self._feeds.get(wanted)
        if feed is None:
            feed = Feed(self._session, wanted)
            self._feeds[wanted] = feed
        listener = object()
        feed.listeners[listener] = offer

        def end() -> None:
            feed.listeners.pop(listener, None)
            if not feed.listeners and self._feeds.get(wanted) is feed:
                del self._feeds[wanted]
                feed.close()

        return end

    def close(self) -> None:
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()


class Feed:
    """Looks at one rate, and tells all its listeners. They must not wait."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        self.listeners: dict[object, Offer] = {}
        self._session = session
        self._wanted = wanted
        self._taps: dict[str, Tap] = {}
        self._selection: Selection | None = None
        self._layout = ""
        try:
            for port in [scope.port for scope in wanted.scopes] + [spectrum.port for spectrum in wanted.spectra]:
                if port not in self._taps:
                    self._taps[port] = session.probing.taps.open(port)
        except Refusal:
            self._close_taps()
            raise
        self._ear = session.probing.levels.listen()
        self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        self._task.cancel()
        self._ear.close()
        self._close_taps()

    def _close_taps(self) -> None:
        for tap in self._taps.values():
            tap.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                figures = self._look()
                for offer in list(self.listeners.values()):
                    offer(figures)
            except Exception:
                log.exception("looking at what plays failed")
            # Held up for longer than a period, it goes on from now: nobody wants old figures.
            due = max(due + 1 / self._wanted.rate, loop.time())
            await asyncio.sleep(due - loop.time())

    def _look(self) -> Figures:
        wanted, session = self._wanted, self._session
        told: dict[str, Any] = {"type": "figures", **session.runtime.status(), "revision": session.revision}
        meters: bytes | None = None
        number, layout = 0, ""
        if wanted.meters != "off":
            reading = self._ear.read()
            selection = self._selection_of(reading.layout)
            if wanted.meters == "json":
                told["meters"] = selection.in_decibels(reading)
            else:
                number, layout = reading.layout.number, self._layout
                meters = HEADER.pack(b"TNZM", number, told["frame"]) + _pairs(*selection.of(reading))
        if wanted.scopes:
            told["scopes"] = [self._scope(scope) for scope in wanted.scopes]
        if wanted.spectra:
            told["spectra"] = [self._spectrum(spectrum) for spectrum in wanted.spectra]
        return Figures(msgspec.json.encode(told).decode(), meters, layout, number)

    def _selection_of(self, layout: Layout) -> Selection:
        """The wanted ones of a layout's nodes, which stays for thousands of looks."""
        if self._selection is None or self._selection.layout is not layout:
            wanted = layout.nodes if self._wanted.nodes is None else set(self._wanted.nodes)
            self._selection = Selection(layout, [name for name in layout.nodes if name in wanted])
            nodes = list(map(list, self._selection.channels.items()))
            told = {"type": "layout", "layout": layout.number, "nodes": nodes}
            self._layout = msgspec.json.encode(told).decode()
        return self._selection

    def _scope(self, scope: Scope) -> dict[str, Any]:
        tap = self._tap(scope.port)
        if not tap.is_there:
            return {"port": scope.port, "gone": True}
        first, block = tap.newest(scope.frames)
        return {"port": scope.port, "frame": first, "samples": np.round(block.astype(np.float64), 5).tolist()}

    def _spectrum(self, spectrum: Spectrum) -> dict[str, Any]:
        tap = self._tap(spectrum.port)
        if not tap.is_there:
            return {"port": spectrum.port, "gone": True}
        first, block = tap.newest(spectrum.size)
        hz = self._session.engine.sample_rate / spectrum.size
        return {"port": spectrum.port, "frame": first, "hz_per_bin": hz, "level_db": spectrum_db(block, spectrum.size)}

    def _tap(self, port: str) -> Tap:
        """A port that went and came again, or has other channels now, needs another tap."""
        if not self._taps[port].is_there:
            try:
                tap = self._session.probing.taps.open(port)
            except Refusal:
                return self._taps[port]
            self._taps[port].close()
            self._taps[port] = tap
        return self._taps[port]


def spectrum_db(block: Samples, size: int) -> list[float | None]:
    """Levels per bin, in dBFS: a sine at full scale is 0, silence null. Where samples lack, silence came before."""
    if not block.size:
        return [None] * (size // 2 + 1)
    window = _window(size)
    filled = np.zeros((block.shape[0], size))
    filled[:, size - block.shape[1] :] = block
    spectra = np.abs(np.fft.rfft(filled * window)) * 2 / window.sum()
    return decibels(np.sum(np.square(spectra), axis=0), 10, digits=1)


@functools.lru_cache(maxsize=16)  # of at most 128 kB each
def _window(size: int) -> NDArray[np.float64]:
    window = np.hanning(size + 1)[:size]
    window.flags.writeable = False
    return window


def _pairs(peaks: Floats, squares: Floats) -> bytes:
    return np.stack([peaks, np.sqrt(squares)], axis=1).astype("<f4").tobytes()
