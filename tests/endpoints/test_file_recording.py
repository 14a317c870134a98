"""Recorders: what came through the ring is in the files, to the frame, whatever happens to disks, names and the process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.endpoints import file_recording, recording_path
from tonnetz.daemon.endpoints.endpoint import Endpoint
from tonnetz.daemon.endpoints.sound_file import create
from tonnetz.daemon.node_types import file_writer

from .bench import RATE, Place, Samples, config_of, decode, feed, finish, noise, read_sound, sweep, wait_for
from .disks import FailingDisk, FullDisk


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


@pytest.fixture
def folder(place: Place) -> Path:
    return place.folder / "recordings"


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_recording, "RETRY_S", 0.2)


def configured(place: Place, **given: Any) -> dict[str, Any]:
    return config_of(file_writer.SPEC, {"path": "take", "channels": place.channels, **given})


def started(place: Place, **given: Any) -> Endpoint:
    endpoint = place.open(file_writer, configured(place, **given))
    endpoint.start()
    return endpoint


def recorded(place: Place, block: Samples, **given: Any) -> dict[str, Any]:
    endpoint = started(place, **given)
    feed(endpoint, block)
    return finish(endpoint).detail


# ---- Whole recordings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "bits"),
    [
        ({"format": "wav", "subtype": "pcm_16"}, 16),
        ({"format": "wav", "subtype": "pcm_24"}, 24),
        ({"format": "wav", "subtype": "float"}, 24),
        ({"format": "flac", "subtype": "pcm_16"}, 16),
        ({"format": "flac", "subtype": "pcm_24"}, 24),
    ],
)
def test_every_frame_is_recorded(place: Place, folder: Path, given: dict[str, str], bits: int) -> None:
    block = noise(2 * RATE + 123, bits=bits)
    detail = recorded(place, block, **given)
    path = folder / f"take.{given['format']}"
    assert np.array_equal(read_sound(path), block)
    size = path.stat().st_size
    assert detail == {
        "path": str(path),
        "frames": 2 * RATE + 123,
        "seconds": 2.003,
        "bytes": size,
        "segments": 1,
        "clipped": 0,
        "lost_frames": 0,
    }


@pytest.mark.parametrize(("format", "name"), [("opus", "take.opus"), ("mp3", "take.mp3"), ("aac", "take.m4a")])
def test_lossy_recordings(place: Place, folder: Path, format: str, name: str) -> None:
    sound = sweep(2 * RATE)
    recorded(place, sound, format=format)
    block = decode(folder / name)
    assert 0 <= block.shape[1] - 2 * RATE < 1500
    part = slice(RATE // 2, RATE)
    assert np.sqrt(np.mean((block[:, part] - sound[:, part]) ** 2)) < 0.03


def test_states(place: Place, folder: Path) -> None:
    endpoint = started(place)
    assert endpoint.state.name == "starting"
    assert endpoint.state.detail["path"] is None
    time.sleep(0.05)
    assert not folder.exists()  # nothing is made before there is something to record
    feed(endpoint, noise(100))
    wait_for(lambda: place.told == ["running"])
    assert place.states[0].detail["path"] == str(folder / "take.wav")
    assert finish(endpoint).name == "ended"
    assert place.told == ["running"], "after close nobody is told anything"


def test_clipping_is_counted(place: Place, folder: Path) -> None:
    block = np.zeros((2, 1000), np.float32)
    block[0, 100:110] = 1.5
    block[1, 200] = -3
    assert recorded(place, block, subtype="pcm_16")["clipped"] == 11


def test_an_existing_recording_stays(place: Place, folder: Path) -> None:
    folder.mkdir()
    (folder / "take.wav").write_text("precious")
    endpoint = started(place)
    feed(endpoint, noise(1000))
    wait_for(lambda: place.states)
    state = finish(endpoint)
    assert state.detail["path"] == str(folder / "take_2.wav")
    assert state.message == place.states[0].message == "There is a take.wav already: recording into take_2.wav."
    assert (folder / "take.wav").read_text() == "precious"
    assert soundfile.info(folder / "take_2.wav").frames == 1000


def test_nothing_recorded_leaves_no_file(place: Place, folder: Path) -> None:
    assert finish(started(place)).detail["segments"] == 0
    assert not folder.exists()


def test_fields_stand_for_the_time_of_the_first_frame(place: Place, folder: Path) -> None:
    endpoint = place.open(file_writer, configured(place, path="%s"))
    feed(endpoint, noise(3 * RATE))  # these three seconds were heard before the thread runs
    before = time.time()
    endpoint.start()
    detail = finish(endpoint).detail
    assert before - 4 <= int(Path(detail["path"]).stem) <= time.time() - 3


# ---- Segments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_segments_join_without_a_gap(place: Place, folder: Path, format: str) -> None:
    block = noise(2 * RATE + 99)
    endpoint = started(place, format=format, segment_s=0.3333)
    feed(endpoint, block)
    wait_for(lambda: len(place.states) == 7)
    detail = finish(endpoint).detail
    names = [f"take.{format}", *(f"take_{number}.{format}" for number in range(2, 8))]
    parts = [read_sound(folder / name) for name in names]
    assert [part.shape[1] for part in parts[:-1]] == [15998] * 6
    assert np.array_equal(np.concatenate(parts, axis=1), block)
    assert (detail["segments"], detail["frames"]) == (7, block.shape[1])
    assert detail["bytes"] == sum((folder / name).stat().st_size for name in names)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert [state.detail["path"] for state in place.states] == [str(folder / name) for name in names]


def test_an_end_between_two_segments_leaves_no_empty_one(place: Place, folder: Path) -> None:
    assert recorded(place, noise(RATE), segment_s=0.5)["segments"] == 2
    assert sorted(path.name for path in folder.iterdir()) == ["take.wav", "take_2.wav"]


def test_segments_may_be_single_frames(place: Place, folder: Path) -> None:
    block = noise(20)
    assert recorded(place, block, segment_s=0.000001)["segments"] == 20
    parts = [read_sound(folder / f"take{'' if number == 1 else f'_{number}'}.wav") for number in range(1, 21)]
    assert np.array_equal(np.concatenate(parts, axis=1), block)


def test_the_length_of_segments_may_change_while_recording(place: Place, folder: Path) -> None:
    block = noise(2 * RATE)
    endpoint = started(place)
    feed(endpoint, block[:, :RATE])
    endpoint.configure(configured(place, segment_s=0.25))
    feed(endpoint, block[:, RATE:])
    finish(endpoint)
    lengths = [soundfile.info(folder / f"take{end}.wav").frames for end in ("", "_2", "_3", "_4", "_5")]
    assert lengths == [RATE, RATE // 4, RATE // 4, RATE // 4, RATE // 4]


def test_a_new_path_goes_on_at_the_next_frame(place: Place, folder: Path) -> None:
    block = noise(3 * RATE)
    endpoint = started(place)
    feed(endpoint, block[:, :RATE])
    endpoint.configure(configured(place, path="other/name", format="flac"))
    feed(endpoint, block[:, RATE : 2 * RATE])
    endpoint.configure(configured(place, path="third", subtype="float"))
    feed(endpoint, block[:, 2 * RATE :])
    assert finish(endpoint).detail["lost_frames"] == 0
    parts = [read_sound(folder / name) for name in ("take.wav", "other/name.flac", "third.wav")]
    assert [part.shape[1] for part in parts] == [RATE, RATE, RATE]  # from the very frame on at which it was asked for
    assert np.array_equal(np.concatenate(parts, axis=1), block)
    assert soundfile.info(folder / "third.wav").subtype == "FLOAT"


def test_a_setting_that_concerns_no_file_leaves_it_alone(place: Place, folder: Path) -> None:
    block = noise(RATE)
    endpoint = started(place)
    feed(endpoint, block[:, :10000])
    endpoint.configure(configured(place, retention=3.0))
    feed(endpoint, block[:, 10000:])
    finish(endpoint)
    assert np.array_equal(read_sound(folder / "take.wav"), block)


def test_old_segments_are_deleted_when_a_new_one_begins(place: Place, folder: Path) -> None:
    folder.mkdir()
    past = time.time() - 2.5 * 86400
    for name in ("take.wav", "take_2.wav", "interview.wav"):
        (folder / name).touch()
        os.utime(folder / name, (past, past))
    recorded(place, noise(1000), retention=2)
    assert sorted(path.name for path in folder.iterdir()) == ["interview.wav", "take_3.wav"]


# ---- The end, to the frame -------------------------------------------------------------------------------------------


def test_a_length_that_is_yet_to_come_is_waited_for(place: Place, folder: Path) -> None:
    block = noise(20000)
    endpoint = started(place)
    feed(endpoint, block[:, :5000])
    endpoint.close(12345)
    assert not endpoint.join(0.3)
    feed(endpoint, block[:, 5000:])
    assert endpoint.join(10)
    assert np.array_equal(read_sound(folder / "take.wav"), block[:, :12345])


def test_what_came_beyond_the_length_is_cut_off(place: Place, folder: Path) -> None:
    block = noise(20000)
    endpoint = started(place)
    feed(endpoint, block)
    wait_for(lambda: endpoint.state.detail["frames"] == 20000)
    assert finish(endpoint, 12345).detail["frames"] == 12345
    assert np.array_equal(read_sound(folder / "take.wav"), block[:, :12345])


def test_the_shorter_of_two_lengths_counts(place: Place, folder: Path) -> None:
    endpoint = started(place)
    feed(endpoint, noise(1000))
    endpoint.close(5000)  # as the news of a fade's end had it; but then the engine was stopped
    endpoint.close(1000)
    finish(endpoint, 7000)
    assert soundfile.info(folder / "take.wav").frames == 1000


def test_closing_without_a_length_takes_all_that_is_there(place: Place, folder: Path) -> None:
    block = noise(3 * RATE)
    endpoint = place.open(file_writer, configured(place))
    feed(endpoint, block)  # before the thread even runs
    endpoint.start()
    finish(endpoint)
    assert np.array_equal(read_sound(folder / "take.wav"), block)


def test_frames_that_found_the_ring_full_are_lost_and_counted(place: Place, folder: Path) -> None:
    endpoint = place.open(file_writer, configured(place))
    capacity = endpoint.ring.capacity
    for _ in range(capacity // 4096 + 3):
        endpoint.ring.push(noise(4096))
    endpoint.start()
    detail = finish(endpoint, capacity + 3 * 4096).detail
    assert (detail["frames"], detail["lost_frames"]) == (capacity, 3 * 4096)
    assert endpoint.ring.closed


def test_a_recorder_that_was_never_started_can_be_closed(place: Place) -> None:
    endpoint = place.open(file_writer, configured(place))
    endpoint.close()
    assert endpoint.join(0)


# ---- Disks that go wrong ---------------------------------------------------------------------------------------------


class Disks:
    """What the recorder's files lie on, one after the other; then sound ones."""

    def __init__(self, *bad: Any) -> None:
        self.bad: Iterator[Any] = iter(bad)

    def create(self, path: Path) -> Any:
        file = create(path)  # where there is one already, no disk is used up
        return next(self.bad, lambda file: file)(file)


