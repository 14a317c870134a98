"""Playing a test signal into an input, beside what comes in anyway, for a limited time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.core import CoreError, Samples
from ..engine.core_probes import CoreInjection
from ..problems import Problem, Refusal, refuse
from . import signals
from .leaving import take_away
from .places import Place, find_input, known_part

if TYPE_CHECKING:
    from ..session import Session

FADE_MS = 5.0  # loses no onset, and does not click
MOST_SAMPLES = 1 << 24  # of all channels of one injection: 64 MiB
LOOK_S = 0.1  # between two looks whether one is over


class Injections:
    """Those that play, at most one at each input."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._playing: dict[str, CoreInjection] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def start(
        self,
        node_id: str,
        port: str,
        signal: signals.Signal,
        *,
        frequency: float,
        level_db: float,
        duration_s: float,
        seed: int,
        samples: list[list[float]] | None,
    ) -> dict[str, Any]:
        """From the next block on; one that plays there fades out. Gives the place and the first frame. A Refusal where
        there is no such place, or it became another while the sound was made."""
        place = find_input(self._session, node_id, port)
        if samples is not None and signal != "samples":
            message = f"These would not be heard, as the signal is '{signal}'. Make that 'samples', or leave them out."
            raise refuse("invalid_params", [Problem("alternatives", message, "samples")])
        if signal == "none":
            self.stop(place.name)
            return {"port": place.name, "frame": self._session.engine.frame, "frames": 0}
        frames = max(1, self._session.frames(1000 * duration_s))
        rate = self._session.engine.sample_rate
        if signal == "samples":
            sound = given(samples, place, frames)
        else:
            check_size(place, frames)
            if signal == "tone":
                sound = await asyncio.to_thread(signals.tone, frequency, level_db, frames, rate)
            elif signal == "noise":
                sound = await asyncio.to_thread(signals.noise, level_db, frames, seed)
            else:
                sound = signals.impulse(level_db, frames, self._session.frames(2 * FADE_MS))
        return await self._play(place, signals.spread(sound, place.channels))

    def stop(self, name: str) -> None:
        """Fades out what plays at an input, if anything does."""
        playing = self._playing.get(name)
        if playing is not None:
            playing.stop()

    def close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        for playing in self._playing.values():
            take_away(self._session, playing)
        self._playing.clear()

    async def _play(self, place: Place, sound: Samples) -> dict[str, Any]:
        session = self._session
        if not place.fits(known_part(session, place.node_id)):
            message = f"'{place.name}' carries other channels than when this was asked for. Try again."
            raise Refusal("conflict", message)
        fade_frames = min(session.frames(FADE_MS), sound.shape[1] // 4)
        try:
            injection = CoreInjection(place.number, sound, fade_frames, session.engine.block_frames)
            self.stop(place.name)
            adopted = session.stage.hang(injection, place.node_id, place.fits)
        except CoreError as error:
            raise Refusal("unavailable", f"It can't be played now: {error}. Try again.") from error
        self._playing[place.name] = injection
        watch = asyncio.create_task(self._watch(place.name, injection))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        frame = await asyncio.shield(adopted)
        return {"port": place.name, "frame": frame, "frames": sound.shape[1]}

    async def _watch(self, name: str, injection: CoreInjection) -> None:
        """Takes it down when it is over, or its node is gone."""
        while injection.left and name.partition(".")[0] in self._session.graph.nodes:  # noqa: ASYNC110 - C tells nobody
            await asyncio.sleep(LOOK_S)
        take_away(self._session, injection)
        if self._playing.get(name) is injection:
            del self._playing[name]


def given(samples: list[list[float]] | None, place: Place, frames: int) -> Samples:
    """Samples that came with the request, as (channels, frames), cut to `frames`. A Refusal where they don't fit."""
    problem = ""
    if not samples or not samples[0]:
        problem = "The signal 'samples' needs samples: a list of numbers for each channel."
    elif len({len(channel) for channel in samples}) > 1:
        problem = "All channels need the same number of samples."
    elif len(samples) not in (1, place.channels):
        problem = f"{place.name} has {place.channels} channels; give samples for one, or for each of them."
    if problem or not samples:
        raise refuse("invalid_params", [Problem("invalid_value", problem, "samples")])
    return np.array(samples, np.float32)[:, :frames]


def check_size(place: Place, frames: int) -> None:
    if place.channels * frames > MOST_SAMPLES:
        message = f"{place.channels} channels can be played into for {MOST_SAMPLES // place.channels} frames at most."
        raise refuse("invalid_params", [Problem("limit", message, "duration_s", {"maximum": MOST_SAMPLES})])
