"""What ALSA knows and pyalsaaudio does not tell: devices in words, ranges, which volumes have decibels. In the worker
alone.

pyalsaaudio would count the channels of a device one by one, up to the four thousand millions of `null`, and makes up
decibels for a control that has none.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

Direction = Literal["playback", "capture"]
DIRECTIONS: tuple[Direction, Direction] = ("playback", "capture")  # in ALSA's order
USES: dict[str, tuple[Direction, ...]] = {"Output": ("playback",), "Input": ("capture",)}  # else both
NONBLOCK = 1


class AlsaError(Exception):
    """ALSA refused. `number` is the errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Hint(msgspec.Struct, frozen=True):
    """A device by name, in words (which the configuration may lack), and what it can be used for."""

    name: str
    description: str
    directions: tuple[Direction, ...]


class Range(msgspec.Struct, frozen=True):
    """From lowest to highest, both included."""

    minimum: int
    maximum: int


class Ranges(msgspec.Struct, frozen=True):
    """What a device can be opened with."""

    rates: list[int]
    rate: Range
    channels: Range
    period_frames: Range
    periods: Range
    buffer_frames: Range


@functools.cache
def library() -> Any:
    return ctypes.CDLL("libasound.so.2")


def checked(result: int) -> int:
    if result < 0:
        raise AlsaError(-result)
    return result


def hints() -> list[Hint]:
    """Every device that ALSA's configuration names for people; plain `hw:0` and the like can be given all the same."""
    alsa = library()
    alsa.snd_device_name_get_hint.restype = ctypes.c_void_p
    alsa.snd_device_name_get_hint.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    found = ctypes.POINTER(ctypes.c_void_p)()
    checked(alsa.snd_device_name_hint(-1, b"pcm", ctypes.byref(found)))
    named: dict[str, Hint] = {}
    try:
        place = 0
        while hint := found[place]:
            name, description, use = (_hint_text(hint, key) for key in (b"NAME", b"DESC", b"IOID"))
            place += 1
            directions = USES.get(use, DIRECTIONS)
            if name in named:  # each direction may have an entry of its own
                directions = tuple(dict.fromkeys((*named[name].directions, *directions)))
                description = named[name].description or description
            if name:
                named[name] = Hint(name, ", ".join(description.split("\n")), directions)
    finally:
        alsa.snd_device_name_free_hint(found)
    return list(named.values())


def _hint_text(hint: int, key: bytes) -> str:
    text = library().snd_device_name_get_hint(hint, key)
    if not text:
        return ""
    try:
        return ctypes.string_at(text).decode(errors="replace")
    finally:
        free = ctypes.CDLL(None).free
        free.argtypes = [ctypes.c_void_p]
        free(text)


# ---- PCMs ------------------------------------------------------------------------------------------------------------


def ranges(device: str, direction: Direction, rates: Sequence[int]) -> Ranges:
    """Opens the device for a moment; `rates` are those that are asked about one by one. AlsaError.

    Rates are the card's own, also of devices that could convert: a node has a resampler of its own, and lets ALSA use
    none.
    """
    alsa = library()
    pcm, params = ctypes.c_void_p(), ctypes.c_void_p()
    checked(alsa.snd_pcm_open(ctypes.byref(pcm), device.encode(), DIRECTIONS.index(direction), NONBLOCK))
    try:
        checked(alsa.snd_pcm_hw_params_malloc(ctypes.byref(params)))
        checked(alsa.snd_pcm_hw_params_any(pcm, params))
        alsa.snd_pcm_hw_params_set_rate_resample(pcm, params, 0)
        return Ranges(
            rates=[rate for rate in rates if alsa.snd_pcm_hw_params_test_rate(pcm, params, rate, 0) == 0],
            rate=_range("rate", params),
            channels=_range("channels", params, has_direction=False),
            period_frames=_range("period_size", params, ctypes.c_ulong),
            periods=_range("periods", params),
            buffer_frames=_range("buffer_size", params, ctypes.c_ulong, has_direction=False),
        )
    finally:
        alsa.snd_pcm_hw_params_free(params)
        alsa.snd_pcm_close(pcm)


def _range(name: str, params: ctypes.c_void_p, kind: Any = ctypes.c_uint, has_direction: bool = True) -> Range:
    ends = []
    for end in ("min", "max"):
        value, rounded = kind(), ctypes.c_int()
        more = (ctypes.byref(rounded),) if has_direction else ()
        checked(getattr(library(), f"snd_pcm_hw_params_get_{name}_{end}")(params, ctypes.byref(value), *more))
        ends.append(int(value.value))
    return Range(*ends)


# ---- Mixers ----------------------------------------------------------------------------------------------------------


def decibel_ranges(mixer: str) -> dict[tuple[str, int, Direction], tuple[int, int]]:
    """Of each volume that has decibels, by control, index and direction: lowest and highest in hundredths of a dB."""
    alsa = library()
    for function in ("snd_mixer_first_elem", "snd_mixer_elem_next"):
        getattr(alsa, function).restype = ctypes.c_void_p
    alsa.snd_mixer_selem_get_name.restype = ctypes.c_char_p
    found: dict[tuple[str, int, Direction], tuple[int, int]] = {}
    with _loaded(mixer) as handle:
        element = ctypes.c_void_p(alsa.snd_mixer_first_elem(handle))
        while element:
            name = alsa.snd_mixer_selem_get_name(element).decode(errors="replace")
            index = int(alsa.snd_mixer_selem_get_index(element))
            for direction in DIRECTIONS:
                low, high = ctypes.c_long(), ctypes.c_long()
                has_volume = getattr(alsa, f"snd_mixer_selem_has_{direction}_volume")(element)
                told = getattr(alsa, f"snd_mixer_selem_get_{direction}_dB_range")
                if has_volume and told(element, ctypes.byref(low), ctypes.byref(high)) == 0 and low.value < high.value:
                    found[name, index, direction] = (low.value, high.value)
            element = ctypes.c_void_p(alsa.snd_mixer_elem_next(element))
    return found


@contextlib.contextmanager
def _loaded(mixer: str) -> Iterator[ctypes.c_void_p]:
    alsa = library()
    handle = ctypes.c_void_p()
    checked(alsa.snd_mixer_open(ctypes.byref(handle), 0))
    try:
        checked(alsa.snd_mixer_attach(handle, mixer.encode()))
        checked(alsa.snd_mixer_selem_register(handle, None, None))
        checked(alsa.snd_mixer_load(handle))
        yield handle
    finally:
        alsa.snd_mixer_close(handle)
