"""Devices together with the graph: who uses which, mixers and their events, and whether a node would work."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tonnetz.daemon import node_trial
from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import EndpointState, MediaRoots, Surroundings
from tonnetz.daemon.endpoints.trial import Trial
from tonnetz.daemon.graph.edits import AddNode
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.node_catalogue import OutsideType
from tonnetz.daemon.problems import Problem, Refusal
from tonnetz.daemon.session import Session

from .alsa.virtual_card import VirtualCard, named

MakeCard = Callable[..., VirtualCard]
CALLER = Caller("tester", "admin", "test")


class CardType:
    """A node type that plays to a sound card, or records from one: a file of daemon/node_types, as far as devices go."""

    def __init__(self, type: str, category: Any) -> None:
        self.direction: Any = "playback" if category == "sink" else "capture"
        self.SPEC = NodeSpec(
            type=type,
            category=category,
            core_type="ring_sink" if category == "sink" else "ring_source",
            help="A card.",
            parameters=(
                ParameterSpec(name="device", kind="text", help="The device.", core=False),
                ParameterSpec(name="channels", kind="int", help="Channels.", default=2, structure=True, core=False),
            ),
            ports=(
                PortSpec(
                    name="in" if category == "sink" else "out",
                    direction="input" if category == "sink" else "output",
                    rule="parameter",
                    channels_parameter="channels",
                    help="The sound.",
                ),
            ),
        )

    def check(self, config: Mapping[str, Any], media: MediaRoots) -> list[Problem]:
        flaw = "device has a space in it" if " " in config["device"] else ""
        return [Problem("invalid_value", flaw, "config.device")] if flaw else []

    async def test(self, config: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
        got: Mapping[str, Any] = await trial.alsa.try_out(
            config["device"], self.direction, rate=trial.sample_rate, channels=config["channels"]
        )
        return got

    def open_endpoint(self, node_id: str, config: Mapping[str, Any], surroundings: Surroundings) -> Any:
        return Quiet(surroundings)

    def restart_needed(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        return bool(old["device"] != new["device"])


class Quiet:
    """An endpoint that does nothing."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.ring = surroundings.make_ring(surroundings.channels, 4096)
        self.state = EndpointState("running")

    def start(self) -> None: ...

    def configure(self, config: Mapping[str, Any]) -> None: ...

    def close(self, length: int | None = None) -> None:
        self.ring.close()

    def join(self, timeout_s: float) -> bool:
        return True


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    media = MediaRoots(play_roots=(tmp_path,), record_root=tmp_path / "records")
    made = Session(clock="step", media=media)
    for kind in (CardType("card_output", "sink"), CardType("card_input", "source")):
        made.catalogue[kind.SPEC.type] = kind.SPEC
        made.outside_types[kind.SPEC.type] = cast("OutsideType", kind)
    yield made
    await made.close()


async def add(session: Session, **nodes: tuple[str, str]) -> None:
    """Nodes by id, with their types and devices."""
    edits = [AddNode(id=id, type=type, config={"device": device}) for id, (type, device) in nodes.items()]
    await session.apply(edits, caller=CALLER)


# ---- Who uses what ---------------------------------------------------------------------------------------------------


