"""The last seconds of a port, as numbers or as a file."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..endpoints.wav import WavFile
from ..engine.core import Samples
from ..problems import Problem, refuse
from .places import Place
from .taps import wait_for_frames

if TYPE_CHECKING:
    from ..session import Session

FileFormat = Literal["npy", "wav"]
MOST_NUMBERS = 200_000  # in JSON: about 2 MB
PATIENCE_S = 0.5  # for the next block, where none comes any more
MEDIA_TYPES = {"npy": "application/x-npy", "wav": "audio/wav"}


@dataclass(frozen=True)
class Buffer:
    """Samples that a port gave out, or took in, from `frame` on."""

    place: Place
    sample_rate: int
    frame: int
    samples: Samples

    def facts(self) -> dict[str, Any]:
        return {"port": self.place.name, "sample_rate": self.sample_rate, "frame": self.frame}

    def numbers(self) -> list[list[float]]:
        """To the seventh digit, beyond which a float's are noise."""
        lists: list[list[float]] = np.round(self.samples.astype(np.float64), 7).tolist()
        return lists

    def file_name(self, format: FileFormat) -> str:
        return f"{self.place.node_id}-{self.place.port}-{self.frame}.{format}"

    def media_type(self, format: FileFormat) -> str:
        return MEDIA_TYPES[format]

    async def encoded(self, format: FileFormat) -> bytes:
        """A NumPy array of shape (channels, frames), or a WAV file of 32-bit floats."""
        return await asyncio.to_thread(_npy if format == "npy" else _wav, self)


async def buffer_of(session: Session, name: str, seconds: float, format: str) -> Buffer:
    """Waits until there are as many, or no more come: while the engine is held, there are none."""
    frames = max(1, round(seconds * session.engine.sample_rate))
    tap = session.probing.taps.open(name)
    try:
        if format == "json" and tap.place.channels * frames > MOST_NUMBERS:
            most_s = MOST_NUMBERS // tap.place.channels / session.engine.sample_rate
            message = f"As JSON at most {most_s:.2f} s of {tap.place.name} are given; ask for npy or wav, or for less."
            raise refuse("invalid_params", [Problem("limit", message, "seconds", {"maximum": most_s})])
        await wait_for_frames(tap, frames, PATIENCE_S)
        first, block = tap.newest(frames)
        return Buffer(tap.place, session.engine.sample_rate, first, block)
    finally:
        tap.close()


def _npy(buffer: Buffer) -> bytes:
    file = io.BytesIO()
    np.save(file, buffer.samples)
    return file.getvalue()


def _wav(buffer: Buffer) -> bytes:
    file = io.BytesIO()
    WavFile(file, buffer.sample_rate, buffer.place.channels, "float").write(buffer.samples)
    return file.getvalue()
