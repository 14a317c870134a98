"""Encoded files: complete at the end, playable after a kill, and refusals that say what to do."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.endpoints.audio_file import AudioFile
from tonnetz.daemon.endpoints.encoding import ENCODINGS, EncodedFile, nearest_rate
from tonnetz.daemon.endpoints.sound_file import CannotEncode, RawFile, create

from .bench import RATE, Samples, decode, noise, read_sound, sweep
from .disks import FailingDisk, FullDisk

KINDS = sorted(ENCODINGS)
FRAMES = 2 * RATE + 77


def begun(
    file: RawFile,
    kind: tuple[str, str],
    channels: int = 2,
    rate: int = RATE,
    subtype: str = "pcm_24",
    kbps: int | None = None,
) -> EncodedFile:
    return EncodedFile(file, ENCODINGS[kind], rate, channels, subtype, kbps)


def fill(file: EncodedFile, block: Samples, piece: int = 4800) -> None:
    for at in range(0, block.shape[1], piece):
        file.write(block[:, at : at + piece])


def through_us(path: Path) -> Samples:
    file = AudioFile(path)
    block = np.concatenate(list(file.blocks(0)), axis=1)
    file.close()
    return block


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize(("subtype", "bits"), [("pcm_16", 16), ("pcm_24", 24)])
def test_flac_keeps_every_sample(tmp_path: Path, channels: int, subtype: str, bits: int) -> None:
    path = tmp_path / "a.flac"
    block = noise(10007, channels, bits)
    file = begun(create(path), ("flac", ".flac"), channels, subtype=subtype)
    fill(file, block, 777)
    file.finish()
    info = soundfile.info(path)
    assert (info.frames, info.subtype, info.samplerate) == (10007, subtype.upper(), RATE)  # the header has the length
    assert np.array_equal(read_sound(path), block)
    assert (file.frames, file.clipped, file.size) == (10007, 0, path.stat().st_size)


def test_flac_counts_what_it_clips(tmp_path: Path) -> None:
    file = begun(create(tmp_path / "a.flac"), ("flac", ".flac"))
    fill(file, np.array([[0.5, 1.5, -2.0], [0.0, 1.0, -1.0]], np.float32))
    file.finish()
    assert file.clipped == 2


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] != "flac"])
def test_lossy_files_keep_length_and_place(tmp_path: Path, kind: tuple[str, str], rate: int) -> None:
    path = tmp_path / f"a{kind[1]}"
    sound = sweep(2 * rate + 77, rate=rate)
    file = begun(create(path), kind, rate=rate)
    fill(file, sound)
    file.finish()
    assert file.frames == sound.shape[1]
    assert file.size == path.stat().st_size
    block = through_us(path)
    coded_rate = nearest_rate(ENCODINGS[kind], rate)
    frames = (2 * rate + 77) * coded_rate / rate
    delay = 1024 if kind[1] == ".aac" else 0  # ADTS can tell neither delay nor end
    assert -1 < block.shape[1] - frames < (3000 if delay else 10)
    wanted = sweep(2 * coded_rate, rate=coded_rate)
    part = slice(coded_rate // 2, coded_rate)
    error = block[:, part.start + delay : part.stop + delay] - wanted[:, part]
    assert np.sqrt(np.mean(error**2)) < 0.03


# Not AAC: its decoder makes up noise, another one every time.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] != "aac"])
def test_pieces_of_any_size_give_the_same_file(tmp_path: Path, kind: tuple[str, str]) -> None:
    blocks = []
    for piece in (101, 4800, FRAMES):
        path = tmp_path / f"{piece}{kind[1]}"
        file = begun(create(path), kind)
        fill(file, sweep(FRAMES), piece)
        file.finish()
        blocks.append(through_us(path))
    assert np.array_equal(blocks[0], blocks[1])
    assert np.array_equal(blocks[0], blocks[2])


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_frame_makes_a_complete_file(tmp_path: Path, kind: tuple[str, str]) -> None:
    path = tmp_path / f"a{kind[1]}"
    file = begun(create(path), kind)
    fill(file, noise(1))
    file.finish()
    assert 1 <= decode(path).shape[1] <= 3000


@pytest.mark.parametrize(
    ("kind", "lost_s"),
    [
        (("flac", ".flac"), 0.3),
        (("opus", ".opus"), 0.5),
        (("mp3", ".mp3"), 0.3),
        (("aac", ".aac"), 0.3),
        (("aac", ".m4a"), 1.2),
    ],
)
def test_what_is_on_the_disk_before_the_end_can_be_played(tmp_path: Path, kind: tuple[str, str], lost_s: float) -> None:
    path = tmp_path / f"a{kind[1]}"
    file = begun(create(path), kind)
    fill(file, sweep(5 * RATE))
    copy = tmp_path / f"copy{kind[1]}"
    shutil.copy(path, copy)  # what a killed process leaves behind
    assert through_us(copy).shape[1] >= (5 - lost_s) * RATE
    file.finish()


def test_bit_rates_are_kept(tmp_path: Path) -> None:
    sizes = {}
    for kbps in (32, 128, None):
        path = tmp_path / f"{kbps}.mp3"
        file = begun(create(path), ("mp3", ".mp3"), kbps=kbps)
        fill(file, noise(4 * RATE))
        file.finish()
        sizes[kbps] = path.stat().st_size * 8 / 4 / 1000
    assert sizes == {32: pytest.approx(32, abs=5), 128: pytest.approx(128, abs=5), None: pytest.approx(192, abs=5)}


def test_nonsense_does_not_stop_an_encoder(tmp_path: Path) -> None:
    block = sweep(RATE)
    block[:, 10000:10100] = np.nan
    block[:, 20000:20100] = np.inf
    block[:, 30000:30100] = 1e30
    for kind in KINDS:
        path = tmp_path / f"a{kind[1]}"
        file = begun(create(path), kind)
        fill(file, block)
        file.finish()
        assert np.all(np.isfinite(decode(path))), kind
        path.unlink()


def test_too_many_channels_are_refused(tmp_path: Path) -> None:
    message = "libmp3lame takes at most 2 channels, this recorder has 3. Choose format wav"
    with closing(create(tmp_path / "a.mp3")) as file, pytest.raises(CannotEncode, match=message):
        begun(file, ("mp3", ".mp3"), 3)
    with (
        closing(create(tmp_path / "a.flac")) as file,
        pytest.raises(CannotEncode, match="flac takes at most 8 channels"),
    ):
        begun(file, ("flac", ".flac"), 9)


def test_a_bit_rate_that_the_encoder_refuses(tmp_path: Path) -> None:
    message = "libopus does not take 1 channels at 48000 Hz and 512 kbit/s. Choose another bitrate_kbps"
    with closing(create(tmp_path / "a.opus")) as file, pytest.raises(CannotEncode, match=message):
        begun(file, ("opus", ".opus"), 1, kbps=512)


@pytest.mark.parametrize("disk", [FullDisk, FailingDisk])
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_refuses_is_told_and_leaves_what_came_before(
    tmp_path: Path, kind: tuple[str, str], disk: type[FullDisk], capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a{kind[1]}"
    file = begun(disk(create(path), 60_000), kind, kbps=192)
    with pytest.raises(OSError, match=r"No space left|Input/output error"):
        fill(file, sweep(20 * RATE))
    file.abandon()
    del file
    assert through_us(path).shape[1] > RATE // 4
    assert capfd.readouterr() == ("", "")  # FFmpeg and PyAV keep their complaints to themselves


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_ffprobe_finds_the_length(tmp_path: Path, kind: tuple[str, str]) -> None:
    path = tmp_path / f"a{kind[1]}"
    file = begun(create(path), kind)
    fill(file, sweep(FRAMES))
    file.finish()
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stderr == ""
    assert float(run.stdout) == pytest.approx(FRAMES / RATE, abs=0.15)
