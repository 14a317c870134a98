"""Sound servers behind ALSA's plugins: what is played through pyalsaaudio comes back, at its pitch and level.

Whether without gaps is nobody's promise on a busy machine, so a few good stretches are enough.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from . import play_and_capture
from .play_and_capture import FREQUENCY, LEVEL, RATE
from .servers import jack, pulseaudio

STRETCH = 8192  # frames of which pitch and level are measured


def pitch(samples: NDArray[np.float32]) -> float:
    """Hz, from the highest peak of the spectrum and its neighbours."""
    spectrum = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) + 1e-12)
    top = int(np.clip(spectrum.argmax(), 1, len(spectrum) - 2))
    left, middle, right = spectrum[top - 1 : top + 2]
    return float((top + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE / len(samples))


def level(samples: NDArray[np.float32]) -> float:
    """RMS."""
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(jack, marks=pytest.mark.skipif(not shutil.which("jackd"), reason="jackd is not installed")),
        pytest.param(
            pulseaudio, marks=pytest.mark.skipif(not shutil.which("pulseaudio"), reason="pulseaudio is not installed")
        ),
    ],
)
def test_what_a_server_is_given_comes_back(start: Any, tmp_path: Path) -> None:
    recording = tmp_path / "heard.npy"
    with start(tmp_path) as server:
        command = [sys.executable, play_and_capture.__file__, server.playback, server.capture, "1.5", recording]
        subprocess.run(command, env=os.environ | server.environment, check=True, timeout=120)
        assert server.process.poll() is None
    assert server.process.returncode is not None
    heard = np.load(recording)
    stretches = [heard[at : at + STRETCH] for at in range(0, len(heard) - STRETCH, STRETCH // 2)]
    measured = [(pitch(stretch), level(stretch)) for stretch in stretches]
    good = [
        (hertz, rms)
        for hertz, rms in measured
        if abs(hertz - FREQUENCY) < 2 and abs(rms - LEVEL / 2**0.5) < 0.02 * LEVEL
    ]
    assert len(good) >= 2, measured
