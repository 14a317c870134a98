"""`system.*`: what answers here, and whether it is well."""

from __future__ import annotations

from typing import Literal

import msgspec

from tonnetz.daemon.event_names import EVENT_NAMES
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.reload_report import Reloaded
from tonnetz.daemon.storage.status import StorageStatus
from tonnetz.daemon.version import __version__

from ..method_table import Call, method, table
from ..route import Route
from .runtime import NodeTrouble, RuntimeState, status

API_VERSION = 1  # goes up when something that worked would stop working


class Version(msgspec.Struct, frozen=True):
    """The program's version, and the number of the interface, which changes only when a client would break."""

    version: str
    api: int


class Description(msgspec.Struct, frozen=True):
    """What this daemon is and what it understands."""

    name: str
    version: str
    api: int
    sample_rate: int
    block_frames: int
    clock: str
    methods: list[str]
    events: list[str]
    node_types: list[str]
    caller: str
    role: str


class Health(msgspec.Struct, frozen=True):
    """`ok`, or `degraded` with the nodes that are in trouble, or a storage that is. Late blocks are those since the
    engine was made."""

    status: Literal["ok", "degraded"]
    state: RuntimeState
    late_blocks: int
    nodes: list[NodeTrouble]
    storage: StorageStatus


@method("system.version", role="viewer", http=Route("GET /api/system/version"))
async def version(call: Call) -> Version:
    """Tell the version of the daemon and of its interface."""
    return Version(__version__, API_VERSION)


@method("system.describe", role="viewer", http=Route("GET /api/system"))
async def describe(call: Call) -> Description:
    """Tell what this daemon is, what it understands, and who it takes the caller for."""
    now = await status(call)
    return Description(
        name="tonnetz",
        version=__version__,
        api=API_VERSION,
        sample_rate=now.sample_rate,
        block_frames=now.block_frames,
        clock=now.clock,
        methods=list(table),
        events=list(EVENT_NAMES),
        node_types=sorted(call.session.catalogue),
        caller=call.caller.name,
        role=call.caller.role,
    )


@method("system.health", role="viewer", http=Route("GET /api/system/health"))
async def health(call: Call) -> Health:
    """Tell whether the daemon is well.

    It is `degraded` when nodes are not running, though the engine does, or when nothing can be stored, and so nothing
    be changed.
    """
    now = await status(call)
    well = not now.not_running and now.storage.state != "refusing"
    return Health("ok" if well else "degraded", now.state, now.late_blocks, now.not_running, now.storage)


@method("system.reload", role="admin", mutates=True, http=Route("POST /api/system/reload"))
async def reload(call: Call) -> Reloaded:
    """Read the configuration file again, and take over what can change while sound plays.

    A file with a mistake is refused and changes nothing. Where its graph is another than when it was read last, one
    transaction leads there. What else has changed holds after a restart, and is named.
    """
    if call.session.configuration is None:
        raise Refusal("unavailable", "This session was made without a configuration that could be read again.")
    return await call.session.configuration.reload(call.caller)
