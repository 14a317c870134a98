"""Sound servers behind ALSA's plugins: what is played through pyalsaaudio comes back, at its pitch and level.

Whether without gaps is nobody's promise on a busy machine, so a few good stretches are enough.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import alsaaudio
import numpy as np
import pytest
from numpy.typing import NDArray

from .servers import SoundServer, jack, pulseaudio

RATE, PERIOD = 48_000, 1024
FREQUENCY, LEVEL = 1000.0, 0.5
STRETCH = 8192  # frames of which pitch and level are measured


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


def played_and_captured(server: SoundServer, seconds: float) -> NDArray[np.float32]:
    """The first channel of what comes back while a sine plays."""
    time_s = np.arange(int(RATE * 60)) / RATE
    sine = np.repeat((LEVEL * np.sin(2 * np.pi * FREQUENCY * time_s)).astype("<f4")[:, None], 2, axis=1)
    capture, playback = (
        opened(direction, device)
        for direction, device in (
            (alsaaudio.PCM_CAPTURE, server.capture),
            (alsaaudio.PCM_PLAYBACK, server.playback),
        )
    )
    written, heard = 0, np.zeros(0, "<f4")
    end = time.monotonic() + 30
    while len(heard) < seconds * RATE and time.monotonic() < end:
        written += max(0, playback.write(sine[written : written + PERIOD].tobytes()))
        frames, data = capture.read()
        if frames > 0:
            block = np.frombuffer(data, "<f4")[::2]
            if len(heard) or np.any(np.abs(block) > LEVEL / 2):  # until it sounds, nothing is missing
                heard = np.concatenate([heard, block])
        time.sleep(0.002)
    playback.drop()
    for stream in (playback, capture):
        stream.close()
    return heard


def pitch(samples: NDArray[np.float32]) -> float:
    """Hz, from the highest peak of the spectrum and its neighbours."""
    spectrum = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) + 1e-12)
    top = int(spectrum.argmax())
    left, middle, right = spectrum[top - 1 : top + 2]
    return (top + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE / len(samples)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(jack, marks=pytest.mark.skipif(not shutil.which("jackd"), reason="jackd is not installed")),
        pytest.param(
            pulseaudio, marks=pytest.mark.skipif(not shutil.which("pulseaudio"), reason="pulseaudio is not installed")
        ),
    ],
)
def test_what_a_server_is_given_comes_back(start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        heard = played_and_captured(server, seconds=1.5)
        stretches = [heard[at : at + STRETCH] for at in range(0, len(heard) - STRETCH, STRETCH // 2)]
        good = [
            stretch
            for stretch in stretches
            if abs(pitch(stretch) - FREQUENCY) < 2
            and abs(float(np.sqrt(np.mean(stretch**2))) - LEVEL / 2**0.5) < 0.02 * LEVEL
        ]
        assert len(good) >= 2, [(pitch(stretch), float(np.sqrt(np.mean(stretch**2)))) for stretch in stretches]
        server.process.send_signal(0)  # it is still there
    assert server.process.returncode is not None
