"""Players and recorders with the real rings and the real engine, driven through the session."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon import runtime
from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.audio_file import AudioFile
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.endpoints.wav import WavFile
from tonnetz.daemon.engine.core import ClockKind
from tonnetz.daemon.graph.edits import AddNode, ConfigureNode, Connect, RemoveNode, Strategy
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session

from .bench import RATE, noise, read_sound, write_sound

CALLER = Caller("test", "admin", "test")
BLOCK = 256


class Studio:
    """A session with folders of its own. One player into one recorder, unless a test wants something else."""

    def __init__(self, folder: Path, clock: ClockKind) -> None:
        self.folder = folder
        media = MediaRoots(play_roots=(folder,), record_root=folder / "recordings")
        self.session = Session(sample_rate=RATE, block_frames=BLOCK, clock=clock, media=media)

    async def set_up(self, player: dict[str, Any], recorder: dict[str, Any] | None = None) -> None:
        edits = [
            AddNode(id="music", type="file_player", config=player),
            AddNode(id="tape", type="file_writer", config={"path": "take", **(recorder or {})}),
            Connect(source="music.out", target="tape.in"),
        ]
        await self.session.apply(edits, caller=CALLER, fade_ms=0)

    async def configure(self, node_id: str, **config: Any) -> None:
        await self.session.apply([ConfigureNode(id=node_id, config=config)], caller=CALLER, fade_ms=0)

    async def run(self, blocks: int) -> None:
        await self.session.runtime.step(blocks)

    def state(self, node_id: str) -> dict[str, Any]:
        return next(node for node in self.session.view()["nodes"] if node["id"] == node_id)

    async def stop(self) -> None:
        await self.session.runtime.stop()


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Callable[[ClockKind], Studio]]:
    opened: list[Studio] = []

    def enter(clock: ClockKind = "step") -> Studio:
        opened.append(Studio(tmp_path, clock))
        return opened[-1]

    yield enter
    for each in opened:
        await each.session.close()


async def test_what_is_set_before_it_begins_holds(studio: Callable[..., Studio], tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", noise(1000), subtype="FLOAT")
    here = studio()
    await here.set_up({"path": "a.wav"}, {"subtype": "float"})
    await here.configure("music", loop=True)
    await here.run(20)
    await here.stop()
    taken = read_sound(tmp_path / "recordings" / "take.wav")
    assert taken.shape[-1] == 20 * BLOCK and np.abs(taken[..., -BLOCK:]).max() > 0.1, "it loops"


@pytest.mark.parametrize(
    ("name", "subtype", "bits", "recorder"),
    [
        ("a.wav", "PCM_16", 16, {"subtype": "pcm_16"}),
        ("a.flac", "PCM_24", 24, {}),
        ("a.wav", "FLOAT", 24, {"subtype": "float"}),
        ("a.flac", "PCM_16", 16, {"format": "flac", "subtype": "pcm_16"}),
    ],
)
async def test_what_is_played_is_recorded_bit_for_bit(
    studio: Callable[..., Studio], tmp_path: Path, name: str, subtype: str, bits: int, recorder: dict[str, Any]
) -> None:
    path = write_sound(tmp_path / name, noise(2 * RATE + 77, bits=bits), subtype=subtype)
    place = studio()
    await place.set_up({"path": name}, recorder)
    await place.run(400)
    await place.stop()
    take = read_sound(Path(place.state("tape")["detail"]["path"]))
    assert take.shape[1] == 400 * BLOCK
    assert np.array_equal(take[:, : 2 * RATE + 77], read_sound(path))
    assert not np.any(take[:, 2 * RATE + 77 :])


async def test_freewheel_loses_nothing(studio: Callable[..., Studio], tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(30 * RATE), subtype="PCM_24")
    place = studio("freewheel")
    await place.set_up({"path": "a.wav"})
    await place.session.runtime.start()
    for _ in range(3000):  # a minute at most
        if place.session.engine.frame >= 31 * RATE:
            break
        await asyncio.sleep(0.02)
    await place.stop()
    detail = place.state("tape")["detail"]
    assert (detail["frames"], detail["lost_frames"]) == (place.session.engine.frame, 0)
    assert np.array_equal(read_sound(Path(detail["path"]))[:, : 30 * RATE], read_sound(path))


async def test_in_real_time_every_frame_is_recorded_or_counted(studio: Callable[..., Studio], tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", noise(RATE))
    place = studio("internal")
    await place.set_up({"path": "a.wav", "loop": True})
    await place.session.runtime.start()
    await asyncio.sleep(0.5)
    await place.stop()
    detail = place.state("tape")["detail"]
    assert detail["frames"] + detail["lost_frames"] == place.session.engine.frame > 0
    assert soundfile.info(detail["path"]).frames == detail["frames"]


async def test_a_missing_file_holds_nobody_up(studio: Callable[..., Studio], tmp_path: Path) -> None:
    place = studio()
    await place.set_up({"path": "late.wav"})
    await place.run(100)
    assert place.state("music")["state"] == "retrying"
    path = write_sound(tmp_path / "late.wav", noise(RATE), subtype="PCM_24")
    while place.state("music")["state"] != "running":
        await place.run(1)
        await asyncio.sleep(0.01)
    await place.run(300)
    await place.stop()
    take = read_sound(Path(place.state("tape")["detail"]["path"]))
    begin = int(np.argmax(np.any(take != 0, axis=0)))
    sound = read_sound(path)
    assert np.array_equal(
        take[:, begin : begin + RATE], sound[:, int(np.argmax(np.any(sound != 0, axis=0))) :][:, :RATE]
    )


async def test_a_recorder_that_can_not_write_holds_nobody_up(studio: Callable[..., Studio], tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", noise(RATE))
    (tmp_path / "recordings").write_text("a file in the way")
    place = studio()
    await place.set_up({"path": "a.wav", "loop": True})
    await place.run(2000)  # more than the ring holds
    node = place.state("tape")
    assert node["state"] == "retrying"
    assert "recordings" in node["state_message"]
    await place.stop()
    assert place.state("tape")["detail"]["lost_frames"] == 2000 * BLOCK


async def test_another_path_goes_on_at_the_frame_of_its_transaction(
    studio: Callable[..., Studio], tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "a.wav", noise(2 * RATE), subtype="PCM_24")
    place = studio()
    await place.set_up({"path": "a.wav"})
    await place.run(100)
    await place.configure("tape", path="second", format="flac")
    await place.run(50)
    await place.configure("tape", path="third.wav", format="wav")
    await place.run(25)
    await place.stop()
    takes = [read_sound(tmp_path / "recordings" / name) for name in ("take.wav", "second.flac", "third.wav")]
    assert [take.shape[1] // BLOCK for take in takes] == [100, 50, 25]
    assert np.array_equal(np.concatenate(takes, axis=1), read_sound(path)[:, : 175 * BLOCK])


@pytest.mark.parametrize("strategy", ["fade", "immediate", "drain"])
async def test_a_removed_recorder_leaves_a_complete_file(
    studio: Callable[..., Studio], tmp_path: Path, strategy: Strategy
) -> None:
    path = write_sound(tmp_path / "a.wav", noise(2 * RATE), subtype="PCM_24")
    place = studio()
    await place.set_up({"path": "a.wav"})
    await place.run(100)
    await place.session.apply([RemoveNode(id="tape", strategy=strategy)], caller=CALLER, fade_ms=0)
    await place.run(50)
    await place.stop()
    assert np.array_equal(read_sound(tmp_path / "recordings/take.wav"), read_sound(path)[:, : 100 * BLOCK])


@pytest.mark.parametrize(
    ("node_id", "config", "name"),
    [
        ("music", {"path": "../a.wav"}, "forbidden"),
        ("music", {"start_s": 2, "end_s": 1}, "invalid_config"),
        ("tape", {"path": "../take"}, "forbidden"),
        ("tape", {"path": "/tmp/take"}, "forbidden"),
        ("tape", {"path": "take.mp3"}, "invalid_config"),
        ("tape", {"format": "flac", "subtype": "float"}, "invalid_config"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    studio: Callable[..., Studio], tmp_path: Path, node_id: str, config: dict[str, Any], name: str
) -> None:
    path = write_sound(tmp_path / "a.wav", noise(RATE), subtype="PCM_24")
    place = studio()
    await place.set_up({"path": "a.wav"})
    await place.run(50)
    before, revision = place.session.graph, place.session.revision
    with pytest.raises(Refusal) as caught:
        await place.configure(node_id, **config)
    assert caught.value.name == name
    assert (place.session.graph, place.session.revision) == (before, revision)
    await place.run(50)
    await place.stop()
    assert np.array_equal(read_sound(tmp_path / "recordings/take.wav"), read_sound(path)[:, : 100 * BLOCK])


async def test_rings_are_exchanged_without_losing_a_frame(studio: Callable[..., Studio], tmp_path: Path) -> None:
    """Both ends of a chain get other buffers over and over, larger and smaller ones: the recording is the file."""
    path = write_sound(tmp_path / "a.wav", noise(20 * RATE, bits=24), subtype="PCM_24")
    place = studio()
    await place.set_up({"path": "a.wav"})
    sizes = [100.0, 3000.0, 250.0, 10_000.0, 500.0, 200.0, 1000.0]
    for player_ms, recorder_ms in zip(sizes, sizes[::-1], strict=True):
        await place.run(150)
        await place.configure("music", buffer_ms=player_ms)
        await place.run(7)
        await place.configure("tape", buffer_ms=max(recorder_ms, 200.0))
    await place.run(2000)
    capacities = [place.session.stage.part(name).outside.ring.capacity for name in ("music", "tape")]  # type: ignore[union-attr]
    assert capacities == [1 << 16, 1 << 14]
    await place.stop()
    detail = place.state("tape")["detail"]
    take, sound = read_sound(Path(detail["path"])), read_sound(path)
    assert (detail["lost_frames"], detail["segments"]) == (0, 1)
    assert np.array_equal(take[:, : sound.shape[1]], sound[:, : take.shape[1]]) and take.shape[1] > 15 * RATE
    assert place.state("music")["detail"]["position_s"] == pytest.approx(take.shape[1] / RATE, abs=0.001)


class Hanging:
    """Where a disk hangs, once, until it is let go."""

    def __init__(self) -> None:
        self.hangs = threading.Event()
        self.go_on = threading.Event()

    def wait(self) -> None:
        if self.hangs.is_set():
            assert self.go_on.wait(60)


@pytest.mark.parametrize("node", ["music", "tape"])
async def test_a_disk_that_hangs_is_told_with_time_and_cause(
    studio: Callable[..., Studio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    """The player's ring runs dry, or the recorder's over: an incident, once the disk is back, and an event."""
    disk = Hanging()
    if node == "music":
        read = AudioFile.blocks

        def slow_blocks(file: AudioFile, start: int) -> Iterator[Any]:
            for block in read(file, start):
                disk.wait()
                yield block

        monkeypatch.setattr(AudioFile, "blocks", slow_blocks)
    else:
        write = WavFile.write

        def slow_write(file: WavFile, block: Any) -> None:
            disk.wait()
            write(file, block)

        monkeypatch.setattr(WavFile, "write", slow_write)
    write_sound(tmp_path / "a.wav", noise(20 * RATE))
    place = studio("internal")
    await place.set_up({"path": "a.wav", "loop": True, "buffer_ms": 100}, {"buffer_ms": 200})
    await place.session.runtime.start()
    heard = place.session.events.subscribe(["log"])

    def xruns() -> list[dict[str, Any]]:
        told = place.session.runtime.performance()["incidents"]
        return [one for one in told if one["kind"] == "xrun" and one["node"] == node]

    await until(lambda: place.state("music")["state"] == place.state("tape")["state"] == "running")
    before, ring = len(xruns()), place.session.stage.part(node).outside.ring  # type: ignore[union-attr]
    disk.hangs.set()
    missed = ring.missed
    await until(lambda: ring.missed > missed + RATE / 4)
    disk.go_on.set()
    await until(lambda: len(xruns()) > before)
    (newest, cause) = (xruns()[-1], xruns()[-1]["cause"])
    name = "a.wav" if node == "music" else "take.wav"
    assert name in cause and f"could not be {'read' if node == 'music' else 'written'} in time:" in cause
    found = re.search(r"time: ([\d.]+) s are lost", cause)
    assert found is not None and float(found[1]) >= 0.25 and 0 < newest["frame"] <= place.session.engine.frame
    while (await anext(heard)).params["message"] != f"{node}: {cause}":
        pass


async def test_a_file_that_an_end_does_not_wait_for_is_told(
    studio: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that hangs does not hang the daemon, which ends at once after this: nobody would know what is missing."""
    disk, finish = Hanging(), WavFile.finish

    def slow_finish(file: WavFile) -> None:
        disk.wait()
        finish(file)

    monkeypatch.setattr(WavFile, "finish", slow_finish)
    monkeypatch.setattr(runtime, "CLOSING_PATIENCE_S", 2.0)
    write_sound(tmp_path / "a.wav", noise(RATE))
    here = studio()
    await here.set_up({"path": "a.wav"}, {})
    await here.run(20)
    disk.hangs.set()
    await here.stop()
    disk.go_on.set()
    assert [one for one in caplog.messages if "has not ended" in one and one.startswith("tape ")]
    assert not [one for one in caplog.messages if "has not ended" in one and one.startswith("music ")]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_nothing_is_told_of_the_wait_for_a_file(studio: Callable[..., Studio], tmp_path: Path) -> None:
    """A player finds nothing in its ring until its file is open, and at its end: that is no loss."""
    write_sound(tmp_path / "a.wav", noise(RATE // 4))
    place = studio("freewheel")
    await place.session.runtime.start()
    for turn in range(5):
        await place.set_up({"path": "a.wav", "on_end": "stop"}, {"path": f"take{turn}"})
        await until(lambda: place.session.stage.part("music").outside.state.name == "ended")  # type: ignore[union-attr]
        await place.session.apply([RemoveNode(id="music"), RemoveNode(id="tape")], caller=CALLER, fade_ms=0)
    assert [one for one in place.session.runtime.performance()["incidents"] if one["kind"] == "xrun"] == []


async def test_also_while_an_audio_thread_runs(studio: Callable[..., Studio], tmp_path: Path) -> None:
    """By the timer, what is missing because the machine was busy is counted; what is there is in order and once."""
    path = write_sound(tmp_path / "a.wav", noise(20 * RATE, bits=24), subtype="PCM_24")
    place = studio("internal")
    await place.set_up({"path": "a.wav"})
    await place.session.runtime.start()
    for size in (300.0, 2000.0, 500.0, 4000.0, 400.0):
        await asyncio.sleep(0.3)
        await place.configure("music", buffer_ms=size)
        await place.configure("tape", buffer_ms=size + 500)
    await asyncio.sleep(0.3)
    missed = place.session.stage.part("music").outside.ring.missed  # type: ignore[union-attr]
    await place.stop()
    detail = place.state("tape")["detail"]
    take, sound = read_sound(Path(detail["path"])), read_sound(path)
    begin = int(np.argmax(take.any(axis=0)))
    heard = take[:, begin:]
    assert detail["frames"] + detail["lost_frames"] == place.session.engine.frame
    if missed <= begin and not detail["lost_frames"]:  # nothing but the wait for the file's first frames
        assert np.array_equal(heard, sound[:, : heard.shape[1]])
