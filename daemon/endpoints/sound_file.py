"""What a recording asks of a file that it writes, whatever its format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .endpoint import Samples

PcmSubtype = str  # pcm_16, pcm_24 or float
FULL_SCALE = {"pcm_16": 1 << 15, "pcm_24": 1 << 23}


class RawFile(Protocol):
    """An unbuffered binary file, open for writing: what io.FileIO is, and what tests may put in its place."""

    def write(self, data: bytes | memoryview, /) -> int | None: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def truncate(self, size: int, /) -> int: ...

    def fileno(self) -> int: ...

    def close(self) -> None: ...


class SoundFile(Protocol):
    """A file being written. Any method may raise OSError, where the disk refuses; `frames` counts what got in whole."""

    frames: int
    clipped: int  # samples beyond full scale, where the format has one

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    def write(self, block: Samples) -> None:
        """Appends a block (channels, n)."""
        ...

    def cut(self, frames: int) -> bool:
        """Takes away all but the first `frames` frames. False: this format can't."""
        ...

    def finish(self) -> None:
        """Completes the file, sees it onto the disk and closes it."""
        ...

    def abandon(self) -> None:
        """Completes what can be completed, and closes; raises nothing."""
        ...


class CannotEncode(Exception):
    """This format can't hold the recording, today or tomorrow. The message says why and what to do."""


def create(path: Path) -> RawFile:
    """A new file; FileExistsError where there is one, or a link of that name. Readable by all whom the umask allows."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o666), "r+b", buffering=0)


def write_all(file: RawFile, data: bytes | memoryview) -> None:
    """A raw file may take less than it is given; the next attempt tells why."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def to_codes(block: Samples, subtype: PcmSubtype) -> tuple[NDArray[np.int32], int]:
    """A block as integer PCM, (channels, n), and how many samples went beyond full scale.

    Rounds to the nearest code, ties to even, and adds no dither: what was 16 or 24 bits before comes out bit for bit.
    NaN becomes silence; +1.0 becomes the largest code, which is one below it.
    """
    scale = FULL_SCALE[subtype]
    scaled = block * np.float32(scale)
    np.rint(scaled, out=scaled)
    clipped = 0
    if not (block.max(initial=0) <= 1 and block.min(initial=0) >= -1):  # so it is with NaN, too
        clipped = int(np.count_nonzero(np.abs(block) > 1))
        np.nan_to_num(scaled, copy=False, nan=0.0)
        np.maximum(scaled, -scale, out=scaled)
    np.minimum(scaled, scale - 1, out=scaled)
    return scaled.astype(np.int32), clipped