def full(left: int) -> Any:
    return lambda file: FullDisk(file, left)


def failing(left: int) -> Any:
    return lambda file: FailingDisk(file, left)


def test_a_full_disk_is_told_and_the_next_file_goes_on(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_path, "create", Disks(full(80 + 60_000), full(80), full(0)).create)
    endpoint = started(place)
    feed(endpoint, noise(20000))
    wait_for(lambda: "retrying" in place.told)
    trouble = next(state for state in place.states if state.name == "retrying")
    assert f"no space left for {folder}/take.wav: free some. A new file is tried in" in trouble.message
    at = endpoint.ring.taken
    while endpoint.state.detail["frames"] < 11000:
        feed(endpoint, noise(1000))
        time.sleep(0.01)
    detail = finish(endpoint).detail
    assert soundfile.info(folder / "take.wav").frames == 10000
    assert sorted(path.name for path in folder.iterdir()) == ["take.wav", "take_2.wav"]  # the empty ones went away
    assert np.array_equal(read_sound(folder / "take.wav"), noise(20000)[:, :10000])
    assert detail["frames"] == 10000 + soundfile.info(folder / "take_2.wav").frames
    assert detail["frames"] + detail["lost_frames"] == endpoint.ring.written
    assert detail["segments"] == 2
    assert at <= endpoint.ring.taken == endpoint.ring.written, "the ring is emptied all the time: nobody waits"


