"""Sockets that the service manager opened before us, sd_listen_fds(3): who talks to one while we start waits in it."""

from __future__ import annotations

import os
import socket

FIRST = 3  # where passed descriptors begin


def passed_sockets() -> list[tuple[str, socket.socket]]:
    """The sockets and their names (`control`), for us alone and once: what we start later does not find them."""
    mine = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "0")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if not mine or not count.isdigit():
        return []
    found = []
    for place in range(int(count)):
        os.set_inheritable(FIRST + place, False)
        passed = socket.socket(fileno=FIRST + place)
        passed.setblocking(False)
        found.append((names[place] if place < len(names) else "", passed))
    return found


def control_socket() -> socket.socket | None:
    """The one for our control socket: a Unix stream socket that listens. The others are closed."""
    chosen = None
    for _, passed in passed_sockets():
        listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if chosen is None and listens and passed.family == socket.AF_UNIX and passed.type == socket.SOCK_STREAM:
            chosen = passed
        else:
            passed.close()
    return chosen
