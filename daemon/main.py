"""`tonnetzd`: wiring only. Settings → session → doors → ready; on SIGTERM or Ctrl-C the same way back."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tonnetz.rpc.doors.http import PortInUse
from tonnetz.rpc.doors.unix_socket import SocketInUse, UnixSocketDoor
from tonnetz.rpc.method_table import load_methods

from .endpoints.endpoint import MediaRoots
from .engine.core import ClockKind
from .memory_lock import lock_memory
from .problems import Refusal
from .session import Session
from .settings import Settings, StorageSettings, file_mode, load_settings, socket_path, storage_folder
from .startup import begin, load_configured
from .storage.store import StorageUnusable
from .tokens import TokenFile
from .version import __version__

if TYPE_CHECKING:
    from tonnetz.rpc.doors.http.door import HttpDoor

log = logging.getLogger("tonnetz")

SYSTEM_CONFIG = Path("/etc/tonnetz/tonnetz.yaml")


def main() -> None:
    """The command. Exit status: 0 ended as asked, 1 could not start, 2 wrong usage or configuration."""
    arguments = _parser().parse_args()
    logging.basicConfig(
        level=arguments.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        settings = load_settings(arguments.config or (SYSTEM_CONFIG if SYSTEM_CONFIG.exists() else None))
        if arguments.check:
            asyncio.run(_check(settings))
            sys.stdout.write(f"{arguments.config or 'the default configuration'} is fine.\n")
            return
        raise SystemExit(asyncio.run(_serve(settings)))
    except Refusal as refusal:
        _explain(refusal)
        raise SystemExit(2) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tonnetzd",
        description="Runs a live audio graph that can be edited while it plays.",
        epilog="Talk to it with the tonnetz command, for example: tonnetz status",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"configuration (YAML or JSON); {SYSTEM_CONFIG} if that exists"
    )
    parser.add_argument(
        "--check", action="store_true", help="check the configuration and its graph, change nothing, exit 0 or 2"
    )
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    parser.add_argument("--version", action="version", version=f"tonnetzd {__version__}")
    return parser


def _explain(refusal: Refusal) -> None:
    sys.stderr.write(f"tonnetzd: {refusal.message}\n")
    for problem in refusal.problems[1:]:
        sys.stderr.write(f"  {problem.where}: {problem.message}\n")


async def _check(settings: Settings) -> None:
    """Makes all that the configuration asks for, and starts nothing."""
    session = _session(settings, "step")
    try:
        await load_configured(session, settings)
        _http_door(session, settings)
    finally:
        await session.close()


def _session(settings: Settings, clock: str) -> Session:
    kind: ClockKind | None = next((kind for kind in get_args(ClockKind) if kind == clock), None)
    return Session(
        sample_rate=settings.engine.sample_rate,
        block_frames=settings.engine.block_frames,
        clock=kind or "internal",
        pacing="" if kind else clock,
        realtime_priority=settings.engine.realtime_priority,
        media=MediaRoots(
            play_roots=tuple(map(Path, settings.media.play_roots)), record_root=Path(settings.media.record_root)
        ),
    )


def _http_door(session: Session, settings: Settings) -> HttpDoor | None:
    """None where there shall be none. Raises a Refusal where it would let anybody in."""
    if not settings.doors.http:
        return None
    from tonnetz.rpc.doors.http.door import HttpDoor  # takes 0.2 s to import

    tokens = TokenFile(storage_folder(settings.storage or StorageSettings()))
    return HttpDoor(session, load_methods(), settings.doors.http, tokens)


async def _serve(settings: Settings) -> int:
    """Runs until told to stop; the exit status."""
    told_to_stop = _signals()
    if not lock_memory():
        log.info("memory is not locked: that takes CAP_IPC_LOCK, or LimitMEMLOCK=infinity in a unit of systemd")
    session = _session(settings, settings.engine.clock)
    doors: list[UnixSocketDoor | HttpDoor] = []
    try:
        session.devices.watch()
        await begin(session, settings)
        if settings.doors.socket:
            socket = UnixSocketDoor(
                session,
                load_methods(),
                socket_path(settings.doors.socket),
                mode=file_mode(settings.doors.socket.mode),
                group=settings.doors.socket.group or None,
            )
            await socket.open()
            doors.append(socket)
        http = _http_door(session, settings)
        if http is not None:
            await http.open()
            doors.append(http)
        if settings.autostart:
            await session.runtime.start()
        log.info(
            "ready: %d nodes, %d Hz, blocks of %d",
            len(session.graph.nodes),
            session.engine.sample_rate,
            session.engine.block_frames,
        )
        await told_to_stop.wait()
        log.info("stopping: files are being finished")
    except (SocketInUse, PortInUse, StorageUnusable) as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else error
        log.error("can't open the control socket: %s; set doors.socket.path to where the daemon may write", why)
        return 1
    finally:
        session.schedule.close()  # first, or those who wait for its transactions would keep the doors open
        for door in doors:
            await door.close()
        await session.close()
    return 0


def _signals() -> asyncio.Event:
    """Set when the process is told to stop. From the first moment on: files are begun before the daemon is ready."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    return told


if __name__ == "__main__":
    main()
