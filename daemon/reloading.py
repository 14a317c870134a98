"""Takes over a changed configuration while sound plays: what can change does, the rest is named.

The file is read and checked whole first, so one with a mistake changes nothing. Its graph is compared with the one that
was read last, not with the one that plays: edits made since stay unless the file's graph itself has changed, and then
one transaction leads from what plays to what the file says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .caller import Caller
from .endpoints.endpoint import MediaRoots
from .reload_report import Reloaded
from .service import notify
from .settings import MediaSettings, Settings, load_settings

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

LIVE = ("graph", "media")  # sections; media holds for players and recorders that begin from now on


class Configuration:
    """The settings that are in force, and the file they came from."""

    def __init__(self, path: Path | None, settings: Settings, session: Session) -> None:
        self.settings = settings
        self._path = path
        self._session = session
        self._one_at_a_time = asyncio.Lock()

    async def reload(self, caller: Caller) -> Reloaded:
        """Reads the file anew. A Refusal leaves everything as it was."""
        async with self._one_at_a_time:
            notify.reloading()
            try:
                report = await self._reload(caller)
            except BaseException as error:
                notify.ready(f"Not taken over: {error}")
                raise
            notify.ready(f"Configuration read again; {report.sentence}")
        return report

    async def _reload(self, caller: Caller) -> Reloaded:
        new = await asyncio.to_thread(load_settings, self._path)
        changed = list(differences(self.settings, new))
        live = [place for place in changed if place.partition(".")[0] in LIVE]
        revision = self._session.revision
        if "graph" in live:
            before, self._session.media = self._session.media, media_roots(new.media)
            try:
                receipt = await self._session.load(new.graph, caller=caller, label="reload")
            except BaseException:
                self._session.media = before
                raise
            revision = receipt.revision
        self._session.media = media_roots(new.media)
        self.settings = msgspec.structs.replace(self.settings, **{section: getattr(new, section) for section in LIVE})
        report = Reloaded(live, [place for place in changed if place not in live], revision)
        log.info("configuration read again: %s", report.sentence)
        return report


def media_roots(settings: MediaSettings) -> MediaRoots:
    return MediaRoots(play_roots=tuple(map(Path, settings.play_roots)), record_root=Path(settings.record_root))


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """The settings that are not the same, as `doors.socket.path`."""
    if old == new:
        return
    if isinstance(old, msgspec.Struct) and type(old) is type(new):
        for name in old.__struct_fields__:
            yield from differences(getattr(old, name), getattr(new, name), f"{place}.{name}".removeprefix("."))
    else:
        yield place
