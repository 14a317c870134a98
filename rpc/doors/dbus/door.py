"""Keeps the daemon on a message bus. A bus that is absent, restarts or hangs delays nobody: the door says so in the
log, tries again, and is back when the bus is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...method_table import Method
from ..peer import group_id
from .announcer import Announcer
from .connection import Connection, NotConnected, address_of
from .interfaces import NAME
from .objects import Objects
from .service import Service

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

log = logging.getLogger(__name__)

RETRY_S = (0.2, 30.0)  # after the first failure, and at most
ADVICE = (
    "install Tonnetz's policy (tonnetzd install-units), or set doors.dbus.bus to session, or doors.dbus to false, "
    "in the configuration"
)


class DbusDoor:
    """Serves on `bus` (`system`, `session` or an address); members of `group`, by name or number, are operators.

    A Refusal (invalid_config) where there is no such group.
    """

    def __init__(
        self, session: Session, methods: Mapping[str, Method], bus: str = "system", *, group: str | None = None
    ) -> None:
        self.bus = bus
        self._session = session
        self._objects = Objects(session, methods)
        self._group = group_id(group, "doors.dbus.group")
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Go to the bus, and stay there. Returns when the first attempt is over, whatever came of it."""
        self._task = asyncio.create_task(self._stay())
        await self._tried.wait()

    async def close(self) -> None:
        """Answer the calls under way, tell what has happened, and hang up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _stay(self) -> None:
        said, pause_s = "", RETRY_S[0]
        while True:
            try:
                connection = await Connection.open(address_of(self.bus))
            except NotConnected as error:
                lost = f"{error}"
            else:
                lost, served = await self._serve(connection)
                if served:
                    said, pause_s = "", RETRY_S[0]
            if lost != said:
                log.warning("not on the %s bus: %s. Trying again until it works.", self.bus, lost)
                said = lost
            self._tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S[1])

    async def _serve(self, connection: Connection) -> tuple[str, bool]:
        """Serves on a connection until it is lost: why, and whether it had our name."""
        announcer = Announcer(self._session, self._objects, connection)
        service = Service(self._session, self._objects, connection, self._group)
        telling: asyncio.Task[None] | None = None
        try:
            try:
                await connection.serve(service.take, service.vanished)
                await connection.own(NAME)
            except NotConnected as error:
                return f"{error}; {ADVICE}", False
            log.info("on the %s bus as %s", self.bus, NAME)
            self._tried.set()
            telling = asyncio.create_task(announcer.run())
            ends: set[asyncio.Future[Any]] = {telling, connection.lost}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not connection.lost.done():  # it never ends by itself
                log.error("telling the bus what happens failed", exc_info=telling.exception())
                return "an internal error", True
            return f"it is gone ({connection.lost.result()})", True
        finally:
            announcer.close()
            await service.close()
            if telling is not None:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
            await connection.close()
