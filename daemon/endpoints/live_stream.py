"""Encoding sound for somebody who listens along: a stream without an end, given out in pieces as they are ready."""

from __future__ import annotations

import struct
from typing import Literal, Protocol

import numpy as np

from .encoding import ENCODINGS, LAYOUTS, Encoding, bounded, nearest_rate, open_stream
from .endpoint import Samples
from .rate_converter import RateConverter, packed_frame
from .sound_file import to_codes

StreamFormat = Literal["wav", "mp3", "ogg"]
_ENDLESS = 0xFFFFFFFF  # the length of what has none, as players of WAV streams understand it


class LiveStream(Protocol):
    """What comes out may be empty for a while: encoders collect."""

    def push(self, block: Samples) -> bytes:
        """(channels, frames) in; what is ready out."""
        ...


def live_stream(format: StreamFormat, sample_rate: int, channels: int) -> LiveStream:
    """MP3 and Ogg (Opus) take two channels: of more, the first two."""
    if format == "wav":
        return WavStream(sample_rate, channels)
    if format == "mp3":  # without a header that tells its length
        return EncodedStream(ENCODINGS["mp3", ".mp3"], sample_rate, channels, {"write_xing": "0"})
    return EncodedStream(ENCODINGS["opus", ".ogg"], sample_rate, channels, {})


class WavStream:
    """16-bit PCM behind a header that promises more than will ever come."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        frame_bytes = 2 * channels
        form = struct.pack("<HHIIHH", 1, channels, sample_rate, sample_rate * frame_bytes, frame_bytes, 16)
        riff = b"RIFF" + struct.pack("<I", _ENDLESS) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
        self._header = riff + b"data" + struct.pack("<I", _ENDLESS)

    def push(self, block: Samples) -> bytes:
        header, self._header = self._header, b""
        codes, _ = to_codes(block, "pcm_16")
        return header + np.ascontiguousarray(codes.T, "<i2").tobytes()


class EncodedStream:
    """MP3 or Opus through FFmpeg."""

    def __init__(self, encoding: Encoding, sample_rate: int, channels: int, options: dict[str, str]) -> None:
        self._channels = min(channels, 2)
        self._layout = LAYOUTS[self._channels - 1]
        self._rate = nearest_rate(encoding, sample_rate)
        self._converter = RateConverter(self._channels, sample_rate, self._rate)
        self._encoded = 0
        self._out = _Out()
        self._container, self._stream = open_stream(self._out, encoding, self._rate, self._layout, options)
        self._stream.codec_context.bit_rate = 1000 * encoding.kbps_per_channel * self._channels

    def push(self, block: Samples) -> bytes:
        converted = self._converter.push(bounded(block[: self._channels]))
        if converted.shape[1]:
            frame = packed_frame(converted, self._rate, self._encoded, self._layout)
            self._encoded += converted.shape[1]
            self._container.mux(self._stream.encode(frame))
        return self._out.taken()


class _Out:
    """What FFmpeg writes to: it can't go back in it, as what was written is gone."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
