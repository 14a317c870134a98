"""Volumes and switches of cards: looked at, set, and watched for what others change. In the worker alone."""

from __future__ import annotations

import contextlib
import select
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import alsaaudio

from . import MOST_WATCHED, libasound
from .libasound import DIRECTIONS, Direction

SETTLE_S = 0.05  # a fader that is dragged changes many times a second: told once when it rests, or so often
VOLUME_WORDS = {"playback": ("Volume", "Playback Volume"), "capture": ("Capture Volume",)}
SWITCH_WORDS = {"playback": ("Mute", "Playback Mute"), "capture": ("Capture Mute",)}


def controls(mixer: str) -> list[dict[str, Any]]:
    """Each volume or switch: control, index (of several of one name), direction, volume (percent per channel),
    volume_db (the same in dB, None where the card does not say), range_db, mute (per channel, None: no switch).
    """
    decibels = libasound.decibel_ranges(mixer)
    return [
        told
        for name, index in _names(mixer)
        for told in _sides(alsaaudio.Mixer(name, index, device=mixer), name, index, decibels)
    ]


def _names(mixer: str) -> Iterator[tuple[str, int]]:
    """Several controls of one name are told apart by an index."""
    seen: Counter[str] = Counter()
    for name in alsaaudio.mixers(device=mixer):
        yield name, seen[name]
        seen[name] += 1


def _sides(control: Any, name: str, index: int, decibels: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    try:
        for direction in DIRECTIONS:
            side = DIRECTIONS.index(direction)
            has_volume = bool({*control.volumecap()} & {*VOLUME_WORDS[direction]})
            has_switch = bool({*control.switchcap()} & {*SWITCH_WORDS[direction]})
            if not has_volume and not has_switch:
                continue
            in_db = decibels.get((name, index, direction)) if has_volume else None
            levels = control.getvolume(side, alsaaudio.VOLUME_UNITS_DB) if in_db else None
            switches = (control.getmute() if side == 0 else control.getrec()) if has_switch else None
            yield {
                "control": name,
                "index": index,
                "direction": direction,
                "volume": control.getvolume(side) if has_volume else None,
                "volume_db": [level / 100 for level in levels] if levels else None,
                "range_db": [end / 100 for end in in_db] if in_db else None,
                "mute": None if switches is None else [bool(on) != (direction == "capture") for on in switches],
            }
    finally:
        control.close()


def change(
    mixer: str,
    control: str,
    index: int,
    direction: Direction,
    volume: float | None = None,
    volume_db: float | None = None,
    mute: bool | None = None,
) -> None:
    """Sets all channels of one control, which was found by `controls` to have what is set."""
    opened = alsaaudio.Mixer(control, index, device=mixer)
    side = DIRECTIONS.index(direction)
    try:
        if volume is not None:
            opened.setvolume(round(volume), pcmtype=side)
        if volume_db is not None:
            opened.setvolume(round(volume_db * 100), pcmtype=side, units=alsaaudio.VOLUME_UNITS_DB)
        if mute is not None and direction == "playback":
            opened.setmute(int(mute))
        elif mute is not None:
            opened.setrec(int(not mute))
    finally:
        opened.close()


class Watch:
    """Tells when something of the mixers looked at changes, by whomever. One handle hears of all controls of a card."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._watched: dict[str, tuple[Any, list[dict[str, Any]]]] = {}  # a handle, and what was told last
        self._by_descriptor: dict[int, str] = {}
        self._restless: dict[str, float] = {}  # when to look

    def fileno(self) -> int:
        """Readable while something may have changed."""
        return self._poll.fileno()

    def add(self, mixer: str, known: list[dict[str, Any]]) -> None:
        """Watches a mixer from now on; `known` is how it is."""
        if mixer in self._watched or not known:
            return
        while len(self._watched) >= MOST_WATCHED:
            self._drop(next(iter(self._watched)))
        handle = alsaaudio.Mixer(known[0]["control"], known[0]["index"], device=mixer)
        self._watched[mixer] = (handle, known)
        for descriptor, events in handle.polldescriptors():
            self._by_descriptor[descriptor] = mixer
            self._poll.register(descriptor, events)

    @property
    def due_s(self) -> float | None:
        """In how many seconds `changes` should be asked, whether anything is readable or not. None: not at all."""
        return max(0.0, min(self._restless.values()) - time.monotonic()) if self._restless else None

    def changes(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Mixers that have changed, and of each the controls that did. A card that went away is no longer watched."""
        now = time.monotonic()
        for descriptor, _ in self._poll.poll(0):
            mixer = self._by_descriptor[descriptor]
            try:
                self._watched[mixer][0].handleevents()
            except alsaaudio.ALSAAudioError:
                self._drop(mixer)
            else:
                self._restless.setdefault(mixer, now + SETTLE_S)
        for mixer in [mixer for mixer, at in self._restless.items() if at <= now]:
            del self._restless[mixer]
            handle, known = self._watched[mixer]
            try:
                found = controls(mixer)
            except (alsaaudio.ALSAAudioError, libasound.AlsaError):
                self._drop(mixer)
                continue
            self._watched[mixer] = (handle, found)
            if changed := [control for control in found if control not in known]:
                yield mixer, changed

    def _drop(self, mixer: str) -> None:
        if mixer not in self._watched:
            return
        handle, _ = self._watched.pop(mixer)
        self._restless.pop(mixer, None)
        for descriptor in [one for one, name in self._by_descriptor.items() if name == mixer]:
            del self._by_descriptor[descriptor]
            with contextlib.suppress(OSError):
                self._poll.unregister(descriptor)
        handle.close()
