"""WAV files: exact samples, right sizes at every moment, RF64 beyond the limit; read by libsndfile and FFmpeg."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.endpoints.sound_file import create, to_codes
from tonnetz.daemon.endpoints.wav import WavFile

from .bench import RATE, Samples, decode, noise, read_sound
from .disks import FullDisk

SUBTYPES = {"pcm_16": "PCM_16", "pcm_24": "PCM_24", "float": "FLOAT"}


def written(path: Path, block: Samples, subtype: str, piece: int = 4800, **options: int) -> WavFile:
    """A file with the block in it, not finished."""
    wav = WavFile(create(path), RATE, block.shape[0], subtype, **options)
    for at in range(0, block.shape[1], piece):
        wav.write(block[:, at : at + piece])
    return wav


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 64])
def test_readers_find_what_was_written(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "a.wav"
    block = noise(4801, channels, bits=16 if subtype == "pcm_16" else 24)
    wav = written(path, block, subtype, piece=777)
    wav.finish()
    info = soundfile.info(path)
    assert (info.frames, info.channels, info.samplerate, info.subtype) == (4801, channels, RATE, SUBTYPES[subtype])
    assert np.array_equal(read_sound(path), block)
    assert (wav.frames, wav.clipped) == (4801, 0)
    assert -(-wav.size // 2) * 2 == path.stat().st_size
    if channels < 8:
        decoded = decode(path)
        assert decoded.shape == block.shape


def chunks(path: Path) -> dict[bytes, tuple[int, int]]:
    """Position and stated size of every chunk, walked as the format says, and of the file's own."""
    data = path.read_bytes()
    found = {data[:4]: (0, struct.unpack("<I", data[4:8])[0])}
    at = 12
    while at + 8 <= len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        found[data[at : at + 4]] = (at, size)
        at += 8 + size + size % 2
    return found


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_sizes_are_right_after_every_piece(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    wav = WavFile(create(path), RATE, 1, subtype)
    frame_bytes = {"pcm_16": 2, "pcm_24": 3, "float": 4}[subtype]
    for pieces in range(4):
        assert chunks(path)[b"data"][1] == pieces * 1001 * frame_bytes
        odd = pieces * 1001 * frame_bytes % 2
        assert chunks(path)[b"RIFF"][1] + 8 == path.stat().st_size + odd
        assert soundfile.info(path).frames == pieces * 1001
        wav.write(noise(1001, 1))
    wav.finish()
    assert chunks(path)[b"RIFF"][1] + 8 == path.stat().st_size


def test_an_odd_end_is_padded(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    written(path, noise(1001, 1), "pcm_24").finish()
    assert path.stat().st_size % 2 == 0
    assert chunks(path)[b"data"][1] == 3003


def test_samples_are_rounded_to_the_nearest() -> None:
    block = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, 0.49999, 32766.4, -32768.0]], np.float32) / 32768
    codes, clipped = to_codes(block, "pcm_16")
    assert codes.tolist() == [[0, 2, 2, 0, -2, 0, 32766, -32768]]
    assert clipped == 0


def test_what_lies_beyond_full_scale_is_clipped_and_counted() -> None:
    block = np.array([[1.0, 1.0001, -1.0, -1.5, np.inf, -np.inf, np.nan, 0.0]], np.float32)
    codes, clipped = to_codes(block, "pcm_16")
    assert codes.tolist() == [[32767, 32767, -32768, -32768, 32767, -32768, 0, 0]]
    assert clipped == 4
    assert to_codes(block, "pcm_24")[0].tolist() == [[8388607, 8388607, -8388608, -8388608, 8388607, -8388608, 0, 0]]


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_beyond_the_limit_it_is_rf64(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    block = noise(30000, bits=16)
    wav = WavFile(create(path), RATE, 2, subtype, rf64_beyond=50_000)
    kinds = []
    for at in range(0, 30000, 1000):
        wav.write(block[:, at : at + 1000])
        kinds.append(kind(path))
        assert soundfile.info(path).frames == at + 1000  # in every moment, whichever kind it is
    assert kinds == sorted(kinds, reverse=True)
    assert {kinds[0], kinds[-1]} == {b"RIFF", b"RF64"}
    wav.finish()
    assert np.array_equal(read_sound(path), block)
    assert decode(path).shape == block.shape
    data = path.read_bytes()
    riff_size, data_size, frames = struct.unpack("<QQQ", data[20:44])
    assert (data[12:16], riff_size + 8, frames) == (b"ds64", len(data), 30000)
    assert data_size == 30000 * 2 * {"pcm_16": 2, "pcm_24": 3, "float": 4}[subtype]


def kind(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def test_beyond_four_gigabytes(tmp_path: Path) -> None:
    """Not all of it is written: a hole stands for the first 4 GB."""
    path = tmp_path / "a.wav"
    file = create(path)
    wav = WavFile(file, RATE, 2, "pcm_24")
    before = (1 << 32) // 6 - 1000
    wav.frames = before  # as if it had been recorded
    file.seek(wav.size)
    wav.write(noise(500))
    assert kind(path) == b"RIFF"
    wav.write(noise(1000, seed=2))
    assert kind(path) == b"RF64"
    wav.finish()
    info = soundfile.info(path)
    assert (info.format, info.frames) == ("RF64", before + 1500)
    tail, _ = soundfile.read(path, start=before + 500, dtype="float32")
    assert np.array_equal(tail.T, noise(1000, seed=2))


def test_a_full_disk_leaves_a_right_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    block = noise(20000)
    wav = WavFile(FullDisk(create(path), 80 + 60_000 + 4), RATE, 2, "pcm_24")
    for at in range(0, 9000, 3000):
        wav.write(block[:, at : at + 3000])
    with pytest.raises(OSError, match="No space left"):
        wav.write(block[:, 9000:12000])
    assert wav.frames == 10000  # 60 kB of 6 bytes a frame, and no part of one
    wav.abandon()
    assert path.stat().st_size == 80 + 60_000
    assert np.array_equal(read_sound(path), block[:, :10000])


def test_cutting(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    block = noise(20000)
    wav = written(path, block, "pcm_24")
    assert wav.cut(12345)
    assert np.array_equal(read_sound(path), block[:, :12345])
    wav.write(block[:, 12345:15000])
    wav.finish()
    assert np.array_equal(read_sound(path), block[:, :15000])


def test_an_existing_file_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("precious")
    (tmp_path / "b.wav").symlink_to(tmp_path / "elsewhere.wav")
    for name in ("a.wav", "b.wav"):
        with pytest.raises(FileExistsError):
            create(tmp_path / name)
    assert not (tmp_path / "elsewhere.wav").exists()
