"""Players: what comes out of the ring is the file, frame for frame, whatever loops, seeks and troubles there are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tonnetz.daemon.endpoints import audio_file, file_reading
from tonnetz.daemon.endpoints.endpoint import Endpoint
from tonnetz.daemon.node_types import file_player

from .bench import (
    RATE,
    Place,
    Samples,
    config_of,
    encode,
    finish,
    noise,
    play_out,
    read_sound,
    sweep,
    take,
    wait_for,
    write_sound,
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reading, "RETRY_S", 0.2)


def player(place: Place, **given: Any) -> Endpoint:
    given.setdefault("channels", place.channels)
    return place.open(file_player, config_of(file_player.SPEC, given))


def started(place: Place, **given: Any) -> Endpoint:
    endpoint = player(place, **given)
    endpoint.start()
    return endpoint


def played(place: Place, **given: Any) -> Samples:
    endpoint = started(place, **given)
    block = play_out(endpoint)
    assert endpoint.join(10)
    return block


def fails(place: Place, **given: Any) -> Endpoint:
    """A player that has failed, and gives silence, so that no clock waits for it."""
    endpoint = started(place, **given)
    wait_for(lambda: place.states)
    assert place.told == ["failed"]
    assert not np.any(take(endpoint, RATE // 2))
    return endpoint


def sounding(endpoint: Endpoint, sound: Samples) -> None:
    """After some silence the sound comes, from its beginning."""
    count, begin = sound.shape[1], int(np.argmax(np.any(sound != 0, axis=0)))
    deadline = time.monotonic() + 30
    while not np.any(block := take(endpoint, 480)):
        assert time.monotonic() < deadline
    block = np.concatenate([block, take(endpoint, count)], axis=1)
    block = block[:, int(np.argmax(np.any(block != 0, axis=0))) :]
    assert np.array_equal(block[:, : count - 480 - begin], sound[:, begin : count - 480])


# ---- The whole file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "bits"),
    [
        ("a.wav", {"subtype": "PCM_16"}, 16),
        ("a.wav", {"subtype": "PCM_24"}, 24),
        ("a.wav", {"subtype": "FLOAT"}, 24),
        ("a.flac", {"subtype": "PCM_16"}, 16),
        ("a.flac", {"subtype": "PCM_24"}, 24),
    ],
)
def test_a_file_at_the_engines_rate_is_played_bit_for_bit(
    place: Place, name: str, options: dict[str, str], bits: int
) -> None:
    path = write_sound(place.folder / name, noise(2 * RATE + 345, bits=bits), **options)
    assert np.array_equal(played(place, path=name), read_sound(path))


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("a.opus", "libopus"), ("a.m4a", "aac"), ("a.aac", "aac")]
)
def test_lossy_files_play(place: Place, name: str, codec: str) -> None:
    sound = sweep(2 * RATE)
    encode(place.folder / name, sound, codec)
    block = played(place, path=name)
    delay = 1024 if name == "a.aac" else 0  # a bare AAC stream can't tell the delay of its encoder
    part = slice(RATE // 2, RATE)
    error = block[:, part.start + delay : part.stop + delay] - sound[:, part]
    assert np.sqrt(np.mean(error**2)) < 0.03


def test_what_is_told(place: Place) -> None:
    path = encode(place.folder / "a.opus", sweep(RATE), "libopus")
    endpoint = started(place, path="a.opus")
    play_out(endpoint)
    assert endpoint.join(10)
    assert place.told == ["running", "ended"]
    assert endpoint.state == place.states[-1]
    duration_s = place.states[-1].detail["duration_s"]
    assert duration_s == pytest.approx(1.0, abs=0.01)
    assert place.states[-1].detail == {
        "path": str(path),
        "codec": "opus",
        "sample_rate": RATE,
        "channels": 2,
        "duration_s": duration_s,
        "title": "Étude",
        "artist": "Tonnetz",
        "position_s": 1.0,
    }


def test_the_ring_is_kept_full_and_the_thread_sleeps_until_half_a_second_is_missing(place: Place) -> None:
    write_sound(place.folder / "a.wav", noise(8 * RATE))
    endpoint = started(place, path="a.wav")
    full, most_missing = round(1.5 * RATE), RATE // 2
    wait_for(lambda: endpoint.ring.written == full)
    take(endpoint, most_missing - 100)
    time.sleep(0.3)
    assert endpoint.ring.written == full
    take(endpoint, 200)
    wait_for(lambda: endpoint.ring.written == full + most_missing + 100)
    finish(endpoint)


# ---- Rates and channels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 44100, 96000, 192000])
def test_other_rates_are_converted(place: Place, rate: int) -> None:
    write_sound(place.folder / "a.wav", sweep(2 * rate + 77, rate=rate), rate, subtype="FLOAT")
    block = played(place, path="a.wav")
    assert abs(block.shape[1] - (2 * rate + 77) * RATE / rate) < 1
    error = (block - sweep(block.shape[1]))[:, 2000:-2000]  # at its edges the sweep is cut off, which rings
    assert 20 * np.log10(np.max(np.abs(error))) < -100


def test_mono_goes_to_both_sides(place: Place) -> None:
    path = write_sound(place.folder / "a.wav", noise(9999, channels=1), subtype="PCM_24")
    assert np.array_equal(played(place, path="a.wav"), np.repeat(read_sound(path), 2, axis=0))


def test_stereo_is_halved_into_mono(place: Place) -> None:
    place.channels = 1
    path = write_sound(place.folder / "a.wav", noise(9999, bits=16), subtype="PCM_16")
    left, right = read_sound(path)
    assert np.array_equal(played(place, path="a.wav"), (0.5 * (left + right))[np.newaxis])


def test_many_channels_pass_as_they_are(place: Place) -> None:
    place.channels = 6
    path = write_sound(place.folder / "a.wav", noise(9999, channels=6), subtype="PCM_24")
    assert np.array_equal(played(place, path="a.wav"), read_sound(path))


def test_other_channel_counts_fail_and_say_what_to_do(place: Place) -> None:
    write_sound(place.folder / "a.wav", noise(9999, channels=6))
    fails(place, path="a.wav")
    assert "has 6 channels, the player 2. Set `channels` to 6" in place.states[0].message


# ---- Passages, loops, jumps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_passage_is_exact_to_the_frame(place: Place, name: str) -> None:
    path = write_sound(place.folder / name, sweep(5 * RATE))
    everything = played(place, path=name)
    assert everything.shape[1] == 5 * RATE, path
    start, end = 100003, 190001
    passage = played(place, path=name, start_s=start / RATE, end_s=end / RATE)
    assert np.array_equal(passage, everything[:, start:end])


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0, None, 6 * RATE + 17),  # longer than what is kept: goes back in the file
        (0, None, RATE + 17),
        (70001, 70001 + RATE, 6 * RATE + 17),
        (5, 6, 2 * RATE),  # a single frame
        (100, 1077, 2 * RATE),
    ],
)
def test_a_loop_neither_lacks_nor_doubles_a_frame(
    place: Place, name: str, start: int, end: int | None, frames: int
) -> None:
    path = write_sound(place.folder / name, noise(frames), subtype="PCM_24")
    once = read_sound(path)[:, start:end]
    endpoint = started(place, path=name, loop=True, start_s=start / RATE, end_s=None if end is None else end / RATE)
    wanted = min(max(2 * once.shape[1], RATE), 2 * once.shape[1] + RATE) + 1234
    block = take(endpoint, wanted)
    finish(endpoint)
    assert np.array_equal(block, once[:, np.arange(wanted) % once.shape[1]])


def test_a_loop_at_another_rate_has_no_seam(place: Place) -> None:
    """100 periods of a sine, over and over: the seam would be heard, and seen, as a bump in what is no sine."""
    at = np.arange(44100) / 44100
    sine = np.stack([0.5 * np.sin(2 * np.pi * 100 * at)] * 2).astype(np.float32)
    write_sound(place.folder / "a.wav", sine, 44100, subtype="FLOAT")
    endpoint = started(place, path="a.wav", loop=True)
    block = take(endpoint, 4 * RATE)
    finish(endpoint)
    wanted = 0.5 * np.sin(2 * np.pi * 100 * np.arange(4 * RATE) / RATE)
    assert np.max(np.abs(block - wanted)[:, 200:]) < 1e-5


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.opus", "libopus")])
def test_lossy_loops_leave_out_the_encoders_delay(place: Place, name: str, codec: str) -> None:
    at = np.arange(RATE) / RATE
    sine = np.stack([0.5 * np.sin(2 * np.pi * 100 * at)] * 2).astype(np.float32)
    encode(place.folder / name, sine, codec)
    endpoint = started(place, path=name, loop=True)
    block = take(endpoint, 3 * RATE)
    finish(endpoint)
    wanted = 0.5 * np.sin(2 * np.pi * 100 * np.arange(3 * RATE) / RATE)
    assert np.max(np.abs(block - wanted)[:, 5000:-5000]) < 0.15  # the codecs' own transients at the edges
    assert np.array_equal(block[:, :RATE], block[:, RATE : 2 * RATE])


def test_a_jump_begins_at_the_frame_and_loops_from_the_start(place: Place) -> None:
    path = write_sound(place.folder / "a.wav", noise(3 * RATE), subtype="PCM_24")
    sound = read_sound(path)
    endpoint = started(place, path="a.wav", loop=True, start_s=0.5, end_s=2.0, position_s=1.25)
    block = take(endpoint, 2 * RATE)
    finish(endpoint)
    wanted = np.concatenate([sound[:, 60000:96000], sound[:, 24000:84000]], axis=1)
    assert np.array_equal(block, wanted)


def test_a_jump_beyond_the_end_is_the_end(place: Place) -> None:
    write_sound(place.folder / "a.wav", noise(RATE))
    assert played(place, path="a.wav", position_s=500.0).shape[1] == 0
    assert place.told == ["ended"]


def test_a_loop_of_nothing_fails(place: Place) -> None:
    path = write_sound(place.folder / "a.wav", noise(RATE), subtype="PCM_24")
    endpoint = fails(place, path="a.wav", loop=True, start_s=10.0)
    assert "start_s (10 s) lies behind its end at 1.000 s" in place.states[0].message
    endpoint.configure(config_of(file_player.SPEC, {"path": "a.wav", "loop": True, "start_s": 0.5}))
    sounding(endpoint, read_sound(path)[:, 24000:])
    assert endpoint.state.name == "running"


def test_the_loop_can_be_ended_while_it_plays(place: Place) -> None:
    path = write_sound(place.folder / "a.wav", noise(2 * RATE), subtype="PCM_24")
    endpoint = started(place, path="a.wav", loop=True)
    first = take(endpoint, 3 * RATE)
    endpoint.configure(config_of(file_player.SPEC, {"path": "a.wav", "loop": False}))
    block = np.concatenate([first, play_out(endpoint)], axis=1)
    assert block.shape[1] % (2 * RATE) == 0
    assert np.array_equal(block, np.tile(read_sound(path), block.shape[1] // (2 * RATE)))
    assert endpoint.join(10)
    assert endpoint.state.name == "ended"


def test_the_end_can_be_moved_while_it_plays(place: Place) -> None:
    path = write_sound(place.folder / "a.wav", noise(8 * RATE), subtype="PCM_24")
    endpoint = started(place, path="a.wav")
    first = take(endpoint, 4800)
    endpoint.configure(config_of(file_player.SPEC, {"path": "a.wav", "end_s": 4.0}))
    block = np.concatenate([first, play_out(endpoint)], axis=1)
    assert np.array_equal(block, read_sound(path)[:, : 4 * RATE])


def test_hold_keeps_still_and_goes_on_with_the_loop(place: Place) -> None:
    path = write_sound(place.folder / "a.wav", noise(RATE), subtype="PCM_24")
    sound = read_sound(path)
    endpoint = started(place, path="a.wav", on_end="hold", start_s=0.25)
    assert np.array_equal(take(endpoint, 36000), sound[:, 12000:])
    assert not np.any(take(endpoint, RATE))
    assert not endpoint.ring.closed
    assert (endpoint.state.name, endpoint.state.detail["position_s"]) == ("running", 1.0)
    assert "Holds at its end" in endpoint.state.message
    endpoint.configure(config_of(file_player.SPEC, {"path": "a.wav", "on_end": "hold", "loop": True, "start_s": 0.25}))
    block = take(endpoint, 2 * RATE)
    begin = int(np.argmax(np.any(block != 0, axis=0)))
    assert np.array_equal(block[:, begin : begin + 36000], sound[:, 12000:])
    finish(endpoint)


# ---- The position ----------------------------------------------------------------------------------------------------


def test_the_position_is_that_of_the_sound_played_last(place: Place) -> None:
    write_sound(place.folder / "a.wav", noise(3 * RATE))
    endpoint = started(place, path="a.wav", loop=True, start_s=1.0)
    assert endpoint.state.detail["position_s"] == 1.0
    for played_s, position_s in ((0.5, 1.5), (1.25, 2.75), (0.5, 1.25), (4.25, 1.5)):
        take(endpoint, round(played_s * RATE))
        assert endpoint.state.detail["position_s"] == pytest.approx(position_s, abs=0.001)
    finish(endpoint)


def test_the_position_after_a_jump_and_a_loop(place: Place) -> None:
    write_sound(place.folder / "a.wav", sweep(4 * 44100, rate=44100), 44100)
    endpoint = started(place, path="a.wav", loop=True, start_s=1.0, end_s=3.0, position_s=2.5)
    for played_s, position_s in ((0.25, 2.75), (0.5, 1.25), (2.0, 1.25), (1.5, 2.75)):
        take(endpoint, round(played_s * RATE))
        assert endpoint.state.detail["position_s"] == pytest.approx(position_s, abs=0.001)
    finish(endpoint)


def test_the_position_in_a_short_loop(place: Place) -> None:
    write_sound(place.folder / "a.wav", noise(RATE))
    endpoint = started(place, path="a.wav", loop=True, start_s=0.5, end_s=0.51)
    take(endpoint, 4807)
    assert endpoint.state.detail["position_s"] == pytest.approx(0.5 + (4807 % 480) / RATE, abs=0.001)
    finish(endpoint)


# ---- Trouble ---------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_waited_for_in_silence(place: Place) -> None:
    write_sound(place.folder / "jingle.wav", noise(100))
    endpoint = started(place, path="jingel.wav")
    wait_for(lambda: place.states)
    assert place.told == ["retrying"]
    message = place.states[0].message
    assert f"There is no file {place.folder}/jingel.wav. Did you mean 'jingle.wav'?" in message
    assert "every second" in message
    assert not np.any(take(endpoint, RATE // 2))  # silence comes, so that no clock waits for this player
    path = write_sound(place.folder / "part", noise(RATE), format="WAV", subtype="PCM_24")
    path.rename(place.folder / "jingel.wav")
    block = play_out(endpoint)
    assert np.array_equal(block[:, -RATE:], read_sound(place.folder / "jingel.wav"))
    assert not np.any(block[:, :-RATE])
    assert endpoint.join(10)
    assert place.told == ["retrying", "running", "ended"]


def test_what_is_no_sound_fails_until_it_is_one(place: Place) -> None:
    (place.folder / "a.wav").write_text("no sound")
    endpoint = fails(place, path="a.wav")
    assert "is not a sound file" in place.states[0].message
    (place.folder / "a.wav").write_text("no sound either")
    time.sleep(0.3)
    path = write_sound(place.folder / "part", noise(RATE), format="WAV", subtype="PCM_24")
    path.rename(place.folder / "a.wav")
    sounding(endpoint, read_sound(place.folder / "a.wav"))
    assert place.told[:2] == ["failed", "running"], "the same trouble is told once"


def test_a_file_replaced_by_one_of_another_kind_is_played_anew(place: Place) -> None:
    write_sound(place.folder / "a.wav", noise(6 * RATE))
    endpoint = started(place, path="a.wav", loop=True)
    take(endpoint, RATE)
    path = write_sound(place.folder / "part", noise(2 * RATE, channels=1), format="WAV", subtype="PCM_24")
    path.rename(place.folder / "a.wav")
    take(endpoint, 5 * RATE)
    sounding(endpoint, np.repeat(read_sound(place.folder / "a.wav"), 2, axis=0))


def test_a_file_that_may_not_be_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(place.folder / "a.wav", noise(RATE), subtype="PCM_24")

    def locked(self: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(audio_file.AudioFile, "_open", locked)
    endpoint = started(place, path="a.wav")
    wait_for(lambda: place.states)
    assert f"The daemon may not read {path}: give its user the right to." in place.states[0].message
    monkeypatch.undo()
    assert play_out(endpoint).shape[1] > RATE
    assert endpoint.join(10)


def test_a_disk_that_fails_on_the_way_is_read_on_from_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(place.folder / "a.wav", noise(4 * RATE), subtype="PCM_24")
    sound = read_sound(path)
    reliable = audio_file.AudioFile._planar
    broken = [False]

    def failing(self: audio_file.AudioFile, frame: Any) -> Samples:
        if frame.pts > 2 * RATE and not broken[0]:
            broken[0] = True
            raise OSError(5, "Input/output error", str(path))
        return reliable(self, frame)

    monkeypatch.setattr(audio_file.AudioFile, "_planar", failing)
    block = played(place, path="a.wav")
    assert place.told == ["running", "retrying", "running", "ended"]
    assert "can't be read at 2.0 s: Input/output error" in place.states[1].message
    heard = np.any(block != 0, axis=0)
    silence = np.flatnonzero(~heard)
    assert silence.size > 0
    assert np.array_equal(
        np.delete(block, silence, axis=1), np.delete(sound, np.flatnonzero(~np.any(sound, axis=0)), axis=1)
    )


def test_a_file_deleted_while_it_loops(place: Place) -> None:
    path = write_sound(place.folder / "a.wav", noise(6 * RATE))
    endpoint = started(place, path="a.wav", loop=True)
    take(endpoint, RATE)
    path.unlink()
    take(endpoint, 6 * RATE)
    wait_for(lambda: endpoint.state.name == "retrying")
    position_s = endpoint.state.detail["position_s"]
    assert position_s == 6.0
    assert not np.any(take(endpoint, RATE))
    assert endpoint.state.detail["position_s"] == position_s, "it stands still while nothing can be played"
    finish(endpoint)


def test_a_link_turned_outward_after_the_start_is_refused(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = write_sound(tmp_path_factory.mktemp("outside") / "a.wav", noise(100))
    endpoint = player(place, path="a.wav")
    (place.folder / "a.wav").symlink_to(outside)
    endpoint.start()
    assert endpoint.join(10)
    assert place.told == ["failed"]
    assert "outside the folders" in place.states[0].message


def test_a_fault_of_our_own_frees_the_clock(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sound(place.folder / "a.wav", noise(100))
    monkeypatch.setattr(audio_file.AudioFile, "_planar", lambda *_: 1 / 0)
    endpoint = started(place, path="a.wav")
    assert endpoint.join(10)
    assert endpoint.ring.closed
    assert (place.told, "ZeroDivisionError" in place.states[0].message) == (["failed"], True)


# ---- Ending ----------------------------------------------------------------------------------------------------------


def test_closing_ends_the_thread_whatever_it_does(place: Place) -> None:
    write_sound(place.folder / "a.wav", noise(9 * RATE))
    waiting_for_room = started(place, path="a.wav")
    holding = started(place, path="a.wav", start_s=8.99, on_end="hold")
    missing = started(place, path="b.wav")
    looping = started(place, path="a.wav", loop=True, end_s=0.001)
    wait_for(lambda: waiting_for_room.ring.written >= RATE - 4800)
    wait_for(lambda: "Holds" in holding.state.message)
    wait_for(lambda: missing.state.name == "retrying")
    wait_for(lambda: looping.state.name == "running")
    told = len(place.states)
    for endpoint in (waiting_for_room, holding, missing, looping):
        finish(endpoint)
        assert endpoint.ring.closed
    assert len(place.states) == told, "after close nobody is told anything"


def test_a_player_that_was_never_started_can_be_closed(place: Place) -> None:
    endpoint = player(place, path="a.wav")
    assert endpoint.state.name == "starting"
    assert endpoint.state.detail == {"path": "a.wav", "position_s": 0.0}
    endpoint.close()
    assert endpoint.join(0)


def test_no_file_stays_open(place: Place) -> None:
    write_sound(place.folder / "a.flac", noise(RATE))

    def open_files() -> list[str]:
        links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
        return [target for link in links if link.is_symlink() and (target := os.readlink(link)).endswith("a.flac")]

    for _ in range(3):
        endpoint = started(place, path="a.flac", loop=True, start_s=0.3)
        take(endpoint, 3 * RATE)
        finish(endpoint)
    assert open_files() == []
