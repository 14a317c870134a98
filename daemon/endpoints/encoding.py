"""Writing FLAC, Opus, MP3 and AAC files through FFmpeg, so that what was encoded is on its way to the disk at
once.

FLAC, Opus and MP3 go out packet by packet and are complete once their header or trailer is written at the end;
a killed process leaves all but the last half second or so. AAC goes into a fragmented MP4 that becomes an
ordinary one at the end (`.m4a`), or into a bare ADTS stream (`.aac`), which can't tell its encoder's delay.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
import msgspec
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer

from .endpoint import Samples
from .rate_converter import RateConverter, packed_frame
from .sound_file import CannotEncode, PcmSubtype, RawFile, to_codes, write_all

# Where the speakers stand, as FLAC, Opus and AAC want to know it for so many channels.
LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
_LOUDEST = 16.0  # 24 dB above full scale
_MP3_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """One codec in one container."""

    codec: str
    container: str
    sample_format: str
    most_channels: int = 8
    rates: tuple[int, ...] = ()  # empty: any
    kbps_per_channel: int = 0  # unless told otherwise; 0: lossless
    highest_kbps: int = 0  # 0: none
    options: Mapping[str, str] = {}


_MP4 = {"movflags": "+hybrid_fragmented+delay_moov", "frag_duration": "1000000"}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC = Encoding(codec="aac", container="mp4", sample_format="fltp", rates=_AAC_RATES, kbps_per_channel=96, options=_MP4)
_OPUS = Encoding(
    codec="libopus",
    container="ogg",
    sample_format="flt",
    rates=(48000, 24000, 16000, 12000, 8000),
    kbps_per_channel=64,
    options={"page_duration": "200000"},  # µs; FFmpeg's own second would be lost by a kill
)
ENCODINGS: Mapping[tuple[str, str], Encoding] = {  # by format and suffix; the first suffix of a format is its usual one
    ("flac", ".flac"): Encoding(codec="flac", container="flac", sample_format="s32"),
    ("opus", ".opus"): _OPUS,
    ("opus", ".ogg"): _OPUS,
    ("mp3", ".mp3"): Encoding(
        codec="libmp3lame",
        container="mp3",
        sample_format="fltp",
        most_channels=2,
        rates=_MP3_RATES,
        kbps_per_channel=96,
        highest_kbps=320,
    ),
    ("aac", ".m4a"): _AAC,
    ("aac", ".aac"): msgspec.structs.replace(_AAC, container="adts", options={}),
}


def suffixes(format: str) -> tuple[str, ...]:
    """What a file of a format that is encoded may end in, its usual ending first."""
    return tuple(suffix for name, suffix in ENCODINGS if name == format)


def most_channels(format: str) -> int | None:
    """How many a format takes; None where it is not encoded, and takes as many as there are."""
    return next((encoding.most_channels for (name, _), encoding in ENCODINGS.items() if name == format), None)


class EncodedFile:
    """A file being encoded into `file`, which is empty. `subtype` matters to FLAC alone, `kbps` to all others."""

    def __init__(
        self, file: RawFile, encoding: Encoding, sample_rate: int, channels: int, subtype: PcmSubtype, kbps: int | None
    ) -> None:
        self.frames = 0
        self.clipped = 0
        self._sink = _Sink(file)
        self._subtype = subtype
        self._lossless = not encoding.kbps_per_channel
        self._rate = nearest_rate(encoding, sample_rate)
        self._converter = RateConverter(channels, sample_rate, self._rate)
        self._encoded = 0  # frames at the encoder's rate
        self._layout = LAYOUTS[channels - 1] if channels <= min(encoding.most_channels, len(LAYOUTS)) else ""
        if not self._layout:
            raise CannotEncode(
                f"{encoding.codec} takes at most {encoding.most_channels} channels, this recorder has {channels}. "
                "Choose format wav, or fewer channels."
            )
        # So that the end is told to the frame.
        options = {"movie_timescale": str(self._rate)} if encoding.container == "mp4" else {}
        self._container, self._stream = open_stream(self._sink, encoding, self._rate, self._layout, options)
        if self._lossless and subtype == "pcm_16":
            self._stream.codec_context.format = "s16"
        if not self._lossless:
            wanted = kbps or encoding.kbps_per_channel * channels
            self._stream.codec_context.bit_rate = 1000 * min(wanted, encoding.highest_kbps or wanted)
        try:
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            at = f"{self._rate} Hz" if self._lossless else f"{self._rate} Hz and {wanted} kbit/s"
            raise CannotEncode(
                f"{encoding.codec} does not take {channels} channels at {at}. Choose another bitrate_kbps or format."
            ) from error
        self._sink.check()

    @property
    def size(self) -> int:
        return self._sink.size

    def write(self, block: Samples) -> None:
        self._encode(self._converter.push(block))
        self.frames += block.shape[1]

    def cut(self, frames: int) -> bool:
        return frames >= self.frames

    def finish(self) -> None:
        try:
            self._encode(self._converter.finish())
            self._mux(None)
            self._container.close()
            self._sink.check()
            os.fsync(self._sink.file.fileno())
        finally:
            self._sink.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self.finish()

    def _encode(self, block: Samples) -> None:
        if block.shape[1]:
            frame = self._frame(block)
            self._encoded += block.shape[1]
            self._mux(frame)

    def _mux(self, frame: av.AudioFrame | None) -> None:
        """Encodes a frame, or with None what the encoder still holds."""
        try:
            self._container.mux(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            raise OSError(errno.EIO, f"the encoder failed ({error.strerror})") from error
        self._sink.check()

    def _frame(self, block: Samples) -> av.AudioFrame:
        if not self._lossless:
            return packed_frame(bounded(block), self._rate, self._encoded, self._layout)
        codes, clipped = to_codes(block, self._subtype)
        self.clipped += clipped
        interleaved = np.ascontiguousarray(codes.T).reshape(1, -1)
        if self._subtype == "pcm_16":
            frame = av.AudioFrame.from_ndarray(interleaved.astype(np.int16), format="s16", layout=self._layout)
        else:
            frame = av.AudioFrame.from_ndarray(interleaved << 8, format="s32", layout=self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._encoded
        return frame


def open_stream(
    sink: Any, encoding: Encoding, rate: int, layout: str, options: Mapping[str, str]
) -> tuple[OutputContainer, AudioStream]:
    """What FFmpeg writes into `sink`, as soon as it can; `options` beside those of the encoding."""
    options = {"flush_packets": "1", **encoding.options, **options}
    container = av.open(sink, mode="w", format=encoding.container, container_options=options)
    stream = container.add_stream(encoding.codec, rate=rate)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = layout
    stream.codec_context.format = encoding.sample_format
    return container, stream


def bounded(block: Samples) -> Samples:
    """Encoders refuse what is beyond all measure, or no number."""
    return np.nan_to_num(np.clip(block, -_LOUDEST, _LOUDEST), nan=0.0)


def nearest_rate(encoding: Encoding, sample_rate: int) -> int:
    """The lowest rate of the codec that loses nothing of the engine's, else its highest."""
    fitting = [rate for rate in encoding.rates if rate >= sample_rate]
    return sample_rate if not encoding.rates else min(fitting, default=max(encoding.rates))


class _Sink:
    """What FFmpeg writes to. It is never told of a failure, as it could only make a mess of it.

    From the first failure on the file stays as it is: playable up to there, like one whose process was killed.
    """

    def __init__(self, file: RawFile) -> None:
        self.file = file
        self.size = 0
        self.closed = False  # FFmpeg then writes no trailer
        self._at = 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raises what has gone wrong since the beginning."""
        if self._error:
            raise self._error

    def write(self, data: bytes) -> int:
        if self._error is None:
            try:
                write_all(self.file, data)
            except OSError as error:
                self._error = error
        self._at += len(data)
        self.size = max(self.size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        if self._error is None:
            self._at = self.file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self.closed = True
        self.file.close()
