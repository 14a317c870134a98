"""All ways to look into a session's graph, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .injecting import Injections
from .levels import Levels
from .monitoring import Monitoring
from .taps import Taps

if TYPE_CHECKING:
    from ..session import Session


class Probing:
    """Made with the session, and closed with it."""

    def __init__(self, session: Session) -> None:
        self.levels = Levels(session)
        self.taps = Taps(session)
        self.injections = Injections(session)
        self.monitoring = Monitoring(session)

    def close(self) -> None:
        """Ends all feeds and takes every probe down."""
        self.monitoring.close()
        self.injections.close()
        self.taps.close()
        self.levels.close()
