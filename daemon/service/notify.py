"""Tells the service manager how it goes: sd_notify(3), in the few lines that it takes. Without one, nothing happens."""

from __future__ import annotations

import logging
import os
import socket
import time

log = logging.getLogger(__name__)


def notify(*lines: str) -> bool:
    """Sends assignments such as `READY=1`; whether there was somebody to send them to. Never waits, never raises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.connect(f"\0{address[1:]}" if address[0] == "@" else address)
            sender.send("\n".join(lines).encode())
    except OSError as error:
        log.debug("telling %s: %s", address, error)
        return False
    return True


def ready(status: str) -> None:
    notify("READY=1", f"STATUS={status}")


def reloading() -> None:
    """Followed by `ready` when it is over."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(status: str) -> None:
    notify("STOPPING=1", f"STATUS={status}")


def watchdog_s() -> float | None:
    """After how long without `WATCHDOG=1` we are ended; None where nobody watches."""
    watched = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    period = os.environ.get("WATCHDOG_USEC", "")
    return int(period) / 1e6 if watched and period.isdigit() and int(period) else None
