"""`devices.*`: the sound cards of the daemon's machine, what they can do, and their mixers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tonnetz.daemon.problems import Refusal

from ..method_table import Call, Shell, method
from ..route import Route

Direction = Literal["playback", "capture"]
DeviceName = Annotated[
    str,
    Meta(min_length=1, max_length=256, description="a device by ALSA's name, such as hw:0 or plughw:CARD=USB,DEV=0"),
]
CardName = Annotated[
    str, Meta(min_length=1, max_length=32, pattern=r"^\w+$", description="a card's id or number, instead of a device")
]
ControlName = Annotated[str, Meta(max_length=64, description="the control to look at or set; all of them when null")]
ControlIndex = Annotated[int, Meta(ge=0, le=255, description="which one of several controls of that name")]
Percent = Annotated[float, Meta(ge=0, le=100, description="volume to set, in percent of the control's range")]
Decibels = Annotated[float, Meta(ge=-200, le=100, description="volume to set, in dB")]
Mute = Annotated[bool, Meta(description="whether to mute")]


Way = Annotated[Direction, Meta(description="playback or capture")]


class Card(msgspec.Struct, frozen=True):
    """A sound card."""

    index: int
    id: str
    name: str
    long_name: str


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device by the name that nodes take as `device`; `card` is the id of the card it is on, if it is on one.

    `used_by` names the nodes that play to it or record from it. One that is not `listed` is named by a node only.
    """

    name: str
    description: str
    directions: list[Direction]
    card: str | None
    listed: bool
    used_by: list[str]


class DeviceList(msgspec.Struct, frozen=True):
    """What ALSA shows."""

    cards: list[Card]
    devices: list[Device]


class Range(msgspec.Struct, frozen=True):
    """From lowest to highest, both included."""

    minimum: int
    maximum: int


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a device can be opened with: formats by ALSA's names, the usual rates in Hz, and of all else the lowest and
    highest. Not everything goes together with everything: nodes.test tries a choice.
    """

    device: str
    direction: Direction
    formats: list[str]
    rates: list[int]
    rate: Range
    channels: Range
    period_frames: Range
    periods: Range
    buffer_frames: Range


class MixerControl(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of a control, per channel: `volume` in percent, `volume_db` where the card tells dB.

    `range_db` is the lowest and highest of that; null: it has no such thing. `index` tells controls of one name apart.
    """

    control: str
    index: int
    direction: Direction
    volume: list[float] | None
    volume_db: list[float] | None
    range_db: list[float] | None
    mute: list[bool] | None


class Mixer(msgspec.Struct, frozen=True):
    """A mixer by ALSA's name, and its controls."""

    mixer: str
    controls: list[MixerControl]


@method(
    "devices.list",
    role="viewer",
    shell=Shell("devices", example="tonnetz devices --direction playback"),
    http=Route("GET /api/devices"),
)
async def list_devices(call: Call, direction: Way | None = None) -> DeviceList:
    """List the sound cards and devices, and the nodes that use them.

    Devices can be named in more ways than are listed, such as hw:0 or plughw:1.
    """
    return msgspec.convert(await call.session.devices.overview(direction), DeviceList)


@method(
    "devices.probe",
    role="operator",
    mutates=True,
    shell=Shell("devices probe <device> [<direction>]", example="tonnetz devices probe null playback"),
    http=Route("POST /api/devices/probe"),
)
async def probe(call: Call, device: DeviceName, direction: Way = "playback") -> Abilities:
    """Tell what a device can do.

    It is opened for a moment, so one that is in use can't be asked.
    """
    return msgspec.convert(await call.session.devices.probe(device, direction), Abilities)


@method(
    "devices.mixer",
    role="viewer",
    shell=Shell("devices mixer [<device>] [<control>]", example="tonnetz devices mixer hw:0 Master --volume-db -12"),
    http=Route("POST /api/devices/mixer"),
)
async def mixer(
    call: Call,
    device: DeviceName | None = None,
    control: ControlName | None = None,
    card: CardName | None = None,
    index: ControlIndex = 0,
    direction: Way | None = None,
    volume: Percent | None = None,
    volume_db: Decibels | None = None,
    mute: Mute | None = None,
) -> Mixer:
    """Show the volumes and switches of a card, or set those of a control, on all channels.

    The card is that of a device, or given by `card`; without either it is ALSA's default. Setting takes the role
    operator. From the first look on, until the card goes away, every change is told as `device_mixer_changed`, whoever
    made it.
    """
    asked = {"volume": volume, "volume_db": volume_db, "mute": mute}
    change = {name: value for name, value in asked.items() if value is not None}
    if change and not call.caller.may("operator"):
        who = f"{call.caller.name} is {call.caller.role} here"
        raise Refusal("forbidden", f"Setting a mixer needs the role operator; {who}.", role="operator")
    shown = await call.session.devices.mixer(device, card, control, index, direction, change)
    return msgspec.convert(shown, Mixer)
