"""Who is on the bus: each sender with its queue of calls, its user, and what methods take for a lasting connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tonnetz.daemon.caller import Caller

from .connection import Connection, Message
from .signals import signal_of_event

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session


class Client:
    """One sender, by its unique name, which nobody else will ever have.

    The bus gives every event to whoever matches it, so subscribing to them changes nothing; but events that were missed
    (`since`) are sent to the one who asks, alone.
    """

    def __init__(self, session: Session, connection: Connection, name: str) -> None:
        self.name = name
        self.calls: deque[Message] = deque()
        self.busy = False  # its calls are being answered
        self.gone = False
        self.caller: Caller | None = None
        self._session = session
        self._connection = connection

    def subscribe(self, names: Sequence[str] | None, since: int | None = None) -> int | None:
        """Send again what came after `since`, if all of it is known: how much that is."""
        missed = None if since is None else self._session.events.missed(since, names)
        for event in missed or ():
            message = signal_of_event(event)
            message.destination = self.name
            self._connection.send(message)
        return None if missed is None else len(missed)

    def unsubscribe(self) -> None:
        """The bus knows what each of its clients wants."""

    def leave(self) -> None:
        """The sender has left the bus."""
        self._session.presence.leave(self)
