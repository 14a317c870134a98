"""Sound cards with the real core, libasound and session, on cards of our own (tests/alsa): what is played is what was meant, to the
bit where no clock has to be followed; and whatever a card does, the rest plays on."""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.graph.edits import AddNode, AnyEdit, ConfigureNode, Connect, RemoveNode
from tonnetz.daemon.offline import render
from tonnetz.daemon.rfc3339 import nanoseconds
from tonnetz.daemon.session import Session

from ..alsa.virtual_card import BYTES, VirtualCard
from .bench import noise

CALLER = Caller("test", "admin", "test")
RATE, BLOCK = 48000, 256
BITS = {"S16_LE": 16, "S24_LE": 24, "S24_3LE": 24, "S32_LE": 32}
NAMES = {"S16_LE": "s16", "S24_LE": "s24_4", "S24_3LE": "s24_3", "S32_LE": "s32", "FLOAT_LE": "f32"}

Samples = NDArray[np.float64]  # (channels, frames)


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        await asyncio.sleep(0.002)


class Studio:
    """A session that plays and records in a folder."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        media = MediaRoots(play_roots=(folder,), record_root=folder)
        self.session = Session(sample_rate=RATE, block_frames=BLOCK, media=media, **options)

    async def apply(self, *edits: AnyEdit, fade_ms: float | None = 0) -> None:
        await self.session.apply(edits, caller=CALLER, fade_ms=fade_ms)

    def node(self, node_id: str) -> dict[str, Any]:
        return next(node for node in self.session.view()["nodes"] if node["id"] == node_id)

    def detail(self, node_id: str) -> dict[str, Any]:
        detail: dict[str, Any] = self.node(node_id)["detail"]
        return detail

    async def is_now(self, node_id: str, state: str) -> None:
        await until(lambda: self.node(node_id)["state"] == state)

    @property
    def frame(self) -> int:
        return self.session.engine.frame

    def xruns_told(self, node_id: str) -> int:
        """How many xruns the incidents of a node speak of."""
        causes = [one["cause"] for one in self.session.runtime.performance()["incidents"] if one["node"] == node_id]
        return sum(int(times[1]) if (times := re.search(r", (\d+) times:", cause)) else 1 for cause in causes)

    async def moves(self, frames: int = 20 * BLOCK) -> None:
        begin = self.frame
        await until(lambda: self.frame >= begin + frames)


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Callable[..., Studio]]:
    opened: list[Studio] = []

    def enter(**options: Any) -> Studio:
        opened.append(Studio(tmp_path, **{"pacing": "auto", **options}))
        return opened[-1]

    yield enter
    for one in opened:
        await one.session.close()


def logged_by(here: Studio) -> list[Mapping[str, Any]]:
    """What its `log` events tell from now on."""
    told: list[Mapping[str, Any]] = []
    publish = here.session.events.publish

    def record(name: Any, params: Mapping[str, Any]) -> Any:
        if name == "log":
            told.append(params)
        return publish(name, params)

    here.session.events.publish = record  # type: ignore[method-assign]
    return told


def steady_noise(channels: int = 2, **config: Any) -> AddNode:
    return AddNode(id="noise", type="tone", config={"wave": "white", "channels": channels, "level_db": -6, **config})


def output(card: VirtualCard, node_id: str = "out", **config: Any) -> AddNode:
    return AddNode(id=node_id, type="alsa_output", config={"device": card.device, **config})


async def step_along(studio: Studio, card: VirtualCard, periods: int, period: int = BLOCK) -> None:
    """Moves a stepped card that plays on, a period at a time, each when the engine has made what the one before took."""
    ring = studio.session.stage.part("out").outside.ring
    for _ in range(periods):
        done = card.playback.frames
        card.advance(period)
        await until(lambda done=done: card.playback.frames > done)
        await until(lambda: ring.written - ring.taken >= period)


def quantised(samples: NDArray[np.float32], bits: int) -> Samples:
    full = 2.0 ** (bits - 1)
    return np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1) / full


def find(part: Samples, whole: Samples) -> int:
    """Where `part` begins in `whole`: the frame at which all channels agree to the bit."""
    width = part.shape[1]
    for at in np.flatnonzero(whole[0, : whole.shape[1] - width + 1] == part[0, 0]):
        if np.array_equal(whole[:, at : at + width], part):
            return int(at)
    raise AssertionError("what was expected is nowhere to be found")


async def play_exactly(
    studio: Studio, card: VirtualCard, channels: int, **config: Any
) -> tuple[Samples, NDArray[np.float32]]:
    """What the card played, and what a recorder beside it heard."""
    await studio.apply(
        steady_noise(channels),
        output(card, channels=channels, **config),
        AddNode(id="tape", type="file_writer", config={"path": "tape", "subtype": "float", "channels": channels}),
        Connect(source="noise.out", target="out.in"),
        Connect(source="noise.out", target="tape.in"),
    )
    await studio.session.runtime.start()
    await studio.is_now("out", "running")
    await until(lambda: studio.session.runtime.status()["clock"] == "out")
    first = card.playback.start_frame
    await step_along(studio, card, 40)
    detail = studio.detail("out")
    assert (detail["xruns"], detail["silent_frames"], detail["clipped"]) == (0, 0, 0)
    await studio.session.runtime.stop()
    played, live = card.played(first, 40 * BLOCK)
    assert live.all()
    heard, _ = soundfile.read(studio.folder / "tape.wav", dtype="float32", always_2d=True)
    return played[:channels], heard.T


# ---- What is played --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "written"])
@pytest.mark.parametrize("format", BYTES)
async def test_a_card_that_is_the_clock_plays_every_sample(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard], format: str, mapped: bool
) -> None:
    card = make_card(stepped=True, formats=(format,), mmap_access=mapped)
    here = studio()
    played, heard = await play_exactly(here, card, 2, format=NAMES[format])
    meant = quantised(heard, BITS[format]) if format in BITS else heard.astype(np.float64)
    sounding = played[:, 20 * BLOCK : 38 * BLOCK]  # the fade-in of 5 ms is over, and the end has not come
    find(sounding, meant)


async def test_the_left_of_four_bytes(studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]) -> None:
    card = make_card(stepped=True, formats=("S32_LE",))
    played, heard = await play_exactly(studio(), card, 2, format="s24_4_left")
    find(played[:, 20 * BLOCK : 38 * BLOCK], quantised(heard, 24))


@pytest.mark.parametrize("channels", [1, 7, 64])
async def test_any_number_of_channels(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard], channels: int
) -> None:
    card = make_card(stepped=True, channels=(channels, channels), frames_kept=1 << 15)
    played, heard = await play_exactly(studio(), card, channels)
    find(played[:, 20 * BLOCK : 38 * BLOCK], heard.astype(np.float64))


async def test_the_finest_format_is_chosen(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    here = studio()
    for number, (formats, chosen) in enumerate(
        [(("S16_LE", "S24_3LE", "FLOAT_LE"), "f32"), (("S16_LE", "S24_3LE"), "s24_3"), (("S16_LE",), "s16")]
    ):
        card = make_card(f"card_{number}", formats=formats)
        await here.apply(output(card, f"out_{number}"))
        await here.session.runtime.start()
        await here.is_now(f"out_{number}", "running")
        assert here.detail(f"out_{number}")["format"] == chosen


async def test_the_first_sample_of_a_card_is_silence_and_it_fades_in(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card = make_card(stepped=True)
    played, _ = await play_exactly(studio(), card, 2)
    begin = int(np.flatnonzero(np.abs(played[0]) > 0)[0])
    assert begin >= 3 * BLOCK  # its buffer, which was filled with silence
    loudness = [np.abs(played[:, begin + at : begin + at + 24]).max() for at in (0, 216)]
    assert loudness[0] < 0.2 * loudness[1]


async def test_a_gain_that_glides(studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]) -> None:
    card = make_card(stepped=True)
    here = studio()
    await here.apply(
        AddNode(id="dc", type="tone", config={"wave": "square", "frequency": 1, "duty": 99, "level_db": 0}),
        output(card),
        Connect(source="dc.out", target="out.in"),
    )
    await here.session.runtime.start()
    await here.is_now("out", "running")
    await step_along(here, card, 20)
    await here.apply(ConfigureNode(id="out", config={"gain_db": -20}), fade_ms=10)
    await step_along(here, card, 20)
    played, _ = card.played(card.playback.start_frame, 38 * BLOCK)
    steps = np.abs(np.diff(played[0, 15 * BLOCK :]))
    assert played[0, 18 * BLOCK] == 1.0 and played[0, -1] == pytest.approx(0.1, abs=1e-6)
    assert 0 < steps.max() < 2.5 * 0.9 / 480  # over 10 ms, no faster than its glide


async def test_what_is_too_loud_is_counted(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card = make_card(formats=("S16_LE",))
    here = studio()
    await here.apply(steady_noise(level_db=0), output(card, gain_db=6), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await until(lambda: here.node("out")["state"] == "running" and here.detail("out")["clipped"] > 100)


async def test_a_node_that_leaves_is_heard_to_the_end_of_its_fade(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card = make_card()
    here = studio(pacing="")
    await here.apply(steady_noise(wave="sine"), output(card), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await until(lambda: card.playback.frames > RATE // 2)
    await here.apply(RemoveNode(id="out"), fade_ms=100)
    await until(lambda: not card.playback.running)
    end = card.playback.start_frame + card.playback.frames
    played, live = card.played(end - RATE // 4, RATE // 4)
    if card.playback.xruns:  # the machine took the card's thread away, at the end perhaps
        return
    assert live[: -4 * BLOCK].all()  # what it still had to play when it was closed was silence
    last = int(np.flatnonzero(np.abs(played[0]) > 1e-3)[-1])
    assert RATE // 4 - last > 2 * BLOCK  # what it was given has been heard: silence followed it, a buffer of it
    assert np.abs(np.diff(played[0], 2)).max() < 0.012  # of a sine at -6 dB, 0.0086, and its fade


# ---- What is captured ------------------------------------------------------------------------------------------------


async def capture_exactly(
    studio: Studio, card: VirtualCard, given: Samples, tape: str, **config: Any
) -> Samples | None:
    """What a recorder behind the card got. None: the machine stood still for so long that the timer stood in for the card,
    or that the card ran over meanwhile."""
    await studio.apply(
        AddNode(id="mic", type="alsa_input", config={"device": card.device, **config}),
        AddNode(id="tape", type="file_writer", config={"path": tape, "subtype": "float"}),
        Connect(source="mic.out", target="tape.in"),
    )
    await studio.session.runtime.start()
    await studio.is_now("mic", "running")
    await until(lambda: studio.session.runtime.status()["clock"] == "mic")
    card.feed(card.capture.start_frame, given)
    begun, blocks = studio.frame, 50
    for number in range(blocks):
        card.advance(BLOCK)
        await until(lambda number=number: studio.frame >= begun + (number + 1) * BLOCK)
    moved, detail = studio.frame - begun, studio.detail("mic")
    await studio.session.runtime.stop()
    if moved != blocks * BLOCK or detail["resyncs"] or detail["silent_frames"] or detail["xruns"]:
        return None
    heard, _ = soundfile.read(studio.folder / f"{tape}.wav", dtype="float64", always_2d=True)
    return heard.T


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "read"])
@pytest.mark.parametrize("format", BYTES)
async def test_a_card_that_is_the_clock_captures_every_sample(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard], format: str, mapped: bool
) -> None:
    given = quantised(noise(60 * BLOCK, 2), min(BITS.get(format, 24), 24))
    for attempt in range(10):
        card = make_card(f"card_{attempt}", stepped=True, formats=(format,), mmap_access=mapped)
        heard = await capture_exactly(studio(), card, given, f"tape_{attempt}", format=NAMES[format])
        if heard is not None:
            find(given[:, 10 * BLOCK : 45 * BLOCK], heard)
            return
    pytest.fail("the machine stood still ten times")


async def test_from_one_card_to_another_through_the_graph(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    """Two cards, two clocks, both off the engine's: a sine comes through, and as many breaks are counted as are heard."""
    source, target = make_card("source", ppm=150), make_card("target", ppm=-120)
    here = studio(pacing="")
    second = np.arange(4 * RATE)
    sine = 0.5 * np.sin(2 * np.pi * 1000 * second / RATE)
    await here.apply(
        AddNode(id="mic", type="alsa_input", config={"device": source.device}),
        output(target),
        Connect(source="mic.out", target="out.in"),
    )
    await here.session.runtime.start()
    await here.is_now("out", "running")
    await here.is_now("mic", "running")
    source.feed(source.frame(), np.tile(sine, (2, 1))[:, : 1 << 16])
    began = source.frame()
    await until(lambda: source.frame() > began + RATE)
    counts = [here.detail(name)[kind] for name in ("mic", "out") for kind in ("xruns", "silent_frames", "resyncs")]
    played, _ = target.played(target.frame() - RATE // 2, RATE // 4)
    if not any(counts) and here.session.engine.status().gaps == 0:
        assert np.abs(np.diff(played[0], 2)).max() < 1.02 * 0.5 * (2 * np.pi / 48) ** 2
    assert np.abs(played).max() > 0.3


# ---- Clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card_rate", "node_rate"), [(44100, None), (44100, 44100), (96000, 96000), (8000, 8000), (384_000, 384_000)]
)
async def test_rates_are_converted(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard], card_rate: int, node_rate: int | None
) -> None:
    card = make_card(stepped=True, rates=(card_rate, card_rate))
    here = studio()
    await here.apply(
        AddNode(id="tone", type="tone", config={"frequency": 1000, "level_db": -6}),
        output(card, rate=node_rate),
        Connect(source="tone.out", target="out.in"),
    )
    await here.session.runtime.start()
    await here.is_now("out", "running")
    detail = here.detail("out")
    period = detail["period_frames"]
    assert (detail["rate"], period) == (card_rate, pytest.approx(BLOCK * card_rate / RATE, abs=1))
    periods = 100
    for _ in range(periods):
        done = card.playback.frames
        card.advance(period)
        await until(lambda done=done: card.playback.frames > done)
        await asyncio.sleep(0.003)  # the engine makes the next in microseconds; a machine that stalls is counted below
    assert here.session.runtime.status()["clock"] == "out"
    silent = here.detail("out")["silent_frames"]
    sound = card.played(card.playback.start_frame, (periods - 1) * period)[0][0, -40 * period :]
    if silent == 0:
        time_axis = np.arange(len(sound)) / card_rate
        basis = np.stack([np.sin(2 * np.pi * 1000 * time_axis), np.cos(2 * np.pi * 1000 * time_axis)])
        fitted, *_ = np.linalg.lstsq(basis.T, sound, rcond=None)
        residual = np.sqrt(np.mean((sound - fitted @ basis) ** 2))
        assert np.hypot(*fitted) == pytest.approx(10 ** (-6 / 20), rel=1e-4)
        assert 20 * np.log10(residual) < -110
    assert silent < 20 * period


