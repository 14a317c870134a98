"""daemon/probing: what is looked at plays on untouched, and what looks follows the graph. On the step clock: exact."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from tonnetz._core import lib
from tonnetz.daemon.caller import Caller
from tonnetz.daemon.engine.core import CoreEngine, CoreError
from tonnetz.daemon.probing import leaving, signals, taps, tracing
from tonnetz.daemon.probing.decibels import decibels
from tonnetz.daemon.probing.injecting import MOST_SAMPLES
from tonnetz.daemon.probing.levels import Levels, Reading, Selection
from tonnetz.daemon.probing.tracing import trace
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session

CALLER = Caller("test", "admin", "test")
GRAPH = {
    "nodes": [
        {"id": "noise", "type": "tone", "config": {"wave": "white", "seed": 7}},
        {"id": "eq", "type": "equalizer"},
        {"id": "mix", "type": "mixer"},
        {"id": "drain", "type": "null_output"},
    ],
    "connections": [
        {"source": "noise.out", "target": "eq.in"},
        {"source": "eq.out", "target": "mix.in_1"},
        {"source": "mix.out", "target": "drain.in"},
    ],
}


async def begin() -> Session:
    session = Session(clock="step")
    await session.load(GRAPH, caller=CALLER, fade_ms=0)
    await session.runtime.start()
    return session


@pytest_asyncio.fixture
async def session() -> AsyncIterator[Session]:
    session = await begin()
    yield session
    await session.close()


async def change(session: Session, *edits: dict[str, Any], fade_ms: float = 0.0) -> None:
    from tonnetz.daemon.graph.document import edits_from_plain

    await session.apply(edits_from_plain(list(edits)), caller=CALLER, fade_ms=fade_ms)


async def test_what_is_probed_sounds_the_same_to_the_bit(session: Session) -> None:
    """Two sessions with the same edits, one of them with taps, traces and an injection elsewhere."""
    other = await begin()
    heard = []
    try:
        for one, probed in ((session, True), (other, False)):
            tap = one.probing.taps.open("drain.in")
            await one.runtime.step(20)
            if probed:
                for port in ("noise.out", "eq.in", "eq.out", "mix.in_2", "mix.out"):
                    one.probing.taps.open(port)
                tracing = asyncio.create_task(trace(one, "eq", 8))
                await asyncio.sleep(0)
                await change(one, {"add_node": {"id": "aside", "type": "gain"}})
                await inject(one, "aside")
            else:
                await change(one, {"add_node": {"id": "aside", "type": "gain"}})
            await one.runtime.step(20)
            await change(one, {"configure_node": {"id": "eq", "config": {"bands": [{"gain_db": 6}] * 7}}}, fade_ms=10)
            await one.runtime.step(40)
            if probed:
                assert (await tracing)["complete"]
            heard.append(tap.newest(60 * 256))
    finally:
        await other.close()
    assert heard[0][0] == heard[1][0] and np.array_equal(heard[0][1], heard[1][1])
    assert np.abs(heard[0][1]).max() > 0.01


async def inject(session: Session, node: str, **more: Any) -> dict[str, Any]:
    options = {"frequency": 997.0, "level_db": -6.0, "duration_s": 0.05, "seed": 1, "samples": None, "port": "", **more}
    signal = options.pop("signal", "tone")
    return await session.probing.injections.start(node, options.pop("port"), signal, **options)


async def test_a_tap_follows_its_node_from_object_to_object(session: Session) -> None:
    """Another number of bands makes another object, from one block to the next; the tap has every block of both."""
    tap = session.probing.taps.open("eq.out")
    await session.runtime.step(4)
    first = session.stage.part("eq").core
    await change(session, {"configure_node": {"id": "eq", "config": {"bands": [{}] * 9}}})
    assert session.stage.part("eq").core is not first
    await session.runtime.step(4)
    begin, end = tap.span
    assert end - begin == 8 * 256 and tap.is_there
    await change(session, {"remove_node": {"id": "eq", "strategy": "immediate"}})
    await session.runtime.step(2)
    assert not tap.is_there and tap.span == (begin, end), "what it heard is there still"


async def test_a_port_with_other_channels_is_another(session: Session) -> None:
    tap = session.probing.taps.open("noise.out")
    await session.runtime.step(2)
    await change(session, {"configure_node": {"id": "noise", "config": {"channels": 1}}})
    assert not tap.is_there
    again = session.probing.taps.open("noise.out")
    await session.runtime.step(2)
    assert again.place.channels == 1 and again.newest(512)[1].shape == (1, 512) and not tap.is_there


async def test_all_who_listen_share_a_tap(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taps, "LINGER_S", 0.01)
    one, two = session.probing.taps.open("mix.out"), session.probing.taps.open("mix.out:drain.in")
    await session.runtime.step(2)
    assert one.span == two.span and len(list(session.stage.probes)) == 1
    one.close()
    one.close()
    await asyncio.sleep(0.05)
    assert two.is_there
    two.close()
    await asyncio.sleep(0.05)
    assert len(list(session.stage.probes)) == 0


async def test_taps_keep_to_their_budget(session: Session) -> None:
    await change(
        session,
        *({"add_node": {"id": f"wide_{n}", "type": "tone", "config": {"channels": 64}}} for n in range(3)),
    )
    session.probing.taps.open("wide_0.out")
    session.probing.taps.open("wide_1.out")
    with pytest.raises(Refusal, match="128 MiB") as refused:
        session.probing.taps.open("wide_2.out")
    assert refused.value.problems[0].kind == "limit"


async def test_a_second_injection_takes_over_from_the_first(session: Session) -> None:
    await change(session, {"configure_node": {"id": "noise", "config": {"wave": "silence"}}})
    await session.runtime.step(20)
    tap = session.probing.taps.open("eq.in")
    await inject(session, "eq", signal="samples", samples=[[0.5] * 9600], duration_s=0.2)
    await session.runtime.step(10)
    await inject(session, "eq", signal="samples", samples=[[-0.25] * 9600], duration_s=0.2)
    await session.runtime.step(10)
    _, heard = tap.newest(20 * 256)
    assert heard[0, 2000] == 0.5 and heard[0, -1] == -0.25
    assert np.abs(np.diff(heard[0])).max() < 0.75 * np.pi / 2 / 240 * 1.01, "no step is larger than a fade's of 5 ms"
    await inject(session, "eq", signal="none")
    await session.runtime.step(10)
    assert np.abs(tap.newest(256)[1]).max() == 0


async def test_injections_go_when_they_are_over(session: Session) -> None:
    await inject(session, "mix", port="in_2", duration_s=0.01)
    await session.runtime.step(10)
    for _ in range(100):
        if not list(session.stage.probes):
            break
        await asyncio.sleep(0.05)
    assert list(session.stage.probes) == []


@contextmanager
def a_full_queue() -> Iterator[None]:
    """The engine takes no commit meanwhile."""

    def full(*_: object) -> None:
        raise CoreError(lib.TZ_BUSY, "a commit")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CoreEngine, "submit", full)
        yield


async def test_what_could_not_be_hung_is_not_taken_for_hung(session: Session) -> None:
    with a_full_queue():
        with pytest.raises(Refusal, match="can't be tapped now"):
            session.probing.taps.open("eq.out")
        with pytest.raises(Refusal, match="can't be played now"):
            await inject(session, "eq")
    assert list(session.stage.probes) == []
    tap = session.probing.taps.open("eq.out")
    await session.runtime.step(2)
    assert tap.span == (0, 512)


async def test_a_tap_whose_object_came_without_it_is_hung_as_soon_as_that_can_be(session: Session) -> None:
    tap = session.probing.taps.open("eq.out")
    await session.runtime.step(2)
    session.stage.probes.gone(next(iter(session.stage.probes)))
    with a_full_queue():
        assert tap.is_there
    assert tap.is_there
    await session.runtime.step(2)
    assert tap.span == (0, 1024)


async def test_what_could_not_be_taken_down_is_taken_down_later(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All kinds of them; what was looked at is seen no more then."""
    for module, name in ((taps, "LINGER_S"), (tracing, "PATIENCE_S"), (leaving, "RETRY_S")):
        monkeypatch.setattr(module, name, 0.01)
    tap = session.probing.taps.open("mix.out")
    await inject(session, "mix", port="in_2", duration_s=0.01)
    tracing_it = asyncio.create_task(trace(session, "eq", 100))
    await session.runtime.step(10)
    assert len(list(session.stage.probes)) == 3
    with a_full_queue():
        tap.close()
        assert not (await tracing_it)["complete"]
        await asyncio.sleep(0.3)
        assert len(list(session.stage.probes)) == 3
    async with asyncio.timeout(10):
        while list(session.stage.probes):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)
    begin, end = tap.span
    await session.runtime.step(2)
    assert tap.span == (begin, end) == (0, 2560)


