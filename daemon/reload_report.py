"""What became of a configuration that was read again. Apart from the doing, so that method declarations can name it."""

from __future__ import annotations

import msgspec


class Reloaded(msgspec.Struct, frozen=True):
    """The settings that were taken over, those that wait for a restart, and the revision that the graph is at."""

    applied: list[str]
    restart: list[str]
    revision: int

    @property
    def sentence(self) -> str:
        parts = [f"taken over: {', '.join(self.applied)}"] if self.applied else []
        parts += [f"after a restart: {', '.join(self.restart)}"] if self.restart else []
        return "; ".join(parts) or "nothing has changed"
