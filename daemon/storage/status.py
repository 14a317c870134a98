"""How the storage is. Apart from the store so that method declarations and the CLI can name it without SQLite."""

from __future__ import annotations

from typing import Literal

import msgspec


class StorageStatus(msgspec.Struct, frozen=True):
    """`ok`; `off` where nothing is stored; `refusing` while nothing can be written, and so nothing changed: then
    `message` says why. `notes` tell what went wrong since the daemon started, and what was done about it."""

    state: Literal["ok", "off", "refusing"]
    message: str = ""
    notes: tuple[str, ...] = ()


OFF = StorageStatus("off")