async def test_an_end_does_not_mind_a_full_queue() -> None:
    session = await begin()
    session.probing.taps.open("mix.out")
    await inject(session, "mix", port="in_2", duration_s=10)
    with a_full_queue():
        await session.close()


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        ({"configure_node": {"id": "noise", "config": {"channels": 1}}}, "conflict"),
        ({"remove_node": {"id": "eq", "strategy": "immediate"}}, "not_found"),
    ],
)
async def test_what_changed_while_a_sound_was_made_is_not_played_into(
    session: Session, monkeypatch: pytest.MonkeyPatch, edit: dict[str, Any], name: str
) -> None:
    """A sound of more channels than the port has would be mixed with whatever lies beyond them in memory."""
    changed, tone = threading.Event(), signals.tone

    def slow(*about: Any) -> Any:
        assert changed.wait(10)
        return tone(*about)

    monkeypatch.setattr(signals, "tone", slow)
    playing = asyncio.create_task(inject(session, "eq"))
    await asyncio.sleep(0)
    await change(session, edit)
    changed.set()
    with pytest.raises(Refusal) as refused:
        await playing
    assert refused.value.name == name
    assert list(session.stage.probes) == []


async def test_injections_have_bounds(session: Session) -> None:
    await change(session, {"add_node": {"id": "wide", "type": "channel_map", "config": {"in_channels": 64}}})
    with pytest.raises(Refusal) as refused:
        await inject(session, "wide", duration_s=60)
    assert refused.value.problems[0].data["maximum"] == MOST_SAMPLES
    for node, port in (("noise", ""), ("mix", "out"), ("nobody", "")):
        with pytest.raises(Refusal) as refused:
            await inject(session, node, port=port)
        assert refused.value.name == "not_found"


