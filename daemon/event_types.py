"""What each event tells: one record per name in `event_names.py`, called the same in CamelCase.

The documentation and the signals on D-Bus are made from these.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .event_names import EventName
from .presence import Cursor, Held


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`seq` numbers all events of this daemon; `dropped` counts those that this listener lost before this one."""

    seq: int
    dropped: int | None = None


class Deed(Told, frozen=True, kw_only=True):
    """What somebody did: who (`uid:1000`), and at which door."""

    author: str
    origin: str


class Change(Told, frozen=True, kw_only=True):
    """A change of the graph by somebody. The graph is at `revision` since."""

    revision: int
    author: str
    origin: str


class NodeAdded(Change, frozen=True, kw_only=True):
    """A node is new: its id, type, config, label, position, bypass."""

    node: dict[str, Any]


class NodeRemoved(Change, frozen=True, kw_only=True):
    """A node is gone."""

    node_id: str


class NodeReplaced(Change, frozen=True, kw_only=True):
    """Another node stands under this id."""

    node_id: str
    node: dict[str, Any]


class ConnectionAdded(Change, frozen=True, kw_only=True):
    """A connection is new: its id, source, target."""

    connection: dict[str, str]


class ConnectionRemoved(Change, frozen=True, kw_only=True):
    """A connection is gone."""

    connection_id: str


class NodeMoved(Change, frozen=True, kw_only=True):
    """An editor draws the node elsewhere; null: wherever it likes."""

    node_id: str
    x: float | None
    y: float | None


class ParameterChanged(Change, frozen=True, kw_only=True):
    """A parameter has another value, a list or matrix as a whole; `label` and `bypass` count as parameters here."""

    node_id: str
    param: str
    value: Any


class GraphRenamed(Change, frozen=True, kw_only=True):
    """The graph has another name."""

    name: str


class NodeStateChanged(Told, frozen=True, kw_only=True):
    """A player, recorder or card is `starting`, `running`, `retrying` or `failed`, and why, as graph.get tells it."""

    node_id: str
    state: str
    state_message: str
    detail: dict[str, Any]


class TransactionApplied(Change, frozen=True, kw_only=True):
    """After the events of its changes: the transaction as a whole."""

    frame: int
    label: str


class TransactionScheduled(Deed, frozen=True, kw_only=True):
    """A transaction waits for its frame or time."""

    label: str
    id: int
    at: int | str


class TransactionDropped(Deed, frozen=True, kw_only=True):
    """One that waited will not come to pass: it was cancelled, or no longer holds."""

    label: str
    id: int
    error: str
    message: str


class PresenceChanged(Deed, frozen=True, kw_only=True):
    """Somebody came, moved, or has something else in hand; with `present: false` they are gone."""

    client: int
    nick: str
    cursor: Cursor | None
    selection: list[str]
    editing: Held | None
    present: bool


class RuntimeChanged(Told, frozen=True, kw_only=True):
    """The engine is `stopped`, `running` or `paused`."""

    state: Literal["stopped", "running", "paused"]
    frame: int


class CardName(msgspec.Struct, frozen=True):
    """A sound card by its number and its name."""

    index: int
    id: str


class DevicesChanged(Told, frozen=True, kw_only=True):
    """Sound cards were plugged in or out: their index and id. Not what they can do: ask devices.list."""

    appeared: list[CardName]
    vanished: list[CardName]


class DeviceMixerChanged(Told, frozen=True, kw_only=True):
    """Controls of a mixer that devices.mixer has shown were set, by whomever: as it shows them."""

    mixer: str
    controls: list[dict[str, Any]]


class Log(Told, frozen=True, kw_only=True):
    """The engine or the storage noticed something: a node that gave out NaN, time lost, a disk that is full."""

    level: str
    message: str
    frame: int


def event_type(name: EventName) -> type[Told]:
    """The record of an event."""
    found: type[Told] = globals()["".join(part.capitalize() for part in name.split("_"))]
    return found


def own_fields(kind: type[Told]) -> tuple[str, ...]:
    """What the event tells beside the fields that it shares with others."""
    shared = {name for base in (Told, Deed, Change) for name in base.__struct_fields__}
    return tuple(name for name in kind.__struct_fields__ if name not in shared)
