"""Who is at the other end of a Unix socket, as the kernel says, and what whoever is on this machine may do."""

from __future__ import annotations

import grp
import os
import socket
import struct
from collections.abc import Collection

from tonnetz.daemon.caller import Caller, Role
from tonnetz.daemon.problems import Problem, refuse

SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)  # Linux 4.13; Python does not name it
BUFFER = 1024  # bytes, the most that Python's getsockopt takes: 256 groups


def caller_of(connection: socket.socket, group: int | None, origin: str) -> Caller:
    """The caller by the credentials the kernel recorded at connect, so nothing the client says is believed.

    The daemon's own user and root are admin, members of `group` (a gid) operator; whoever else was let in is viewer.
    """
    _, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return caller_with(uid, (gid, *_groups(connection)), group, origin)


def caller_with(uid: int, gids: Collection[int], group: int | None, origin: str) -> Caller:
    """The caller with this user id and these group ids; who may do what is the same at every door of this machine."""
    role: Role = "viewer"
    if uid in (0, os.geteuid()):
        role = "admin"
    elif group is not None and group in gids:
        role = "operator"
    return Caller(f"uid:{uid}", role, origin)


def group_id(group: str | None, setting: str) -> int | None:
    """The gid of a group by name or number, as a setting has it. A Refusal (invalid_config) says what to do where there
    is none."""
    if group is None:
        return None
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        message = f"There is no group '{group}'. Create it (groupadd {group}), or name another, or none."
        raise refuse("invalid_config", [Problem("not_found", message, setting)]) from None


def _groups(connection: socket.socket) -> tuple[int, ...]:
    """The supplementary groups of the peer; asking the kernel, not the user database, which may be far away.

    Of whoever is in more than 256 groups none is known, and so they get the lesser role.
    """
    try:
        packed = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, BUFFER)
    except OSError:
        return ()
    return struct.unpack(f"{len(packed) // 4}I", packed)
