"""The sound cards of the machine, together with what the graph does with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .endpoints.alsa_worker.asking import AlsaWorker, Direction
from .endpoints.alsa_worker.folder import CardFolder, Cards
from .endpoints.alsa_worker.names import card_of, same_device
from .graph.spec import NodeSpec
from .problems import Problem, Refusal, refuse, suggestion

if TYPE_CHECKING:
    from .session import Session


class Use(NamedTuple):
    """A node that plays to a device or records from it."""

    node_id: str
    device: str
    direction: Direction


class Devices:
    """Questions about devices, answered with what nodes hold. What changes is published as events of the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.alsa = AlsaWorker(self._holders, self._tell_mixer)
        self._folder = CardFolder(self._tell_cards)

    def watch(self) -> None:
        """From now on `devices_changed` tells of cards that come and go."""
        self._folder.open()

    async def close(self) -> None:
        self._folder.close()
        await self.alsa.close()

    # ---- Questions ---------------------------------------------------------------------------------------------------

    async def overview(self, direction: Direction | None = None) -> dict[str, Any]:
        """`cards`, and `devices` for a direction or for both, those too that nodes name and ALSA does not list."""
        answer = await self.alsa.devices()
        ids = {card["index"]: card["id"] for card in answer["cards"]}
        devices = [device | {"listed": True, "used_by": []} for device in answer["devices"]]
        by_name = {same_device(device["name"], ids): device for device in devices}
        for use in self._uses():
            name = same_device(use.device, ids)
            device = by_name.get(name)
            if device is None:
                device = {"name": use.device, "description": "", "directions": [], "card": card_of(use.device, ids)}
                device = by_name[name] = device | {"listed": False, "used_by": []}
                devices.append(device)
            if use.direction not in device["directions"]:
                device["directions"] = [*device["directions"], use.direction]
            device["used_by"].append(use.node_id)
        return {
            "cards": answer["cards"],
            "devices": [device for device in devices if direction is None or direction in device["directions"]],
        }

    async def probe(self, device: str, direction: Direction) -> dict[str, Any]:
        """What a device can do, in one direction."""
        return {"device": device, "direction": direction, **await self.alsa.abilities(device, direction)}

    async def mixer(
        self,
        device: str | None,
        card: str | None,
        control: str | None,
        index: int,
        direction: Direction | None,
        change: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The controls of a mixer, or the one of a name; after they were set to what is in `change`, if anything is."""
        mixer = self._mixer_of(device, card)
        controls = await self.alsa.controls(mixer)
        if control is None and change:
            names = ", ".join(dict.fromkeys(one["control"] for one in controls))
            message = f"Say which control is to be set. {mixer} has: {names}." if names else f"{mixer} has no controls."
            raise refuse("invalid_params", [Problem("missing_parameter", message, "control")])
        if control is not None:
            wanted = _found(controls, mixer, control, index, direction)
            if change:
                setting = _settable(wanted, change)
                await self.alsa.change(mixer, control, index, setting["direction"], **change)
                wanted = _found(await self.alsa.controls(mixer), mixer, control, index, direction)
            controls = wanted
        return {"mixer": mixer, "controls": controls}

    def _mixer_of(self, device: str | None, card: str | None) -> str:
        """What ALSA calls the mixer of a card, or of the card that a device is on."""
        if device is not None and card is not None:
            message = "Give a device or a card, not both."
            raise refuse("invalid_params", [Problem("alternatives", message, "card")])
        if card is not None:
            return f"hw:{card}"
        if device is None:
            return "default"
        on = card_of(device, self._folder.cards())
        return device if on is None else f"hw:{on}"

    # ---- The graph ---------------------------------------------------------------------------------------------------

    def _uses(self) -> Iterator[Use]:
        for node in self._session.graph.nodes.values():
            if direction := sound_direction(self._session.catalogue[node.type]):
                yield Use(node.id, node.config["device"], direction)

    def _holders(self, device: str) -> Sequence[str]:
        ids = self._folder.cards()
        same = same_device(device, ids)
        return [use.node_id for use in self._uses() if same_device(use.device, ids) == same]

    # ---- Events ------------------------------------------------------------------------------------------------------

    def _tell_mixer(self, mixer: str, controls: list[dict[str, Any]]) -> None:
        self._session.events.publish("device_mixer_changed", {"mixer": mixer, "controls": controls})

    def _tell_cards(self, appeared: Cards, vanished: Cards) -> None:
        told = {"appeared": appeared, "vanished": vanished}
        self._session.events.publish(
            "devices_changed",
            {name: [{"index": index, "id": id} for index, id in cards.items()] for name, cards in told.items()},
        )


def sound_direction(spec: NodeSpec) -> Direction | None:
    """The way sound takes between a node of this type and its `device`; None where it has no such thing."""
    if spec.parameter("device") is None or spec.category == "processor":
        return None
    return "capture" if spec.category == "source" else "playback"


# ---- Controls of a mixer ---------------------------------------------------------------------------------------------


def _found(
    controls: Sequence[dict[str, Any]], mixer: str, control: str, index: int, direction: Direction | None
) -> list[dict[str, Any]]:
    """The sides of one control; a Refusal where there is none."""
    names = list(dict.fromkeys(one["control"] for one in controls))
    found = [
        one
        for one in controls
        if (one["control"], one["index"]) == (control, index) and direction in (None, one["direction"])
    ]
    if found:
        return found
    if control not in names:
        raise Refusal("not_found", f"{mixer} has no control '{control}'.{suggestion(control, names)}")
    sides = [f"{one['index']} ({one['direction']})" for one in controls if one["control"] == control]
    raise Refusal("not_found", f"{mixer} has no such '{control}'. There is {control} {', '.join(sides)}.")


def _settable(sides: Sequence[dict[str, Any]], change: Mapping[str, Any]) -> dict[str, Any]:
    """The first side that has all that is to be set, each within its range; refusals say what is missing."""
    if "volume" in change and "volume_db" in change:
        message = "Give the volume in percent or in dB, not both."
        raise refuse("invalid_params", [Problem("alternatives", message, "volume_db")])
    fitting = [side for side in sides if all(side[name] is not None for name in change)]
    if not fitting:
        name = next((name for name in change if all(side[name] is None for side in sides)), next(iter(change)))
        what = {
            "volume": "has no volume. It can be muted only",
            "volume_db": "has no volume that the card tells in dB. Set `volume`, in percent",
            "mute": "can't be muted. Set its volume",
        }[name]
        message = f"{sides[0]['control']} {what}."
        raise refuse("invalid_params", [Problem("invalid_value", message, name)])
    side = fitting[0]
    if "volume_db" in change:
        low, high = side["range_db"]
        if not low <= change["volume_db"] <= high:
            message = f"{side['control']} goes from {low:g} to {high:g} dB, not {change['volume_db']:g}."
            bounds = {"minimum": low, "maximum": high, "unit": "dB"}
            raise refuse("invalid_params", [Problem("out_of_range", message, "volume_db", bounds)])
    return side
