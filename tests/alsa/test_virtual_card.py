"""The virtual sound card behaves as a card does; pyalsaaudio is the client, in blocking and in poll() fashion."""

from __future__ import annotations

import errno
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import alsaaudio
import numpy as np
import pytest
from numpy.typing import NDArray

from .virtual_card import BYTES, VirtualCard, until

MakeCard = Callable[..., VirtualCard]
RATE = 48_000
PERIOD, PERIODS = 64, 4
SCALE = {"S16_LE": 1 << 15, "S24_LE": 1 << 23, "S24_3LE": 1 << 23, "S32_LE": 1 << 31}


def opened(card: VirtualCard, direction: int, *, format: str = "S16_LE", **options: Any) -> Any:
    given = {"rate": RATE, "channels": 2, "periodsize": PERIOD, "periods": PERIODS, "mode": alsaaudio.PCM_NONBLOCK}
    number = getattr(alsaaudio, f"PCM_FORMAT_{format}")
    return alsaaudio.PCM(direction, device=card.device, format=number, **(given | options))


def player(card: VirtualCard, **options: Any) -> Any:
    return opened(card, alsaaudio.PCM_PLAYBACK, **options)


def recorder(card: VirtualCard, **options: Any) -> Any:
    return opened(card, alsaaudio.PCM_CAPTURE, **options)


