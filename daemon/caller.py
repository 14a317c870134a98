"""Who asks. A door makes one of these for every request; the table checks its role and the session records its name.

Apart from the session so that method declarations and the CLI can name it without loading the engine.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")  # the least first


class Caller(msgspec.Struct, frozen=True):
    """`name` says who (`uid:1000`), `origin` by which door (`socket`)."""

    name: str
    role: Role
    origin: str

    def may(self, role: Role) -> bool:
        """Whether the caller's role is at least this one."""
        return ROLES.index(self.role) >= ROLES.index(role)