async def test_devices_and_the_nodes_that_use_them(
    make_card: MakeCard, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = make_card()
    monkeypatch.setenv("ALSA_CONFIG_PATH", named(tmp_path, {"studio": card})["ALSA_CONFIG_PATH"])
    await add(session, out=("card_output", "studio"), mic=("card_input", "studio"), far=("card_output", card.device))
    devices = {device["name"]: device for device in (await session.devices.overview())["devices"]}
    assert devices["studio"]["used_by"] == ["out", "mic"] and devices["studio"]["listed"]
    assert devices["null"]["used_by"] == []
    unlisted = {"name": card.device, "description": "", "directions": ["playback"], "card": None}
    assert devices[card.device] == {**unlisted, "listed": False, "used_by": ["far"]}
    captures = [device["name"] for device in (await session.devices.overview("capture"))["devices"]]
    assert "studio" in captures and card.device not in captures


async def test_a_busy_device_names_the_node_that_has_it(make_card: MakeCard, session: Session) -> None:
    card = make_card()
    card.refuse(errno.EBUSY)
    await add(session, out=("card_output", card.device))
    with pytest.raises(Refusal, match="is in use by out of this graph"):
        await session.devices.probe(card.device, "playback")


async def test_probing(make_card: MakeCard, session: Session) -> None:
    card = make_card(channels=(2, 2))
    found = await session.devices.probe(card.device, "capture")
    assert (found["device"], found["direction"], found["channels"]) == (
        card.device,
        "capture",
        {"minimum": 2, "maximum": 2},
    )


# ---- Mixers ----------------------------------------------------------------------------------------------------------


async def mixer(session: Session, device: str | None, control: str | None = None, **change: Any) -> Any:
    card, index, direction = (
        change.pop(name, default) for name, default in (("card", None), ("index", 0), ("direction", None))
    )
    return await session.devices.mixer(device, card, control, index, direction, change)


async def test_a_mixer_as_a_whole_and_one_control(make_card: MakeCard, session: Session) -> None:
    card = make_card()
    shown = await mixer(session, card.device)
    assert shown["mixer"] == card.device
    assert [control["control"] for control in shown["controls"]] == ["Master", "Capture", "Monitor"]
    assert (await mixer(session, card.device, "Capture"))["controls"] == shown["controls"][1:2]
    after = await mixer(session, card.device, "Master", volume_db=-6, mute=True)
    assert after["controls"] == [
        shown["controls"][0] | {"volume": [90, 90], "volume_db": [-6, -6], "mute": [True, True]}
    ]
    assert card.fader("playback") == ([108, 108], [False, False])


async def test_mixers_of_cards(
    make_card: MakeCard, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"hw": make_card(), "default": make_card("other")}
    monkeypatch.setenv("ALSA_CONFIG_PATH", named(tmp_path, names)["ALSA_CONFIG_PATH"])
    await mixer(session, None, "Master", card="0", volume=50)
    await mixer(session, None, "Master", volume=25)
    assert [card.fader("playback")[0] for card in names.values()] == [[60, 60], [30, 30]]


@pytest.mark.parametrize(
    ("control", "change", "name", "where", "said"),
    [
        ("Msater", {}, "not_found", "", "has no control 'Msater'. Did you mean 'Master'?"),
        ("Master", {"index": 1}, "not_found", "", "has no such 'Master'. There is Master 0 (playback)."),
        ("Capture", {"direction": "playback"}, "not_found", "", "There is Capture 0 (capture)."),
        (None, {"volume": 3}, "invalid_params", "control", "Say which control is to be set."),
        (None, {"mute": True}, "invalid_params", "control", "has: Master, Capture, Monitor."),
        ("Master", {"volume": 3, "volume_db": 3}, "invalid_params", "volume_db", "percent or in dB, not both"),
        ("Monitor", {"mute": True}, "invalid_params", "mute", "Monitor can't be muted. Set its volume."),
        ("Monitor", {"volume_db": -3}, "invalid_params", "volume_db", "Set `volume`, in percent."),
        ("Master", {"volume_db": 3}, "invalid_params", "volume_db", "Master goes from -60 to 0 dB, not 3."),
        ("Master", {"card": "0"}, "invalid_params", "card", "Give a device or a card, not both."),
    ],
)
async def test_what_a_mixer_refuses(
    make_card: MakeCard, session: Session, control: str | None, change: dict[str, Any], name: str, where: str, said: str
) -> None:
    card = make_card()
    with pytest.raises(Refusal) as refused:
        await mixer(session, card.device, control, **change)
    assert refused.value.name == name and said in refused.value.message
    assert [problem.where for problem in refused.value.problems] == [where] * bool(where)
    assert card.fader("playback") == ([120, 120], [True, True])


async def test_changes_of_a_mixer_are_events(make_card: MakeCard, session: Session) -> None:
    card = make_card()
    heard = session.events.subscribe(["device_mixer_changed"])
    before = await mixer(session, card.device)
    card.turn("playback", volume=60)
    event = await asyncio.wait_for(anext(heard), 20)
    changed = before["controls"][0] | {"volume": [50, 50], "volume_db": [-30, -30]}
    assert event.params == {"mixer": card.device, "controls": [changed]}


async def test_cards_that_come_are_an_event(session: Session) -> None:
    heard = session.events.subscribe(["devices_changed"])
    session.devices._tell_cards({1: "USB"}, {})
    assert (await anext(heard)).params == {"appeared": [{"index": 1, "id": "USB"}], "vanished": []}


# ---- Whether a node would work ---------------------------------------------------------------------------------------


async def test_a_node_type_tries_its_device(make_card: MakeCard, session: Session) -> None:
    card = make_card(formats=["S32_LE"])
    told = await session.test_node("card_output", {"device": card.device})
    assert told["ok"] and told["message"] == "It works." and told["duration_ms"] > 0
    assert (told["found"]["rate"], told["found"]["format"]) == (48_000, "S32_LE")
    assert (card.playback.opens, card.capture.opens) == (1, 0)
    card.refuse(errno.EBUSY)
    told = await session.test_node("card_input", {"device": card.device})
    assert (told["ok"], told["reason"], told["found"]) == (False, "unavailable", {})
    assert "is in use by another program" in told["message"]


async def test_the_configuration_is_checked_first(make_card: MakeCard, session: Session) -> None:
    told = await session.test_node("card_output", {"device": "hw:0", "chanels": 3})
    assert (told["ok"], told["reason"]) == (False, "invalid_config")
    assert told["problems"][0]["where"] == "config.chanels" and "Did you mean 'channels'?" in told["message"]
    told = await session.test_node("card_output", {"device": "a b"})
    assert told["message"] == "config.device: device has a space in it"
    told = await session.test_node("card_output", {})
    assert [problem["kind"] for problem in told["problems"]] == ["missing"]
    told = await session.test_node("file_player", {"path": "../secret.wav"})
    assert told["reason"] == "forbidden"


async def test_files_and_what_needs_nothing(session: Session, tmp_path: Path) -> None:
    told = await session.test_node("file_player", {"path": "nothing.wav"})
    assert (told["ok"], told["reason"]) == (False, "not_found") and "There is no file" in told["message"]
    told = await session.test_node("file_writer", {"format": "flac"})
    assert told["ok"] and told["found"]["format"] == "flac"
    told = await session.test_node("gain", {"gain_db": 3})
    assert told["ok"] and "needs nothing from outside" in told["message"]
    assert list(session.graph.nodes) == [] and session.revision == 0


async def test_what_does_not_answer_is_given_up(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(config: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(node_trial, "PATIENCE_S", 0.2)
    monkeypatch.setattr(session.outside_types["card_output"], "test", never)
    told = await session.test_node("card_output", {"device": "hw:0"})
    assert (told["ok"], told["reason"]) == (False, "timeout")
    assert told["duration_ms"] >= 200
