"""Would a sound card do what a node asks of it? Asked of the card itself, through the worker, without a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..problems import Refusal
from .alsa_worker.asking import Direction
from .sound_card import CardSettings
from .trial import Trial

# What ALSA calls the formats, the finest first, in the order in which the core takes them (csrc/alsa_pcm.c).
ALSA_FORMATS = {
    "f32": "FLOAT_LE",
    "s32": "S32_LE",
    "s24_4": "S24_LE",
    "s24_3": "S24_3LE",
    "s16": "S16_LE",
    "s24_4_left": "S32_LE",
}


async def try_card(settings: CardSettings, channels: int, trial: Trial, direction: Direction) -> dict[str, Any]:
    """Opens the device with what the core would choose. Found: device, rate, channels, format (as `config.format` names
    it), period_frames, buffer_frames. Refusal where the core would not get what the settings ask for.
    """
    device = settings.device
    able = await trial.alsa.abilities(device, direction)
    rate = _rate(settings, trial.sample_rate, able)
    format = _format(settings, able)
    least, most = able["channels"]["minimum"], able["channels"]["maximum"]
    if not least <= channels <= most:
        raise _refused(device, f"it does not do {channels} channels, but {least} to {most}")
    wanted: dict[str, Any] = {"rate": rate, "channels": channels, "format": ALSA_FORMATS[format]}
    period = (settings.period_frames or trial.block_frames) * rate // trial.sample_rate
    got = await trial.alsa.try_out(device, direction, period_frames=period, periods=settings.periods, **wanted)
    for name, value in wanted.items():
        if got[name] != value:
            raise _refused(device, f"asked for {name} {value}, it gives {got[name]}")
    told = ("rate", "channels", "period_frames", "buffer_frames")
    return {"device": device, "format": format, **{name: got[name] for name in told}}


def _rate(settings: CardSettings, engine_rate: int, able: Mapping[str, Any]) -> int:
    """The rate that is asked for, else of those there are the nearest to the engine's."""
    low, high = able["rate"]["minimum"], able["rate"]["maximum"]
    if settings.rate is None:
        nearest: int = min((low, high, *able["rates"]), key=lambda rate: abs(rate - engine_rate))
        return nearest
    if not low <= settings.rate <= high:
        raise _refused(settings.device, f"it does not do {settings.rate} Hz; its rates lie between {low} and {high}")
    return settings.rate


def _format(settings: CardSettings, able: Mapping[str, Any]) -> str:
    offered = [name for name, alsa in ALSA_FORMATS.items() if alsa in able["formats"]]
    if settings.format == "auto" and offered:
        return offered[0]
    if settings.format not in offered:
        takes = ", ".join(offered) or "none that is known here"
        raise _refused(settings.device, f"it does not take the format {settings.format}; it takes {takes}")
    return settings.format


def _refused(device: str, why: str) -> Refusal:
    return Refusal("unavailable", f"{device} can't be used so: {why}.", device=device)