@pytest.mark.parametrize("format", ["wav", "flac", "opus", "mp3", "aac"])
def test_a_failing_disk_costs_a_piece(place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    monkeypatch.setattr(recording_path, "create", Disks(failing(50_000)).create)
    endpoint = started(place, format=format, bitrate_kbps=192)
    sound = sweep(20 * RATE)
    for at in range(0, 20 * RATE, 4800):
        feed(endpoint, sound[:, at : at + 4800])
        if "retrying" in place.told:
            break
        wait_for(lambda: endpoint.ring.taken == endpoint.ring.written)
    wait_for(lambda: "retrying" in place.told)
    while place.told[-1] != "running":
        feed(endpoint, sound[:, :480])
        time.sleep(0.01)
    assert finish(endpoint).name == "ended"
    assert re.search(r"can't be written: Input/output error. Look at its disk.", place.states[1].message)
    first, second = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert decode(first).shape[1] > 1000
    assert decode(second).shape[1] > 0


def test_a_folder_that_can_not_be_made(place: Place, folder: Path) -> None:
    folder.mkdir()
    (folder / "studio").write_text("a file in the way")
    endpoint = started(place, path="studio/take")
    feed(endpoint, noise(1000))
    wait_for(lambda: place.states)
    assert place.told == ["retrying"]
    assert "studio" in place.states[0].message
    (folder / "studio").unlink()
    while place.told[-1] != "running":
        feed(endpoint, noise(480))
        time.sleep(0.01)
    finish(endpoint)
    assert soundfile.info(folder / "studio/take.wav").frames >= 480


def test_an_end_that_can_not_be_written_is_told(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = started(place)
    feed(endpoint, noise(1000))
    wait_for(lambda: endpoint.state.detail["frames"] == 1000)

    def failing_sync(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing_sync)
    state = finish(endpoint)
    assert (state.name, "could not be written: Input/output error" in state.message) == ("failed", True)
    assert "could not be written" in caplog.text
    assert soundfile.info(folder / "take.wav").frames == 1000


def test_a_link_turned_outward_is_refused(place: Place, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    endpoint = started(place, path="studio/take")
    folder.mkdir()
    (folder / "studio").symlink_to(outside)
    feed(endpoint, noise(1000))
    assert endpoint.join(10)
    assert place.told == ["failed"]
    assert "outside the folder that may be recorded to" in place.states[0].message
    assert endpoint.ring.closed
    assert list(outside.iterdir()) == []


def test_an_encoder_that_refuses_fails_for_good(place: Place, folder: Path) -> None:
    place.channels = 1
    endpoint = started(place, format="opus", bitrate_kbps=512)
    feed(endpoint, noise(1000, channels=1))
    assert endpoint.join(10)
    assert place.told == ["failed"]
    assert "Choose another bitrate_kbps" in place.states[0].message
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_really_full_disk(place: Place, folder: Path) -> None:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    mount = subprocess.run(command, check=False, capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(mount.stderr)
    try:
        endpoint = started(place)
        feed(endpoint, noise(2 * RATE))
        wait_for(lambda: "retrying" in place.told)
        assert "no space left" in place.states[1].message
        frames = soundfile.info(folder / "take.wav").frames
        assert 30000 < frames < 43691
        assert np.array_equal(read_sound(folder / "take.wav"), noise(2 * RATE)[:, :frames])
        finish(endpoint)
    finally:
        subprocess.run(["umount", folder], check=True)


# ---- Killed ----------------------------------------------------------------------------------------------------------

KILLED = """
import sys, time
from pathlib import Path
from tonnetz.daemon.graph.config import complete
from tonnetz.daemon.node_types import file_writer
sys.path.insert(0, sys.argv[1])
from tests.endpoints.bench import Place, feed, sweep
config, _ = complete(file_writer.SPEC, {"path": "take", "format": sys.argv[3]})
place = Place(Path(sys.argv[2]))
recorder = place.open(file_writer, config)
recorder.start()
feed(recorder, sweep(5 * 48000))
while recorder.ring.taken < recorder.ring.written or recorder.state.detail["frames"] < 5 * 48000:
    time.sleep(0.01)
print("recorded", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(("format", "lost_s"), [("wav", 0.0), ("flac", 0.3), ("opus", 0.5), ("mp3", 0.3), ("aac", 1.2)])
def test_a_killed_process_leaves_a_recording(
    place: Place, folder: Path, format: str, lost_s: float, checkout: Path
) -> None:
    command = [sys.executable, "-c", KILLED, checkout, place.folder, format]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        process.send_signal(signal.SIGKILL)
    (path,) = folder.iterdir()
    assert 5 * RATE >= decode(path).shape[1] >= (5 - lost_s) * RATE
    if format == "wav":
        assert soundfile.info(path).frames == 5 * RATE
