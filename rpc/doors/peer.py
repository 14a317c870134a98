"""Who is at the other end of a Unix socket, as the kernel says, and what they may do."""

from __future__ import annotations

import os
import socket
import struct

from tonnetz.daemon.caller import Caller, Role

SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)  # Linux 4.13; Python does not name it
BUFFER = 1024  # bytes, the most that Python's getsockopt takes: 256 groups


def caller_of(connection: socket.socket, group: int | None, origin: str) -> Caller:
    """The caller by the credentials the kernel recorded at connect, so nothing the client says is believed.

    The daemon's own user and root are admin, members of `group` (a gid) operator; whoever else the socket's file mode
    let in is viewer.
    """
    _, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    role: Role = "viewer"
    if uid in (0, os.geteuid()):
        role = "admin"
    elif group is not None and (gid == group or group in _groups(connection)):
        role = "operator"
    return Caller(f"uid:{uid}", role, origin)


def _groups(connection: socket.socket) -> tuple[int, ...]:
    """The supplementary groups of the peer; asking the kernel, not the user database, which may be far away.

    Of whoever is in more than 256 groups none is known, and so they get the lesser role.
    """
    try:
        packed = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, BUFFER)
    except OSError:
        return ()
    return struct.unpack(f"{len(packed) // 4}I", packed)
