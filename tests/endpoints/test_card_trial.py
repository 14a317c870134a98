"""Whether a sound card would do what a node asks: told by opening it, in the words that the node's state would use."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tonnetz.daemon.endpoints.alsa_worker.asking import AlsaWorker
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.endpoints.trial import Trial
from tonnetz.daemon.node_types import alsa_input, alsa_output
from tonnetz.daemon.problems import Refusal

from ..alsa.virtual_card import VirtualCard
from .bench import config_of

MakeCard = Callable[..., VirtualCard]


@pytest.fixture
async def trial() -> AsyncIterator[Trial]:
    """As an engine of 48 kHz and blocks of 256 frames has it."""
    worker = AlsaWorker(lambda device: [], lambda *told: None)
    yield Trial(48_000, 256, MediaRoots(), worker)
    await worker.close()


@pytest.mark.parametrize("node_type", [alsa_output, alsa_input])
async def test_a_card_that_takes_everything(make_card: MakeCard, trial: Trial, node_type: Any) -> None:
    card = make_card()
    found = await node_type.test(config_of(node_type.SPEC, {"device": card.device}), trial)
    given = {"rate": 48_000, "channels": 2, "format": "f32", "period_frames": 256, "buffer_frames": 768}
    assert found == {"device": card.device, **given}
    assert (card.playback.opens > 0, card.capture.opens > 0) == (node_type is alsa_output, node_type is alsa_input)
    assert card.playback.starts == card.capture.starts == 0


@pytest.mark.parametrize(
    ("limits", "given", "found"),
    [
        ({"rates": (44_100, 44_100)}, {}, {"rate": 44_100, "period_frames": 235}),
        ({"rates": (96_000, 192_000)}, {}, {"rate": 96_000, "period_frames": 512}),
        ({}, {"rate": 96_000, "period_frames": 64}, {"rate": 96_000, "period_frames": 128, "buffer_frames": 384}),
        ({"formats": ["S16_LE", "S24_3LE"]}, {}, {"format": "s24_3"}),
        ({}, {"format": "s16"}, {"format": "s16"}),
        ({}, {"format": "s24_4_left"}, {"format": "s24_4_left"}),
        ({"channels": (8, 8)}, {"channels": 8}, {"channels": 8}),
    ],
)
async def test_what_a_node_would_get(
    make_card: MakeCard, trial: Trial, limits: dict[str, Any], given: dict[str, Any], found: dict[str, Any]
) -> None:
    card = make_card(**limits)
    told = await alsa_output.test(config_of(alsa_output.SPEC, {"device": card.device, **given}), trial)
    assert {name: told[name] for name in found} == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": 22_050}, "it does not do 22050 Hz; its rates lie between 44100 and 48000"),
        ({"channels": 6}, "it does not do 6 channels, but 1 to 4"),
        ({"format": "f32"}, "it does not take the format f32; it takes s32, s16, s24_4_left"),
    ],
)
async def test_what_it_would_not(make_card: MakeCard, trial: Trial, given: dict[str, Any], said: str) -> None:
    card = make_card(rates=(44_100, 48_000), channels=(1, 4), formats=["S16_LE", "S32_LE"])
    with pytest.raises(Refusal) as refused:
        await alsa_output.test(config_of(alsa_output.SPEC, {"device": card.device, **given}), trial)
    assert refused.value.name == "unavailable"
    assert refused.value.message == f"{card.device} can't be used so: {said}."


async def test_a_card_that_is_away(make_card: MakeCard, trial: Trial) -> None:
    card = make_card()
    card.refuse(errno.EBUSY)
    with pytest.raises(Refusal, match="is in use by another program"):
        await alsa_input.test(config_of(alsa_input.SPEC, {"device": card.device}), trial)


@pytest.mark.parametrize("device", ["tee:hw:0,/tmp/x", "{type null}", "hw:0\n"])
def test_more_than_a_name_is_no_device(device: str) -> None:
    for node_type in (alsa_output, alsa_input):
        problems = node_type.check(config_of(node_type.SPEC, {"device": device}), MediaRoots())
        assert [(problem.kind, problem.where) for problem in problems] == [("invalid_value", "config.device")]
