"""Whether files can be played and recorded, found out without a node; what hangs meanwhile holds a thread at most."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tonnetz.daemon.endpoints import file_recording, trial
from tonnetz.daemon.endpoints.alsa_worker.asking import AlsaWorker
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.endpoints.trial import MOST_STUCK, Trial
from tonnetz.daemon.node_types import file_player, file_writer
from tonnetz.daemon.problems import Refusal

from .bench import config_of, write_sound


@pytest.fixture
def attempt(tmp_path: Path) -> Trial:
    """In a folder with a stereo file, `a.wav`."""
    write_sound(tmp_path / "a.wav", np.zeros((2, 44_100), np.float32), 44_100)
    media = MediaRoots(play_roots=(tmp_path,), record_root=tmp_path / "records")
    return Trial(48_000, 256, media, AlsaWorker(lambda device: [], lambda *told: None))


def everything(folder: Path) -> list[str]:
    """All files and folders in it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def play(attempt: Trial, **given: Any) -> Any:
    return await file_player.test(config_of(file_player.SPEC, {"path": "a.wav", **given}), attempt)


async def record(attempt: Trial, **given: Any) -> Any:
    return await file_writer.test(config_of(file_writer.SPEC, given), attempt)


async def test_a_file_that_plays(attempt: Trial, tmp_path: Path) -> None:
    found = await play(attempt)
    path = str(tmp_path / "a.wav")
    assert found == {"path": path, "codec": "pcm_s16le", "sample_rate": 44_100, "channels": 2, "duration_s": 1.0}


@pytest.mark.parametrize(
    ("given", "reason", "said"),
    [
        ({"path": "b.wav"}, "not_found", "There is no file .*/b.wav. Did you mean 'a.wav'?"),
        ({"path": "text.wav"}, "unavailable", "text.wav is not a sound file that can be read"),
        ({"path": "."}, "unavailable", "is a folder. Name a sound file."),
        ({"channels": 6}, "unavailable", "has 2 channels, the player 6. Set `channels` to 2"),
    ],
)
async def test_files_that_do_not(attempt: Trial, tmp_path: Path, given: dict[str, Any], reason: str, said: str) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(Refusal, match=said.replace("?", r"\?")) as refused:
        await play(attempt, **given)
    assert refused.value.name == reason


@pytest.mark.parametrize(
    ("given", "suffix", "rate"),
    [
        ({"format": "wav"}, "wav", 48_000),
        ({"format": "flac", "channels": 6}, "flac", 48_000),
        ({"format": "opus", "path": "%Y/take"}, "opus", 48_000),
        ({"format": "mp3", "bitrate_kbps": 128}, "mp3", 48_000),
        ({"format": "aac", "path": "a/b/c.aac"}, "aac", 48_000),
    ],
)
async def test_a_recording_is_rehearsed_and_leaves_nothing(
    attempt: Trial, tmp_path: Path, given: dict[str, Any], suffix: str, rate: int
) -> None:
    before = everything(tmp_path)
    found = await record(attempt, **given)
    assert found["path"].startswith(str(tmp_path / "records")) and found["path"].endswith(f".{suffix}")
    assert (found["format"], found["sample_rate"]) == (given["format"], rate)
    assert found["channels"] == given.get("channels", 2) and found["free_bytes"] > 0
    assert everything(tmp_path) == before


async def test_an_encoder_tells_the_rate_it_writes(attempt: Trial) -> None:
    other = Trial(44_100, 256, attempt.media, attempt.alsa)
    assert (await record(other, format="opus"))["sample_rate"] == 48_000
    assert (await record(other, format="wav"))["sample_rate"] == 44_100


async def test_recordings_that_would_fail(attempt: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "records").write_text("a file where the folder should be")
    with pytest.raises(Refusal, match="records/take.wav can't be written: Not a directory"):
        await record(attempt, path="take.wav")
    (tmp_path / "records").unlink()
    with pytest.raises(Refusal, match="libopus does not take 1 channels at 48000 Hz and 512 kbit/s"):
        await record(attempt, format="opus", channels=1, bitrate_kbps=512)

    def full(path: Path) -> Any:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(file_recording, "create", full)
    with pytest.raises(Refusal, match="There is no space left for .*/records/take.wav: free some."):
        await record(attempt, path="take.wav")
    assert everything(tmp_path) == ["a.wav"]


async def test_what_hangs_holds_a_thread_and_nobody_else(attempt: Trial) -> None:
    let_go = threading.Event()
    stuck = [asyncio.create_task(attempt.in_thread(let_go.wait)) for _ in range(MOST_STUCK)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(Refusal, match="8 earlier tests still hang") as refused:
            await attempt.in_thread(lambda: 1)
        assert refused.value.name == "unavailable"
        stuck[0].cancel()  # nobody waits any more; the thread still hangs
        with pytest.raises(Refusal, match="still hang"):
            await attempt.in_thread(lambda: 1)
    finally:
        let_go.set()
    assert await asyncio.gather(*stuck[1:]) == [True] * (MOST_STUCK - 1)
    for thread in list(trial._stuck):
        await asyncio.to_thread(thread.join, 20)
    assert await attempt.in_thread(lambda: 1) == 1


async def test_what_goes_wrong_in_the_thread_is_raised(attempt: Trial) -> None:
    with pytest.raises(ZeroDivisionError):
        await attempt.in_thread(lambda: 1 / 0)
