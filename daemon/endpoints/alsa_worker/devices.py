"""Cards and devices, looked at through pyalsaaudio. In the worker alone: every call here may hang."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alsaaudio
import msgspec

from . import libasound
from .libasound import DIRECTIONS, Direction
from .names import card_of

# What a device is opened with where nothing else is wished; it may give something near.
USUAL_RATE, USUAL_CHANNELS, USUAL_PERIOD, USUAL_PERIODS = 48000, 2, 1024, 4
# The rates that are told one by one; a device may have others between its lowest and highest.
RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 64000, 88200, 96000, 176400, 192000, 352800, 384000)


def cards() -> list[dict[str, Any]]:
    """index, id, name, long_name of each."""
    found = []
    for index in alsaaudio.card_indexes():
        with contextlib.suppress(alsaaudio.ALSAAudioError, OSError):  # pulled out this moment
            name, long_name = alsaaudio.card_name(index)
            id = Path(f"/proc/asound/card{index}/id").read_text().strip()
            found.append({"index": index, "id": id, "name": name, "long_name": long_name})
    return found


def devices() -> dict[str, Any]:
    """`cards`, and `devices`: name, description, directions, and the id of the card it is on, if any."""
    found = cards()
    ids = {card["index"]: card["id"] for card in found}
    hints = [msgspec.to_builtins(hint) | {"card": card_of(hint.name, ids)} for hint in libasound.hints()]
    return {"cards": found, "devices": hints}


def abilities(device: str, direction: Direction) -> dict[str, Any]:
    """What a device can be opened with, which opens it: formats, rates, and lowest and highest of everything."""
    with _opened(device, direction) as pcm:
        formats = list(pcm.getformats())
    return {"formats": formats, **msgspec.to_builtins(libasound.ranges(device, direction, RATES))}


def try_out(device: str, direction: Direction, **wanted: Any) -> dict[str, Any]:
    """Opens a device by wishes (rate, channels, format, period_frames, periods; None: as usual): what it gave."""
    with _opened(device, direction, **{name: value for name, value in wanted.items() if value is not None}) as pcm:
        got = pcm.info()
    return {
        "rate": got["rate"],
        "channels": got["channels"],
        "format": got["format_name"],
        "period_frames": got["period_size"],
        "periods": got["periods"],
        "buffer_frames": got["buffer_size"],
    }


@contextlib.contextmanager
def _opened(
    device: str,
    direction: Direction,
    *,
    rate: int = USUAL_RATE,
    channels: int = USUAL_CHANNELS,
    format: str = "S16_LE",
    period_frames: int = USUAL_PERIOD,
    periods: int = USUAL_PERIODS,
) -> Iterator[Any]:
    pcm = alsaaudio.PCM(
        DIRECTIONS.index(direction),
        alsaaudio.PCM_NONBLOCK,
        device=device,
        rate=rate,
        channels=channels,
        format=getattr(alsaaudio, f"PCM_FORMAT_{format}"),
        periodsize=period_frames,
        periods=periods,
    )
    try:
        yield pcm
    finally:
        with contextlib.suppress(alsaaudio.ALSAAudioError):  # closing would wait for what was played: nothing
            pcm.drop()
        pcm.close()
