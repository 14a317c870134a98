"""A program that plays a sine to one device and keeps what it captures from another: PLAYBACK CAPTURE SECONDS FILE.npy.

A process of its own, because the libraries of sound servers change the one that they are in: JACK's blocks SIGPIPE.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import alsaaudio
import numpy as np
from numpy.typing import NDArray

RATE, PERIOD = 48_000, 1024
FREQUENCY, LEVEL = 1000.0, 0.5
PATIENCE_S = 30


def opened(direction: int, device: str) -> Any:
    return alsaaudio.PCM(
        direction,
        alsaaudio.PCM_NONBLOCK,
        device=device,
        rate=RATE,
        channels=2,
        format=alsaaudio.PCM_FORMAT_FLOAT_LE,
        periodsize=PERIOD,
        periods=4,
    )


def played_and_captured(playback_device: str, capture_device: str, seconds: float) -> NDArray[np.float32]:
    """The first channel of what comes back while a sine plays, from when it sounds."""
    at = np.arange(RATE * PATIENCE_S) / RATE
    sine = np.repeat((LEVEL * np.sin(2 * np.pi * FREQUENCY * at)).astype("<f4")[:, None], 2, axis=1)
    capture = opened(alsaaudio.PCM_CAPTURE, capture_device)
    playback = opened(alsaaudio.PCM_PLAYBACK, playback_device)
    written, heard = 0, np.zeros(0, "<f4")
    end = time.monotonic() + PATIENCE_S
    while len(heard) < seconds * RATE and time.monotonic() < end:
        written += max(0, playback.write(sine[written : written + PERIOD].tobytes()))
        frames, data = capture.read()
        if frames > 0:
            block = np.frombuffer(data, "<f4")[::2]
            if len(heard) or np.any(np.abs(block) > LEVEL / 2):
                heard = np.concatenate([heard, block])
        time.sleep(0.002)
    playback.drop()
    for stream in (playback, capture):
        stream.close()
    return heard


if __name__ == "__main__":
    np.save(sys.argv[4], played_and_captured(sys.argv[1], sys.argv[2], float(sys.argv[3])))
