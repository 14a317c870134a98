"""What `alsa_input` and `alsa_output` can be told: the same, but for the direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..graph.spec import ParameterSpec
from ..problems import Problem
from .alsa_worker.names import flaw_in_device
from .ring_parameters import channels_parameter, gain_parameter


def card_parameters(*, gain_help: str, channels_help: str) -> tuple[ParameterSpec, ...]:
    """The parameters of a card's node; the first, `gain_db`, is the core's, all others are the card's."""
    return (
        gain_parameter(gain_help),
        ParameterSpec(
            name="device",
            kind="text",
            default="default",
            structure=True,
            core=False,
            help=(
                "The ALSA device: 'default', 'hw:0', 'hw:CARD=USB', 'plughw:1,0'; `tonnetz devices` lists them. "
                "hw: takes what the card itself can do, plughw: converts what it can't."
            ),
        ),
        ParameterSpec(
            name="rate",
            kind="int",
            unit="Hz",
            optional=True,
            minimum=8000,
            maximum=384_000,
            structure=True,
            core=False,
            help=(
                "Of the device; what differs from the engine's is converted. null: the engine's, or what of the "
                "device's is nearest to it."
            ),
        ),
        channels_parameter(channels_help),
        ParameterSpec(
            name="format",
            kind="choice",
            default="auto",
            choices=("auto", "s16", "s24_3", "s24_4", "s24_4_left", "s32", "f32"),
            structure=True,
            core=False,
            help=(
                "Of the samples on their way: whole numbers of 16, 24 or 32 bits, or float. 24 bits are packed in "
                "three bytes (s24_3), or lie in four to the right (s24_4) or to the left (s24_4_left, which the "
                "device sees as 32 bits). auto: the finest that the device takes."
            ),
        ),
        ParameterSpec(
            name="period_frames",
            kind="int",
            optional=True,
            minimum=16,
            maximum=16_384,
            structure=True,
            core=False,
            help=(
                "How much the device takes or gives at a time, in frames at the engine's rate; what is nearest to it. "
                "null: the engine's block."
            ),
        ),
        ParameterSpec(
            name="periods",
            kind="int",
            default=3,
            minimum=2,
            maximum=32,
            structure=True,
            core=False,
            help="How many periods the device's buffer holds: more bear longer stalls of the machine, and are later.",
        ),
        ParameterSpec(
            name="drift",
            kind="choice",
            default="auto",
            choices=("auto", "off"),
            structure=True,
            core=False,
            help=(
                "auto: a device whose clock is not the engine's is followed by resampling, by as many millionths as "
                "its detail's `ppm` says. off: never; now and then frames are left out or missing instead."
            ),
        ),
        ParameterSpec(
            name="buffer_ms",
            kind="float",
            unit="ms",
            default=0.0,
            minimum=0,
            maximum=200,
            structure=True,
            core=False,
            help="Kept between engine and device beyond what they need, for a machine that stalls.",
        ),
    )


def device_problems(config: Mapping[str, Any]) -> list[Problem]:
    """What can be said of a configuration before the device is opened: that it names one, and no more than that."""
    if config["device"].strip():
        flaw = flaw_in_device(config["device"])
        return [Problem("invalid_value", flaw, "config.device")] if flaw else []
    message = "device names none. Give one, such as 'default' or 'hw:0'; `tonnetz devices` lists them."
    return [Problem("missing", message, "config.device")]