async def test_a_trace_tells_what_was_changed(session: Session) -> None:
    tracing = asyncio.create_task(trace(session, "eq", 12))
    await asyncio.sleep(0)
    await session.runtime.step(4)
    await change(session, {"configure_node": {"id": "eq", "config": {"gain_db": -20}}})
    await session.runtime.step(8)
    told = await tracing
    assert told["complete"] and [b["frame"] for b in told["blocks"]] == [256 * n for n in range(12)]
    assert told["config"]["gain_db"] == -20 and (told["state"], told["state_message"]) == ("running", "")
    assert [(c["event"], c.get("param")) for c in told["changes"]] == [
        ("parameter_changed", "gain_db"),
        ("transaction_applied", None),
    ]
    assert told["changes"][1]["frame"] == 4 * 256
    peaks = [block["out_peak_db"] for block in told["blocks"]]
    assert min(peaks[:4]) > max(peaks[8:]) + 15
    assert all(block["busy_us"] > 0 for block in told["blocks"])
    times = [block["at_us"] for block in told["blocks"]]
    assert times[0] == 0 and times == sorted(times)


async def test_a_trace_tells_what_a_node_suffers_from(session: Session) -> None:
    await change(session, {"add_node": {"id": "gone", "type": "file_player", "config": {"path": "nothing.wav"}}})
    tracing = asyncio.create_task(trace(session, "gone", 4))
    await asyncio.sleep(0)
    await session.runtime.step(4)
    told = await tracing
    while told["state"] == "starting":  # its thread looks for the file
        told = await trace(session, "gone", 1)
    assert told["state"] in ("retrying", "failed") and "nothing.wav" in told["state_message"]


def peak(reading: Reading, node_id: str) -> float:
    return float(Selection(reading.layout, [node_id]).of(reading)[0].max())


async def test_levels_are_for_each_listener(session: Session) -> None:
    levels = Levels(session)
    one, two = levels.listen(), levels.listen()
    one.read()
    await session.runtime.step(4)
    assert peak(one.read(), "noise") > 0.05 and peak(one.read(), "noise") == 0
    assert peak(two.read(), "noise") > 0.05
    await change(session, {"add_node": {"id": "extra", "type": "gain"}})
    assert set(two.read().layout.nodes) == {"noise", "eq", "mix", "drain", "extra"}
    levels.close()


async def test_a_selection_tells_each_node_its_own(session: Session) -> None:
    """In the order asked for, whatever lies between them; sinks are told by what they take in."""
    levels = Levels(session)
    ear = levels.listen()
    ear.read()
    await session.runtime.step(4)
    reading = ear.read()
    told = Selection(reading.layout, ["drain", "noise"]).in_decibels(reading)
    assert list(told) == ["drain", "noise"] and all(len(level["peak_db"]) == 2 for level in told.values())
    for name, level in told.items():
        place = reading.layout.nodes[name]
        assert level == {
            "peak_db": decibels(reading.peaks[place], 20),
            "rms_db": decibels(reading.squares[place], 10),
        }
    assert Selection(reading.layout, []).in_decibels(reading) == {}
    levels.close()
