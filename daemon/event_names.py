"""The events there are, and what each one tells. Apart from the hub so that the CLI can list them without asyncio."""

from __future__ import annotations

from typing import Literal, get_args

EventName = Literal[
    "node_added",
    "node_removed",
    "node_replaced",
    "connection_added",
    "connection_removed",
    "node_moved",
    "parameter_changed",
    "graph_renamed",
    "node_state_changed",
    "transaction_applied",
    "transaction_scheduled",
    "transaction_dropped",
    "runtime_changed",
    "devices_changed",
    "device_mixer_changed",
    "presence_changed",
    "log",
]
EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)
