"""`alsa_input`: captures from a sound card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..endpoints.card_parameters import card_parameters, device_problems
from ..endpoints.card_trial import try_card
from ..endpoints.endpoint import Endpoint, MediaRoots, Surroundings
from ..endpoints.sound_card import CardSettings, SoundCard
from ..endpoints.trial import Trial
from ..graph.spec import NodeSpec, PortSpec
from ..problems import Problem

SPEC = NodeSpec(
    type="alsa_input",
    category="source",
    core_type="ring_source",
    clock=True,
    help=(
        "Captures from a sound card through ALSA. It can be the engine's clock; any other card is followed "
        "by resampling. A card that is absent, busy or pulled out is tried again every second, while the rest plays on."
    ),
    parameters=card_parameters(
        gain_help="Level of what comes in.", channels_help="Channels of the device and of `out`."
    ),
    ports=(
        PortSpec(
            name="out",
            direction="output",
            rule="parameter",
            channels_parameter="channels",
            help="What the card hears.",
        ),
    ),
)


def check(config: Mapping[str, Any], media: MediaRoots) -> list[Problem]:  # noqa: ARG001 - every node type is asked
    """What is wrong with a complete configuration: no device named, or more than a name."""
    return device_problems(config)


def open_endpoint(node_id: str, config: Mapping[str, Any], surroundings: Surroundings) -> Endpoint:
    """A card for a complete configuration that was checked."""
    return SoundCard(node_id, msgspec.convert(config, CardSettings), surroundings, capture=True)


def restart_needed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:  # noqa: ARG001 - every node type is asked
    """Whether it takes another card: never. What does is structure, and makes another node object."""
    return False


async def test(config: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
    """Opens the device as the node would, and closes it again."""
    return await try_card(msgspec.convert(config, CardSettings), config["channels"], trial, "capture")
