"""All ways to look into a session's graph, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .injecting import Injections
from .levels import Levels
from .listening import Listener
from .monitoring import Monitoring
from .taps import Taps

if TYPE_CHECKING:
    from ..session import Session


class Probing:
    """Made with the session, and closed with it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.levels = Levels(session)
        self.taps = Taps(session)
        self.injections = Injections(session)
        self.monitoring = Monitoring(session)

    def listen(self, name: str) -> Listener:
        """At a port, as `node.port`. Raises a Refusal."""
        return Listener(self._session, self.taps.open(name))

    def close(self) -> None:
        """Ends all feeds and takes every probe down."""
        self.monitoring.close()
        self.injections.close()
        self.taps.close()
        self.levels.close()
