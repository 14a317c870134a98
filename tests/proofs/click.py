"""How much an edit clicks: what it adds to a 997 Hz sine at -6 dBFS, more than 500 Hz away from it, in the 50 ms around it.

The band around the sine is taken out of the whole recording by its Fourier transform (all of it up to 400 Hz away, none from 500 Hz on), so no
window weighs down any part of what the edit does: what is left within the 50 ms counts in full. The recording itself is faded in and out
over an eighth of its length; what that leaks lies far from the 50 ms, and a sine that nobody edits measures below -140 dBFS. A full-scale
sine is 0 dBFS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tonnetz.daemon.graph.edits import AddNode, AnyEdit

from ..rig import RATE, Samples, decibels, tail_free
from .live_machine import BLOCK, SETTLED, Player

FREQUENCY = 997.0
BAND, EDGE = 500.0, 100.0  # Hz; without a soft edge a click would smear over the whole recording
LEVEL_DB = -6.0
BEFORE, AFTER = 12_800, 19_200  # frames recorded: multiples of a block
LEAD, WINDOW = 240, 2_400  # the 50 ms begin 5 ms before the edit
PHASES = (0, 1, 2, 4)  # blocks later: 0, 0.33, 0.66 and 0.32 of a turn (the last a quarter of a turn off in steepness)
FADE = 960  # frames of the default fade
GOAL_DB = -80.0

SINE = {"wave": "sine", "frequency": FREQUENCY, "level_db": LEVEL_DB}
NOISE = {"wave": "pink", "level_db": LEVEL_DB, "seed": 5}


@dataclass(frozen=True)
class Case:
    """An edit of a graph in which `a` is the sound and `z` an ear that hears two channels."""

    name: str
    graph: tuple[AnyEdit, ...]  # beside these two, and what is connected
    edits: tuple[AnyEdit, ...]
    source: Mapping[str, Any] = field(default_factory=dict)  # of `a`, beside its sound


@contextmanager
def _playing(case: Case, sound: Mapping[str, Any]) -> Iterator[Player]:
    loop = asyncio.new_event_loop()
    player = Player(loop)
    try:
        source = AddNode(type="tone", id="a", config={**sound, **case.source})
        ear = AddNode(type="ear", id="z", config={"channels": 2})
        player.apply((source, ear, *case.graph), fade_ms=0.0)
        player.wait(player.session.runtime.start())
        yield player
    finally:
        player.close()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def recorded(case: Case, sound: Mapping[str, Any], later: int = 0, fade_ms: float | None = None) -> Samples:
    """What `z` hears from BEFORE frames before the edit to AFTER frames after it. `later`: in blocks, so at another phase."""
    with _playing(case, sound) as player:
        player.play(SETTLED + later)
        pieces = [player.play(BEFORE // BLOCK)["z"]]
        if case.edits:
            player.apply(case.edits, fade_ms=fade_ms)
        pieces.append(player.play(AFTER // BLOCK)["z"])
        return np.concatenate(pieces, axis=1)


def outside(channel: NDArray[Any]) -> NDArray[np.float64]:
    """A channel without the band around the sine."""
    faded = tail_free(channel)
    away = np.abs(np.fft.rfftfreq(faded.size, 1 / RATE) - FREQUENCY)
    kept = np.clip((away - BAND + EDGE) / EDGE, 0, 1)
    return np.fft.irfft(np.fft.rfft(faded) * kept**2 * (3 - 2 * kept), faded.size)


def energy(rest: NDArray[np.float64], begin: int) -> float:
    """Of the 50 ms that begin there; a full-scale sine has 1."""
    return float(np.mean(rest[begin : begin + WINDOW] ** 2) / 0.5)


class Residual(NamedTuple):
    db: float  # dBFS
    over_db: float  # how far the sound itself goes beyond full scale


def residual(case: Case, phases: Sequence[int] = PHASES, fade_ms: float | None = None) -> Residual:
    """The worst of some phases and both channels. What is there without the edit does not count (a compressor bends a sine, a square has
    overtones): before it, or when it has settled."""
    worst = loudest = 0.0
    for later in phases:
        sound = recorded(case, SINE, later, fade_ms)
        loudest = max(loudest, float(np.abs(sound).max()))
        for channel in sound:
            rest = outside(channel)
            steady = max(energy(rest, BEFORE - 2 * WINDOW), energy(rest, BEFORE + AFTER - 3 * WINDOW))
            worst = max(worst, energy(rest, BEFORE - LEAD) - 2 * steady)  # twice: noise is not the same at all times
    return Residual(float(10 * np.log10(max(worst, 1e-20))), max(0.0, float(decibels(loudest))))


def steps(case: Case, fade_ms: float | None = None) -> tuple[float, float]:
    """With pink noise: the largest step from one sample to the next during the edit's fade, and the largest that is allowed: the larger of those in
    the same frames of the sound without the edit and of that with it from the beginning, and what a fade of both may add."""
    places = slice(BEFORE - LEAD, BEFORE + FADE + LEAD)
    edited, before, after = (
        recorded(told, NOISE, fade_ms=fade_ms)[:, places].astype(np.float64)
        for told in (case, replace(case, edits=()), replace(case, graph=(*case.graph, *case.edits), edits=()))
    )
    own = max(float(np.abs(np.diff(sound)).max()) for sound in (before, after))
    fade = np.pi / 2 / FADE * float(np.abs(before).max() + np.abs(after).max())
    return float(np.abs(np.diff(edited)).max()), own + fade