async def test_a_card_beside_the_clock_is_followed(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    """The drift is found, shown, and what comes out is whole unless the counters say otherwise."""
    here = studio(pacing="")
    cards = {"quick": make_card("quick", ppm=300), "slow": make_card("slow", ppm=-300)}
    await here.apply(
        AddNode(id="tone", type="tone", config={"frequency": 1000, "level_db": -6}),
        *(output(card, name) for name, card in cards.items()),
        *(Connect(source="tone.out", target=f"{name}.in") for name in cards),
    )
    await here.session.runtime.start()
    for name, ppm in (("quick", 300), ("slow", -300)):
        await until(lambda name=name, ppm=ppm: abs(here.detail(name)["ppm"] - ppm) < 60, seconds=60)
        assert not here.detail(name)["is_clock"]
    before = {name: here.detail(name) for name in cards}
    begin = {name: card.frame() for name, card in cards.items()}
    await until(lambda: all(card.frame() > begin[name] + RATE // 2 for name, card in cards.items()))
    for name, card in cards.items():
        played, _ = card.played(begin[name], RATE // 2 - 4 * BLOCK)
        breaks = int((np.abs(np.diff(played[0], 2)) > 1.02 * 10 ** (-6 / 20) * (2 * np.pi / 48) ** 2).sum())
        counted = sum(here.detail(name)[kind] - before[name][kind] for kind in ("xruns", "silent_frames", "resyncs"))
        assert bool(breaks) <= bool(counted), f"{name}: {breaks} breaks are heard, and none is counted"


async def test_drift_off_leaves_out_and_repeats_instead(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    here = studio(pacing="")
    card = make_card(ppm=50_000)  # so that it is soon out of step
    await here.apply(steady_noise(), output(card, drift="off"), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await until(lambda: here.node("out")["state"] == "running" and here.detail("out")["resyncs"] >= 2)
    assert here.detail("out")["ppm"] == 0


async def test_another_card_takes_over_as_clock(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    here = studio()
    first, second = make_card("first"), make_card("second")
    await here.apply(output(first, "one"), output(second, "two"))
    await here.session.runtime.start()
    clock = lambda: here.session.runtime.status()["clock"]  # noqa: E731
    await until(lambda: clock() == "one")
    await here.apply(RemoveNode(id="one"))
    await until(lambda: clock() == "two")
    await here.moves()
    await here.apply(RemoveNode(id="two"))
    await until(lambda: clock() == "internal")
    await here.moves()


async def test_a_clock_may_be_named(studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]) -> None:
    here = studio(pacing="mic")
    card = make_card()
    await here.apply(output(card, "out"), AddNode(id="mic", type="alsa_input", config={"device": card.device}))
    await here.session.runtime.start()
    await until(lambda: here.session.runtime.status()["clock"] == "mic")
    await here.moves()
    assert here.detail("mic")["is_clock"] and not here.detail("out")["is_clock"]


@pytest.mark.parametrize("clock", ["step", "freewheel"])
async def test_clocks_that_wait_wait_for_the_card(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard], clock: str
) -> None:
    here = studio(clock=clock, pacing="")
    card = make_card()
    await here.apply(steady_noise(), output(card), Connect(source="noise.out", target="out.in"))
    if clock == "step":
        await here.session.runtime.step(1)
        await here.is_now("out", "running")
        began = time.monotonic()
        await here.session.runtime.step(2 * RATE // BLOCK)
        assert time.monotonic() - began > 1  # two seconds of sound, of which half a second fits into the ring
    else:
        await here.session.runtime.start()
        await here.is_now("out", "running")
        began = time.monotonic()
        await here.moves(2 * RATE)
        assert time.monotonic() - began > 1
    assert here.detail("out")["ppm"] == 0


# ---- Trouble ---------------------------------------------------------------------------------------------------------


async def test_a_card_that_is_not_there_comes_later(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card = make_card()
    card.refuse()
    here = studio()
    await here.apply(steady_noise(), output(card), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await here.is_now("out", "retrying")
    assert "No such device" in here.node("out")["state_message"] and card.device in here.node("out")["state_message"]
    await here.moves()
    assert here.session.runtime.status()["clock"] == "internal"
    await here.apply(ConfigureNode(id="noise", config={"level_db": -20}))
    card.admit()
    await here.is_now("out", "running")
    await until(lambda: here.session.runtime.status()["clock"] == "out")
    assert here.node("out")["state_message"] == ""


async def test_a_card_that_is_pulled_out_comes_back(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card = make_card()
    here = studio()
    told: list[str] = []
    here.session.events.publish = lambda name, params, publish=here.session.events.publish: (  # type: ignore[method-assign]
        told.append(params["state"]) if name == "node_state_changed" else None,
        publish(name, params),
    )[1]
    await here.apply(steady_noise(), output(card), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await until(lambda: here.session.runtime.status()["clock"] == "out")
    card.unplug()
    await here.is_now("out", "retrying")
    await here.moves()  # the timer has taken over
    card.plug_in()
    await here.is_now("out", "running")
    assert here.detail("out")["losses"] == 1
    begin = card.playback.frames
    await until(lambda: card.playback.frames > begin + RATE // 4)
    assert np.abs(card.played(card.frame() - 4096, 2048)[0]).max() > 0.1
    assert [name for name, before in zip(told, ["", *told], strict=False) if name != before] == [
        "running",
        "retrying",
        "running",
    ]


async def test_a_driver_that_hangs_holds_up_nobody(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card, other = make_card("hanging"), make_card("other")
    here = studio()
    await here.apply(
        steady_noise(),
        output(card),
        output(other, "fine"),
        *(Connect(source="noise.out", target=f"{name}.in") for name in ("out", "fine")),
    )
    await here.session.runtime.start()
    await until(lambda: here.session.runtime.status()["clock"] == "out")
    card.freeze()
    await here.moves(RATE)
    await until(lambda: "has not answered" in here.node("out")["state_message"])
    assert here.node("out")["state"] == "retrying"
    await here.apply(RemoveNode(id="out"))
    await until(lambda: here.session.runtime.status()["clock"] == "fine")
    await here.moves()
    card.thaw()


async def test_a_card_that_stands_still_is_given_up_and_taken_up_again(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card = make_card()
    here = studio()
    await here.apply(steady_noise(), output(card), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await until(lambda: here.session.runtime.status()["clock"] == "out")
    card.stall()
    await here.is_now("out", "retrying")
    await here.moves()
    card.set_ppm(0)
    await here.is_now("out", "running")


async def test_xruns_are_recovered_from_counted_and_timed(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    """Counted in the node's state, and each told with its time and cause among what went wrong."""
    card = make_card(stepped=True)
    here = studio()
    logged = logged_by(here)
    await here.apply(steady_noise(), output(card), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await here.is_now("out", "running")
    await step_along(here, card, 10)
    for xruns in (1, 2):
        start = card.playback.start_frame
        card.advance(100 * BLOCK)  # more than its buffer holds
        await until(lambda start=start: card.playback.start_frame != start)
        await until(lambda xruns=xruns: here.detail("out")["xruns"] == xruns)
        await step_along(here, card, 10)
    assert card.playback.xruns == 2 and here.detail("out")["xrun_ms"] > 0 and here.node("out")["state"] == "running"
    await until(lambda: here.xruns_told("out") == 2)
    incidents = [one for one in here.session.runtime.performance()["incidents"] if one["kind"] == "xrun"]
    assert all(one["node"] == "out" and 0 < one["frame"] <= here.frame for one in incidents)
    assert [one["frame"] for one in incidents] == sorted(one["frame"] for one in incidents)
    assert abs(nanoseconds(incidents[0]["time"]) - time.time_ns()) < 3600e9
    assert all(one["cause"].startswith(f"{card.device} ran dry") and " ms passed" in one["cause"] for one in incidents)
    told = [params["message"] for params in logged if params["message"].startswith("out: ")]
    assert told == [f"out: {one['cause']}" for one in incidents]
    assert np.abs(card.played(card.playback.start_frame + 4 * BLOCK, 4 * BLOCK)[0]).max() > 0.1


async def test_overruns_of_a_capture(studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]) -> None:
    card = make_card(stepped=True)
    here = studio()
    await here.apply(AddNode(id="mic", type="alsa_input", config={"device": card.device}))
    await here.session.runtime.start()
    await here.is_now("mic", "running")
    card.advance(100 * BLOCK)
    await until(lambda: here.detail("mic")["xruns"] == 1)
    await until(lambda: here.xruns_told("mic") == 1)
    (incident,) = [one for one in here.session.runtime.performance()["incidents"] if one["kind"] == "xrun"]
    assert incident["node"] == "mic" and incident["cause"].startswith(f"{card.device} ran over: ")
    before = here.frame
    card.advance(BLOCK)
    await until(lambda: here.frame > before)


async def test_a_replaced_node_waits_for_the_device_that_the_old_one_holds(
    studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]
) -> None:
    card = make_card()
    here = studio()
    await here.apply(steady_noise(), output(card), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await until(lambda: here.session.runtime.status()["clock"] == "out")
    await here.apply(ConfigureNode(id="out", config={"periods": 5}), fade_ms=20)
    await until(lambda: here.node("out")["state"] == "running" and here.detail("out").get("buffer_frames") == 5 * BLOCK)


@pytest.mark.parametrize(
    ("limits", "config", "words"),
    [
        ({"channels": (4, 8)}, {}, "does not do 2 channels, but 4 to 8"),
        ({"rates": (44100, 96000)}, {"rate": 192_000}, "does not do 192000 Hz; its rates lie between 44100 and 96000"),
        ({"formats": ("S16_LE", "S32_LE")}, {"format": "s24_3"}, "does not take this format; it takes s32, s16"),
    ],
)
async def test_what_a_card_cannot_do_is_said(
    studio: Callable[..., Studio],
    make_card: Callable[..., VirtualCard],
    limits: dict[str, Any],
    config: dict[str, Any],
    words: str,
) -> None:
    here = studio()
    await here.apply(output(make_card(**limits), **config))
    await here.session.runtime.start()
    await here.is_now("out", "retrying")
    assert words in here.node("out")["state_message"]


async def test_a_device_without_a_clock_is_none(studio: Callable[..., Studio]) -> None:
    here = studio()
    await here.apply(AddNode(id="out", type="alsa_output", config={"device": "null"}))
    await here.session.runtime.start()
    await until(lambda: "it has no clock" in here.node("out")["state_message"])
    frame, began = here.frame, time.monotonic()
    await here.moves(RATE)
    assert (here.frame - frame) / RATE < 3 * (
        time.monotonic() - began
    ) + 4  # a short run at each try, and real time between


async def test_busy_is_said(studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]) -> None:
    card = make_card()
    card.refuse(errno.EBUSY)
    here = studio()
    await here.apply(output(card))
    await here.session.runtime.start()
    await here.is_now("out", "retrying")
    assert "Device or resource busy" in here.node("out")["state_message"]


async def test_pause_and_stop(studio: Callable[..., Studio], make_card: Callable[..., VirtualCard]) -> None:
    card = make_card()
    here = studio()
    await here.apply(steady_noise(), output(card), Connect(source="noise.out", target="out.in"))
    await here.session.runtime.start()
    await until(lambda: here.session.runtime.status()["clock"] == "out")
    await here.moves()
    await here.session.runtime.pause()
    silent = here.detail("out")["silent_frames"]
    at, frame = card.playback.frames, here.frame
    await until(lambda: card.playback.frames > at + RATE // 2)  # the card goes on, in silence
    assert np.abs(card.played(card.frame() - 2048, 1024)[0]).max() == 0
    assert here.detail("out")["silent_frames"] == silent and here.frame == frame
    await here.session.runtime.start()
    await here.moves()
    await until(lambda: np.abs(card.played(card.frame() - 2048, 1024)[0]).max() > 0.1)
    await here.session.runtime.stop()
    assert not card.playback.running
    await here.session.runtime.start()
    await until(lambda: here.session.runtime.status()["clock"] == "out")


async def test_no_device_is_no_configuration(studio: Callable[..., Studio]) -> None:
    here = studio()
    with pytest.raises(Exception, match="device names none"):
        await here.apply(AddNode(id="out", type="alsa_output", config={"device": " "}))


def test_rendering_opens_no_card(tmp_path: Path, make_card: Callable[..., VirtualCard]) -> None:
    card = make_card()
    document = {
        "version": 1,
        "nodes": [
            {"id": "tone", "type": "tone"},
            {"id": "out", "type": "alsa_output", "config": {"device": card.device}},
            {"id": "mic", "type": "alsa_input", "config": {"device": card.device}},
            {"id": "tape", "type": "file_writer", "config": {"path": "tape"}},
        ],
        "connections": [
            {"source": "tone.out", "target": "out.in"},
            {"source": "tone.out", "target": "tape.in"},
            {"source": "mic.out", "target": "tape.in"},
        ],
    }
    result = render(document, 1.0, tmp_path)
    assert result["nodes"]["tape"]["state"] == "done" and card.playback.frames == card.capture.frames == 0
