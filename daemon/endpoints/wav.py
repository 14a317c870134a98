"""Writing WAV files that are right at every moment: the header is renewed with every piece that is written, so
a recording whose process is killed ends where it ended, and beyond 4 GB the file turns into RF64 (EBU Tech
3306) where it stands.

Layout: `RIFF` size `WAVE` · `JUNK` (28 bytes, later `ds64`) · `fmt ` · `fact` (float only) · `data` size
samples.
"""

from __future__ import annotations

import contextlib
import os
import struct

import numpy as np

from .endpoint import Samples
from .sound_file import PcmSubtype, RawFile, to_codes, write_all

_SAMPLE_BYTES = {"pcm_16": 2, "pcm_24": 3, "float": 4}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of the sub-formats that repeat a plain format's number
_LARGEST = 0xFFFFFFFF


class WavFile:
    """A WAV file being written into `file`, which is empty. Beyond `rf64_beyond` bytes it is an RF64 file."""

    def __init__(
        self, file: RawFile, sample_rate: int, channels: int, subtype: PcmSubtype, rf64_beyond: int = _LARGEST
    ) -> None:
        self.frames = 0
        self.clipped = 0
        self._file = file
        self._rate = sample_rate
        self._channels = channels
        self._subtype = subtype
        self._frame_bytes = channels * _SAMPLE_BYTES[subtype]
        self._rf64_beyond = rf64_beyond
        self._header_bytes = len(self._header())
        write_all(file, self._header())

    @property
    def size(self) -> int:
        return self._header_bytes + self.frames * self._frame_bytes

    def write(self, block: Samples) -> None:
        data = memoryview(self._encoded(block))
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:]) or 0
        finally:
            self.frames += done // self._frame_bytes  # part of a frame, on a full disk, will be written over or cut off
            self._renew_header()

    def cut(self, frames: int) -> bool:
        self.frames = min(frames, self.frames)
        self._file.truncate(self.size)
        self._renew_header()
        return True

    def finish(self) -> None:
        try:
            self._file.truncate(self.size)
            if self.size % 2:
                write_all(self._file, b"\0")  # chunks begin at even places
            self._renew_header()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self.finish()

    def _encoded(self, block: Samples) -> bytes:
        if self._subtype == "float":
            return block.T.astype("<f4").tobytes()
        codes, clipped = to_codes(block, self._subtype)
        self.clipped += clipped
        if self._subtype == "pcm_16":
            return np.ascontiguousarray(codes.T, "<i2").tobytes()
        return np.ascontiguousarray(codes.T, "<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()

    def _renew_header(self) -> None:
        self._file.seek(0)
        write_all(self._file, self._header())
        self._file.seek(self.size)

    def _header(self) -> bytes:
        data_bytes = self.frames * self._frame_bytes
        tail = self._format() + self._fact() + b"data"
        riff_bytes = 4 + 36 + len(tail) + 4 + data_bytes + data_bytes % 2  # all that follows the size itself
        if riff_bytes <= self._rf64_beyond:
            start = b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + b"JUNK" + struct.pack("<I28x", 28)
            return start + tail + struct.pack("<I", data_bytes)
        sizes = struct.pack("<IQQQI", 28, riff_bytes, data_bytes, self.frames, 0)
        return b"RF64" + struct.pack("<I", _LARGEST) + b"WAVE" + b"ds64" + sizes + tail + struct.pack("<I", _LARGEST)

    def _format(self) -> bytes:
        tag = _FLOAT if self._subtype == "float" else _PCM
        sample_bytes = _SAMPLE_BYTES[self._subtype]
        bits = 8 * sample_bytes
        second = self._rate * self._frame_bytes
        about = struct.pack("<HIIHH", self._channels, self._rate, second, self._frame_bytes, bits)
        extension = b""
        if self._channels > 2:  # "extensible", without saying where which channel stands
            extension = struct.pack("<HHIH", 22, bits, 0, tag) + _GUID_TAIL
            tag = _EXTENSIBLE
        elif tag == _FLOAT:
            extension = struct.pack("<H", 0)
        body = struct.pack("<H", tag) + about + extension
        return b"fmt " + struct.pack("<I", len(body)) + body

    def _fact(self) -> bytes:
        if self._subtype != "float":
            return b""
        return b"fact" + struct.pack("<II", 4, min(self.frames, _LARGEST))
