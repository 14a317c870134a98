"""Synthesises the loop that the demo plays: a walk on the Tonnetz, the lattice of triads behind this project's name.

It goes round the hexagon of the six triads that hold the note C, where each is one note away from the next: C major,
A minor, F major, F minor, A flat major, C minor. Plucked strings give equalizer and compressor something to do.

    python examples/demo/make_sound.py loop.wav
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
STEP_S = 1 / 3  # from one note of the arpeggio to the next
TRIADS = [  # MIDI notes, voiced so that only one of them moves
    (60, 64, 67),
    (60, 64, 69),
    (60, 65, 69),
    (60, 65, 68),
    (60, 63, 68),
    (60, 63, 67),
]
BASS = [48, 45, 41, 41, 44, 48]
ARPEGGIO = [0, 1, 2, 1]  # which note of the triad at each step

Signal = NDArray[np.float64]


def pluck(note: int, seconds: float, brightness: float) -> Signal:
    """A plucked string, 1.0 at its loudest: harmonics that fall off with number, the higher the sooner silent."""
    frequency = 440.0 * 2.0 ** ((note - 69) / 12)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros_like(time)
    for harmonic in range(1, 13):
        decay = np.exp(-time * (1.2 + 0.7 * harmonic))
        stretched = harmonic * np.sqrt(1 + 2e-4 * harmonic**2)  # stiffness makes the upper harmonics a little sharp
        sound += brightness ** (harmonic - 1) / harmonic * decay * np.sin(2 * np.pi * stretched * frequency * time)
    attack = 1 - np.exp(-time / 0.002)
    release = np.minimum(1.0, (seconds - time) / 0.02)  # ends at 0, so nothing clicks
    sound *= attack * release
    return np.asarray(sound / np.abs(sound).max())


def loop() -> Signal:
    """The whole loop, stereo, shape (frames, 2), peak 0.7. What rings over its end sounds at its beginning."""
    step_frames = round(STEP_S * SAMPLE_RATE)
    triad_frames = step_frames * len(ARPEGGIO)
    frames = triad_frames * len(TRIADS)
    mix = np.zeros((frames, 2))

    def place(sound: Signal, start: int, level: float, pan: float) -> None:
        where = (start + np.arange(len(sound))) % frames
        angle = (pan + 1) * np.pi / 4  # equal power
        np.add.at(mix, where, level * sound[:, None] * [np.cos(angle), np.sin(angle)])

    for number, (triad, bass) in enumerate(zip(TRIADS, BASS, strict=True)):
        start = number * triad_frames
        place(pluck(bass, 2.0, 0.35), start, level=0.8, pan=0.0)
        for step, voice in enumerate(ARPEGGIO):
            level = 0.5 if step == 0 else 0.35
            place(pluck(triad[voice] + 12, 1.5, 0.55), start + step * step_frames, level, pan=0.5 * (voice - 1))
        for voice in triad:
            place(pluck(voice, 1.8, 0.3), start, level=0.25, pan=0.0)
    return np.asarray(0.7 * mix / np.abs(mix).max())


def write(path: Path) -> None:
    """Writes the loop as 16-bit WAV; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with wave.open(str(unfinished), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(loop() * 32767).astype("<i2").tobytes())
    unfinished.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Say where to: python examples/demo/make_sound.py loop.wav")
    write(Path(sys.argv[1]))