def extremes(format: str, frames: int) -> NDArray[Any]:
    """Stereo frames of all sorts of values: the ends of the range, zero, ones, noise; as a card's doubles hold them."""
    noise = np.random.default_rng(1).uniform(-1, 1, frames * 2)
    if format == "FLOAT_LE":
        return np.concatenate([[0, -0.0, 1, -1, 2**-40, 3.5], noise])[: frames * 2].astype("<f4")
    top = SCALE[format]
    return np.concatenate([[0, top - 1, -top, 1, -1, top // 3], noise * top])[: frames * 2].astype("<i4")


def packed(format: str, values: NDArray[Any]) -> bytes:
    """What a client hands over. The unused byte of S24_LE is filled with rubbish: nobody may read it."""
    if format == "S16_LE":
        return values.astype("<i2").tobytes()
    if format == "S24_LE":
        return (values & 0xFFFFFF | 0x5A000000).astype("<i4").tobytes()
    if format == "S24_3LE":
        return values.view("u1").reshape(-1, 4)[:, :3].tobytes()
    return values.tobytes()


def unpacked(format: str, data: bytes) -> NDArray[Any]:
    if format == "S16_LE":
        return np.frombuffer(data, "<i2").astype("<i4")
    if format == "S24_LE":
        return (np.frombuffer(data, "<i4") << 8) >> 8
    if format == "S24_3LE":
        padded = np.zeros((len(data) // 3, 4), "u1")
        padded[:, 1:] = np.frombuffer(data, "u1").reshape(-1, 3)
        return padded.view("<i4").ravel() >> 8
    return np.frombuffer(data, "<i4" if format == "S32_LE" else "<f4")


@pytest.mark.parametrize("format", BYTES)
def test_what_is_played_is_captured_to_the_bit(make_card: MakeCard, format: str) -> None:
    card = make_card(stepped=True)
    card.advance(1000)
    values = extremes(format, PERIOD * 3)
    capture = recorder(card, format=format)
    assert capture.read() == (0, b"")  # which starts it
    playback = player(card, format=format)
    assert playback.write(packed(format, values)) == PERIOD * 3
    assert (card.playback.start_frame, card.capture.start_frame) == (1000, 1000)
    samples, live = card.played(1000, PERIOD * 4)
    assert live.tolist() == [True] * PERIOD * 3 + [False] * PERIOD
    assert np.array_equal(samples[:2, : PERIOD * 3].T.ravel(), values / SCALE.get(format, 1))
    assert not samples[2:].any()
    heard = b""
    for _ in range(3):
        card.advance(PERIOD)
        frames, data = capture.read()
        assert frames == PERIOD
        heard += data
    assert np.array_equal(unpacked(format, heard), values)
    playback.drop()


def test_a_stepped_card_moves_only_when_told(make_card: MakeCard) -> None:
    card = make_card(stepped=True)
    playback = player(card)
    assert playback.write(bytes(4 * PERIOD * PERIODS)) == PERIOD * PERIODS
    assert playback.avail() == 0
    assert playback.write(bytes(4)) == 0  # the buffer is full
    card.advance(1)
    assert playback.avail() == 1
    card.advance(PERIOD * PERIODS - 2)
    assert playback.avail() == PERIOD * PERIODS - 1
    assert playback.state() == alsaaudio.PCM_STATE_RUNNING
    card.advance(1)  # the last frame has been played
    assert playback.avail() == -errno.EPIPE
    assert playback.state() == alsaaudio.PCM_STATE_XRUN
    assert card.playback.xruns == 1
    assert playback.write(bytes(4 * PERIOD)) == -errno.EPIPE  # which prepares it
    assert playback.write(bytes(4 * PERIOD)) == PERIOD
    assert card.playback.starts == 2
    assert card.playback.start_frame == PERIOD * PERIODS


def test_a_capture_that_nobody_reads_runs_over(make_card: MakeCard) -> None:
    card = make_card(stepped=True)
    capture = recorder(card)
    capture.read()
    card.advance(PERIOD * PERIODS - 1)
    assert capture.avail() == PERIOD * PERIODS - 1
    card.advance(1)
    assert capture.read()[0] == -errno.EPIPE
    assert card.capture.xruns == 1


def test_what_is_dropped_is_not_played(make_card: MakeCard) -> None:
    card = make_card(stepped=True)
    playback = player(card)
    playback.write(bytes(4 * PERIOD * PERIODS))
    card.advance(10)
    playback.drop()
    assert card.played(0, PERIOD * PERIODS)[1].tolist() == [True] * 10 + [False] * (PERIOD * PERIODS - 10)


def test_draining_plays_everything(make_card: MakeCard) -> None:
    card = make_card()  # by its own clock
    playback = player(card, mode=alsaaudio.PCM_NORMAL)
    playback.write(bytes(4 * PERIOD * 3))
    playback.drain()
    assert card.playback.xruns == 0
    assert card.frame() >= card.playback.start_frame + PERIOD * 3
    assert card.played(card.playback.start_frame, PERIOD * 4)[1].sum() == PERIOD * 3


def test_feeding_a_capture(make_card: MakeCard) -> None:
    card = make_card(stepped=True)
    card.feed(5, [[0.5, -0.25]])
    capture = recorder(card, channels=1)
    capture.read()
    card.advance(PERIOD)
    heard = np.frombuffer(capture.read()[1], "<i2") / 32768
    assert heard.tolist() == [0.0] * 5 + [0.5, -0.25] + [0.0] * (PERIOD - 7)


def test_poll_wakes_when_there_is_something_to_do(make_card: MakeCard) -> None:
    card = make_card(stepped=True)
    capture = recorder(card)
    capture.read()
    descriptors = capture.polldescriptors()
    poll = select.poll()
    for descriptor, events in descriptors:
        poll.register(descriptor, events)

    def event() -> int:
        return int(capture.polldescriptors_revents(poll.poll(100)))

    assert event() == 0  # a look without need
    card.advance(PERIOD - 1)
    assert event() == 0
    card.advance(1)
    until(lambda: event() == select.POLLIN)
    assert capture.read()[0] == PERIOD
    card.advance(PERIOD * PERIODS)
    until(lambda: event() == select.POLLIN | select.POLLERR)  # run over
    assert capture.read()[0] == -errno.EPIPE


def looked_at(card: VirtualCard) -> tuple[float, int, float]:
    """The card's frame, between two looks at the machine's clock, in s."""
    return time.monotonic(), card.frame(RATE), time.monotonic()


@pytest.mark.parametrize("ppm", [0, 20_000, -20_000])
def test_a_paced_card_keeps_its_own_time(make_card: MakeCard, ppm: int) -> None:
    card = make_card(ppm=ppm)
    playback = player(card, mode=alsaaudio.PCM_NORMAL)
    before = looked_at(card)
    written = 0
    while written < RATE // 5:
        written += max(0, playback.write(bytes(4 * PERIOD)))
    after = looked_at(card)
    playback.drop()
    speed, passed = RATE * (1 + ppm / 1e6), after[1] - before[1]
    assert speed * (after[0] - before[2]) - 1 <= passed <= speed * (after[2] - before[0]) + 1
    assert before[1] <= card.playback.start_frame <= after[1]
    assert written <= passed + PERIOD * PERIODS, "it takes no more than it plays and holds"


def test_a_clock_that_stands_still(make_card: MakeCard) -> None:
    card = make_card(ppm=-990_000)  # a hundredth of the speed: what the buffer holds lasts for half a second
    playback = player(card)
    playback.write(bytes(4 * PERIOD * PERIODS))
    card.stall()
    frame, free = card.frame(), playback.avail()
    time.sleep(0.1)  # nearly fifty frames
    assert (card.frame(), playback.avail()) == (frame, free)
    card.set_ppm(0)
    until(lambda: card.frame() > frame)
    playback.drop()


def test_frames_follow_the_clock_when_its_speed_changes(make_card: MakeCard) -> None:
    card = make_card(ppm=-999_000)  # a thousandth of the speed: the machine's pauses hardly count
    before = card.frame()
    for ppm in (0, -999_000, 500, -999_000):
        card.set_ppm(ppm)
    assert before <= card.frame() < before + RATE * 20


def test_what_a_card_cannot_do(make_card: MakeCard) -> None:
    card = make_card(
        formats=["S24_3LE"], rates=(44_100, 96_000), channels=(6, 6), period_frames=(128, 512), periods=(2, 3)
    )
    playback = player(card, periodsize=16, periods=50)
    assert list(playback.getformats()) == ["S24_3LE"]
    assert playback.getrates() == (44_100, 96_000)
    assert playback.getchannels() == [6]
    told = playback.info()
    assert (told["format_name"], told["channels"], told["period_size"], told["periods"]) == ("S24_3LE", 6, 128, 3)
    playback.close()
    assert player(card, periodsize=9000).info()["period_size"] == 512


def test_up_to_64_channels_at_384_kHz(make_card: MakeCard) -> None:  # noqa: N802
    card = make_card(channels=(64, 64), stepped=True)
    playback = player(card, channels=64, rate=384_000, format="S32_LE", periodsize=16)
    values = np.arange(64 * 16, dtype="<i4") << 20
    assert playback.write(values.tobytes()) == 16
    assert np.array_equal(card.played(0, 16)[0].T.ravel() * 2**31, values)
    assert (card.playback.rate, card.playback.channels, card.playback.period_frames) == (384_000, 64, 16)


# ---- Faults ----


@pytest.mark.parametrize("error", [errno.ENODEV, errno.ENOENT, errno.EBUSY])
def test_a_card_that_cannot_be_opened(make_card: MakeCard, error: int) -> None:
    card = make_card()
    card.refuse(error)
    with pytest.raises(alsaaudio.ALSAAudioError, match=errno_text(error)):
        player(card)
    card.admit()
    player(card).close()


def errno_text(error: int) -> str:
    return {errno.ENODEV: "No such device", errno.ENOENT: "No such file", errno.EBUSY: "busy"}[error]


def test_one_client_for_each_direction(make_card: MakeCard) -> None:
    card = make_card()
    playback, capture = player(card), recorder(card)
    with pytest.raises(alsaaudio.ALSAAudioError, match="busy"):
        player(card)
    elsewhere = f"import alsaaudio; alsaaudio.PCM(device={card.device!r})"
    run = subprocess.run([sys.executable, "-c", elsewhere], capture_output=True, text=True, check=False)
    assert "busy" in run.stderr
    playback.close()
    player(card).close()
    capture.close()
    assert (card.playback.opens, card.capture.opens) == (2, 1)


def test_a_card_that_is_pulled_out(make_card: MakeCard) -> None:
    card = make_card(stepped=True)
    playback, mixer = player(card), alsaaudio.Mixer("Master", device=card.device)
    playback.write(bytes(4 * PERIOD))
    poll = select.poll()
    for descriptor, events in playback.polldescriptors():
        poll.register(descriptor, events)
    card.unplug()
    until(lambda: playback.polldescriptors_revents(poll.poll(100)) & select.POLLERR)
    assert playback.state() == alsaaudio.PCM_STATE_DISCONNECTED
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        playback.write(bytes(4))
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        player(card)
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        mixer.handleevents()
    card.plug_in()
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        playback.write(bytes(4))  # gone for good
    playback.close()
    assert player(card).write(bytes(4 * PERIOD)) == PERIOD


def test_a_blocking_writer_learns_that_the_card_is_gone(make_card: MakeCard) -> None:
    card = make_card(stepped=True)
    playback = player(card, mode=alsaaudio.PCM_NORMAL)
    playback.write(bytes(4 * PERIOD * PERIODS))
    said: list[str] = []

    def write() -> None:
        try:
            playback.write(bytes(4 * PERIOD))
        except alsaaudio.ALSAAudioError as error:
            said.append(str(error))

    writer = threading.Thread(target=write)
    writer.start()
    card.unplug()
    writer.join(20)
    assert "No such device" in said[0]


def test_a_frozen_card_holds_its_clients(make_card: MakeCard) -> None:
    card = make_card()
    program = f"import alsaaudio; print('asking', flush=True); alsaaudio.PCM(device={card.device!r}); print('there')"
    card.freeze()
    client = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "asking\n"
    with pytest.raises(subprocess.TimeoutExpired):
        client.wait(0.3)
    card.thaw()
    assert client.communicate(timeout=20)[0] == "there\n"


# ---- Mixer ----


def test_the_mixer_and_its_events(make_card: MakeCard) -> None:
    card = make_card()
    assert alsaaudio.mixers(device=card.device) == ["Master", "Capture", "Monitor"]
    mine, other = (alsaaudio.Mixer("Master", device=card.device) for _ in range(2))
    assert mine.getvolume() == [100, 100]
    assert mine.getrange(units=alsaaudio.VOLUME_UNITS_DB) == [-6000, 0]
    poll = select.poll()
    for descriptor, events in other.polldescriptors():
        poll.register(descriptor, events)
    assert poll.poll(0) == []
    mine.setvolume(-2050, units=alsaaudio.VOLUME_UNITS_DB)
    mine.setmute(1)
    assert card.fader("playback") == ([79, 79], [False, False])
    assert len(poll.poll(5000)) == 1
    assert other.handleevents() > 0
    assert other.getvolume(units=alsaaudio.VOLUME_UNITS_DB) == [-2050, -2050]
    assert other.getmute() == [1, 1]
    assert poll.poll(0) == []
    card.turn("capture", volume=30, on=False)
    assert len(poll.poll(5000)) == 1
    capture = alsaaudio.Mixer("Capture", device=card.device)
    assert capture.getvolume(alsaaudio.PCM_CAPTURE) == [25, 25]
    assert capture.getrec() == [0, 0]
    assert card.fader("playback") == ([79, 79], [False, False])
