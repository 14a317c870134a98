"""Asking about sound cards: the worker process answers, refuses in words, and is replaced when it hangs."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tonnetz.daemon.endpoints.alsa_worker import MOST_WATCHED
from tonnetz.daemon.endpoints.alsa_worker import asking as module
from tonnetz.daemon.endpoints.alsa_worker.asking import AlsaWorker
from tonnetz.daemon.problems import Refusal

from ...alsa.virtual_card import VirtualCard, named
from ...alsa.virtual_card import until as wait_until

MakeCard = Callable[..., VirtualCard]
Changes = list[tuple[str, list[dict[str, Any]]]]
PATIENCE_S = 20.0  # for what should come soon


@pytest.fixture
def changes() -> Changes:
    """What was told of mixers."""
    return []


@pytest.fixture
async def asking(changes: Changes) -> AsyncIterator[AlsaWorker]:
    made = AlsaWorker(lambda device: ["out"] if "held" in device else [], lambda *told: changes.append(told))
    yield made
    await made.close()


async def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        await asyncio.sleep(0.005)


def worker_of(asking: AlsaWorker) -> int:
    """The process."""
    assert asking._worker is not None
    return asking._worker._process.pid


def contents(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- Devices ---------------------------------------------------------------------------------------------------------


async def test_devices_with_names_and_words(
    make_card: MakeCard, asking: AlsaWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = named(tmp_path, {"studio": make_card()})
    monkeypatch.setenv(*next(iter(environment.items())))
    answer = await asking.devices()
    assert answer["cards"] == []  # no card of the kernel's is needed for these tests
    studio = next(device for device in answer["devices"] if device["name"] == "studio")
    both = ["playback", "capture"]
    assert studio == {"name": "studio", "description": "The card of studio", "directions": both, "card": None}
    assert "null" in [device["name"] for device in answer["devices"]]


async def test_what_a_device_can_do(make_card: MakeCard, asking: AlsaWorker) -> None:
    card = make_card(
        formats=["S24_3LE"], rates=(44_100, 96_000), channels=(6, 6), period_frames=(128, 512), periods=(2, 8)
    )
    for direction in ("playback", "capture"):
        assert await asking.abilities(card.device, direction) == {  # type: ignore[arg-type]
            "formats": ["S24_3LE"],
            "rates": [44_100, 48_000, 64_000, 88_200, 96_000],
            "rate": {"minimum": 44_100, "maximum": 96_000},
            "channels": {"minimum": 6, "maximum": 6},
            "period_frames": {"minimum": 128, "maximum": 512},
            "periods": {"minimum": 2, "maximum": 8},
            "buffer_frames": {"minimum": 256, "maximum": 4096},
        }
    assert card.playback.starts == 0, "it was only looked at"


async def test_a_device_without_bounds_is_no_trouble(asking: AlsaWorker) -> None:
    """pyalsaaudio alone would count the channels of `null` for minutes."""
    found = await asking.abilities("null", "playback")
    assert found["channels"]["maximum"] > 1000 and 48_000 in found["rates"]


async def test_trying_a_device_with_wishes(make_card: MakeCard, asking: AlsaWorker) -> None:
    card = make_card(formats=["S16_LE", "S32_LE"], channels=(1, 4))
    got = await asking.try_out(
        card.device, "playback", rate=96_000, channels=4, format="S32_LE", period_frames=128, periods=3
    )
    wanted = {"rate": 96_000, "channels": 4, "format": "S32_LE", "period_frames": 128, "periods": 3}
    assert got == {**wanted, "buffer_frames": 384}
    got = await asking.try_out(card.device, "capture", channels=2, format="FLOAT_LE")
    assert (got["channels"], got["format"], got["rate"]) == (2, "S16_LE", 48_000), "what it has instead"
    assert card.playback.starts == card.capture.starts == 0


@pytest.mark.parametrize(
    ("error", "name", "said"),
    [
        (errno.ENODEV, "not_found", "There is no device 'tzcard:"),
        (errno.ENOENT, "not_found", "devices.list shows those there are"),
        (errno.EBUSY, "unavailable", "is in use by another program. `fuser -v /dev/snd/*` shows which"),
        (errno.EACCES, "unavailable", "put its user into the group audio"),
        (errno.ECONNREFUSED, "unavailable", "can't be used: Connection refused."),
    ],
)
async def test_refusals_say_what_to_do(
    make_card: MakeCard, asking: AlsaWorker, error: int, name: str, said: str
) -> None:
    card = make_card()
    card.refuse(error)
    for ask in (asking.abilities, asking.try_out):
        with pytest.raises(Refusal) as refused:
            await ask(card.device, "playback")
        assert refused.value.name == name and said in refused.value.message
        assert refused.value.data["errno"] == error
    with pytest.raises(Refusal) as refused:
        await asking.controls(card.device)
    assert refused.value.name == name
    card.admit()
    assert await asking.try_out(card.device, "playback")


async def test_a_device_held_by_our_own_graph(make_card: MakeCard, asking: AlsaWorker) -> None:
    card = make_card("held")
    card.refuse(errno.EBUSY)
    with pytest.raises(Refusal, match="is in use by out of this graph.$"):
        await asking.try_out(card.device, "playback")


async def test_what_alsa_says_of_an_unknown_name(asking: AlsaWorker) -> None:
    with pytest.raises(Refusal, match="There is no device 'nosuch' here now. ALSA says: Unknown PCM nosuch. "):
        await asking.try_out("nosuch", "playback")
    with pytest.raises(Refusal, match="no device 'null'"):  # a mixer it has not
        await asking.controls("null")


async def test_names_that_would_write_files_reach_nobody(asking: AlsaWorker, tmp_path: Path) -> None:
    name = f"tee:null,{tmp_path}/written,raw"
    for ask in (asking.try_out(name, "playback"), asking.abilities(name, "playback"), asking.controls(name)):
        with pytest.raises(Refusal) as refused:
            await ask
        assert refused.value.name == "invalid_params" and refused.value.problems[0].where == "device"
    assert asking._worker is None and contents(tmp_path) == []


# ---- Mixers ----------------------------------------------------------------------------------------------------------


async def test_a_mixer_is_shown_and_set(make_card: MakeCard, asking: AlsaWorker) -> None:
    card = make_card()
    card.turn("capture", volume=90, on=False)
    master, capture, monitor = await asking.controls(card.device)
    assert master == {
        "control": "Master",
        "index": 0,
        "direction": "playback",
        "volume": [100, 100],
        "volume_db": [0, 0],
        "range_db": [-60, 0],
        "mute": [False, False],
    }
    assert (capture["direction"], capture["volume_db"], capture["mute"]) == ("capture", [-15, -15], [True, True])
    assert (monitor["volume"], monitor["volume_db"], monitor["range_db"], monitor["mute"]) == (
        [100, 100],
        None,
        None,
        None,
    )
    await asking.change(card.device, "Master", 0, "playback", volume_db=-20.5, mute=True)
    assert card.fader("playback") == ([79, 79], [False, False])
    await asking.change(card.device, "Capture", 0, "capture", volume=25, mute=False)
    assert card.fader("capture") == ([30, 30], [True, True])


async def test_changes_by_anybody_are_told(make_card: MakeCard, asking: AlsaWorker, changes: Changes) -> None:
    card = make_card()
    before = await asking.controls(card.device)
    card.turn("playback", volume=60)
    await until(lambda: len(changes) > 0)
    assert changes == [(card.device, [before[0] | {"volume": [50, 50], "volume_db": [-30, -30]}])]
    changes.clear()
    await asking.change(card.device, "Capture", 0, "capture", mute=True)
    await until(lambda: len(changes) > 0)
    assert changes == [(card.device, [before[1] | {"mute": [True, True]}])]


async def test_a_dragged_fader_is_told_as_often_as_people_see(
    make_card: MakeCard, asking: AlsaWorker, changes: Changes
) -> None:
    card = make_card()
    await asking.controls(card.device)
    for volume in range(120):
        card.turn("playback", volume=volume)
    await until(lambda: changes and changes[-1][1][0]["volume"] == [99, 99])
    assert len(changes) < 60


async def test_a_mixer_that_is_pulled_out_disturbs_no_other(
    make_card: MakeCard, asking: AlsaWorker, changes: Changes
) -> None:
    card, other = make_card(), make_card("other")
    await asking.controls(card.device)
    await asking.controls(other.device)
    card.unplug()
    card.turn("playback", volume=1)  # rings, and finds nobody
    other.turn("playback", volume=1)
    await until(lambda: len(changes) > 0)
    assert [mixer for mixer, _ in changes] == [other.device]
    with pytest.raises(Refusal, match="There is no device"):
        await asking.controls(card.device)


async def test_mixers_beyond_all_measure(make_card: MakeCard, asking: AlsaWorker, changes: Changes) -> None:
    made = [make_card(f"card{number}", frames_kept=64) for number in range(MOST_WATCHED + 1)]
    for card in made:
        await asking.controls(card.device)
    for card in made:
        card.turn("playback", volume=60)
    await until(lambda: len(changes) == MOST_WATCHED)
    assert {mixer for mixer, _ in changes} == {card.device for card in made[1:]}


# ---- The worker ------------------------------------------------------------------------------------------------------


async def test_a_device_that_hangs_stalls_nobody(
    make_card: MakeCard, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = AlsaWorker(lambda device: [], lambda *told: changes.append(told), patience_s=1.0)
    card, other = make_card(), make_card("other")
    await asking.controls(other.device)
    first = worker_of(asking)
    card.freeze()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    began = time.monotonic()
    with pytest.raises(Refusal, match="did not answer within 1 s") as refused:
        await asking.try_out(card.device, "playback")
    ticking.cancel()
    assert refused.value.name == "timeout"
    assert ticks > 20, "the event loop went on: a hundred ticks were possible"
    assert time.monotonic() - began >= 1.0
    await until(lambda: not is_alive(first))
    assert await asking.try_out(other.device, "playback"), "the next worker answers"
    assert worker_of(asking) != first
    other.turn("playback", volume=60)
    await until(lambda: len(changes) > 0)  # it watches what the first one watched
    card.thaw()
    assert await asking.try_out(card.device, "playback")
    await asking.close()


async def test_a_mixer_that_hangs_is_watched_no_more(make_card: MakeCard, changes: Changes) -> None:
    asking = AlsaWorker(lambda device: [], lambda *told: changes.append(told), patience_s=0.7)
    card, other = make_card(), make_card("other")
    for one in (card, other):
        await asking.controls(one.device)
    card.freeze()
    with pytest.raises(Refusal, match="did not answer"):
        await asking.controls(card.device)
    assert await asking.controls(other.device), "the second worker hung as well, the third does not ask that mixer"
    assert list(asking._watched) == [other.device]
    card.thaw()
    for one in (card, other):
        one.turn("playback", volume=60)
    await until(lambda: len(changes) > 0)
    assert [mixer for mixer, _ in changes] == [other.device]
    await asking.close()


async def test_a_question_nobody_waits_for_is_answered_before_the_next(make_card: MakeCard, asking: AlsaWorker) -> None:
    card = make_card()
    await asking.devices()
    card.freeze()
    forgotten = asyncio.create_task(asking.try_out(card.device, "playback"))
    await asyncio.sleep(0.1)
    forgotten.cancel()
    waiting = asyncio.create_task(asking.try_out(card.device, "capture", rate=96_000))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    card.thaw()
    assert (await waiting)["rate"] == 96_000, "and not what the other one asked for"


async def test_a_worker_that_dies_is_replaced(make_card: MakeCard, asking: AlsaWorker) -> None:
    card = make_card()
    await asking.devices()
    first = worker_of(asking)
    card.freeze()
    asked = asyncio.create_task(asking.try_out(card.device, "playback"))
    await until(asking._turn.locked)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(
        Refusal, match=r"The process that talks to ALSA ended \(SIGKILL\) while it was asked about tzcard"
    ):
        await asked
    card.thaw()
    assert await asking.try_out(card.device, "playback")
    os.kill(worker_of(asking), signal.SIGKILL)  # while nobody asks
    await asyncio.sleep(0.2)
    with pytest.raises(Refusal, match="SIGKILL"):
        await asking.devices()
    assert await asking.devices()


async def test_a_worker_that_cannot_start(asking: AlsaWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(Refusal, match="could not be started: The process that talks to ALSA ended"):
        await asking.devices()
    monkeypatch.undo()
    assert await asking.devices()


async def test_closing_ends_a_worker_that_hangs(make_card: MakeCard) -> None:
    asking = AlsaWorker(lambda device: [], lambda *told: None)
    card = make_card()
    await asking.devices()
    process = worker_of(asking)
    card.freeze()
    asked = asyncio.create_task(asking.try_out(card.device, "playback"))
    await until(asking._turn.locked)
    await asking.close()
    assert not is_alive(process)
    with pytest.raises(asyncio.CancelledError):
        await asked


@pytest.mark.parametrize("hangs", [False, True])
def test_it_ends_with_its_parent(make_card: MakeCard, hangs: bool) -> None:
    """However that ends, and even while ALSA holds it."""
    card = make_card()
    program = (
        "import asyncio, sys\n"
        "from tonnetz.daemon.endpoints.alsa_worker.asking import AlsaWorker\n"
        "async def main():\n"
        "    asking = AlsaWorker(lambda device: [], lambda *told: None, 60)\n"
        "    await asking.devices()\n"
        "    print(asking._worker._process.pid, flush=True)\n"
        f"    await asking.try_out({card.device!r}, 'playback')\n"
        "    print('answered', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    if hangs:
        card.freeze()
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    process = int(parent.stdout.readline())
    if not hangs:
        assert parent.stdout.readline() == "answered\n"
    assert is_alive(process)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_alive(process))
