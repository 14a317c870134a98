"""`tonnetzd`: wiring only. Settings → session → doors → ready; on SIGTERM or Ctrl-C the same way back."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NoReturn, Protocol, get_args

from tonnetz.rpc.doors.http.port import Port, PortInUse
from tonnetz.rpc.doors.unix_socket import SocketInUse, UnixSocketDoor
from tonnetz.rpc.method_table import load_methods

from .caller import Caller
from .ending import fade_out
from .engine.core import ClockKind
from .memory_lock import lock_memory
from .options import config_path, parser
from .problems import Refusal
from .reloading import Configuration, media_roots
from .service import notify
from .service.activation import control_socket
from .service.credentials import assumed, credential
from .service.event_log import log_events
from .service.log import set_up_log
from .service.watchdog import Watchdog
from .session import Session
from .settings import (
    DbusSettings,
    DoorSettings,
    HttpSettings,
    Settings,
    SocketSettings,
    StorageSettings,
    file_mode,
    load_settings,
    socket_path,
    storage_folder,
)
from .startup import begin, leave, load_configured
from .storage.store import StorageUnusable
from .tokens import TokenFile, given_tokens

log = logging.getLogger("tonnetz")

OURSELVES = Caller("configuration", "admin", "reload")


def main() -> None:
    """The command. Exit status: 0 ended as asked, 1 could not start, 2 wrong usage or configuration."""
    arguments = parser().parse_args()
    if arguments.command or arguments.print_unit:
        raise SystemExit(_install(arguments))
    set_up_log(arguments.log_level)
    path = config_path(arguments.config)
    try:
        settings = load_settings(path)
        if arguments.check:
            asyncio.run(_check(settings))
            sys.stdout.write(f"{arguments.config or 'the default configuration'} is fine.\n")
            return
        _end(asyncio.run(_serve(settings, path)))
    except Refusal as refusal:
        _explain(refusal)
        raise SystemExit(2) from None


def _end(status: int) -> NoReturn:
    """Ends the process at once. All that has to be kept is closed and written by now; what Python would still take
    apart, object by object, takes it 0.1 to 0.2 s, by which a restart would be silent longer."""
    logging.shutdown()
    os._exit(status)


def _explain(refusal: Refusal) -> None:
    sys.stderr.write(f"tonnetzd: {refusal.message}\n")
    for problem in refusal.problems[1:]:
        sys.stderr.write(f"  {problem.where}: {problem.message}\n")


def _install(arguments: argparse.Namespace) -> int:
    from tonnetz.systemd import command

    return command.run(print_unit=arguments.print_unit, user=arguments.user, root=arguments.root)


async def _check(settings: Settings) -> None:
    """Makes all that the configuration asks for, and starts nothing."""
    session = _session(settings, "step")
    try:
        with assumed():
            await load_configured(session, settings)
            if settings.doors.http:
                _http_port(settings, settings.doors.http)
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
        latency_compensation=settings.engine.latency_compensation,
        media=media_roots(settings.media),
    )


async def _serve(settings: Settings, path: Path | None) -> int:
    """Runs until told to stop; the exit status."""
    told_to_stop = _told_to_stop()
    if not lock_memory():
        log.info("memory is not locked: that takes CAP_IPC_LOCK, or LimitMEMLOCK=infinity in a unit of systemd")
    session = _session(settings, settings.engine.clock)
    session.configuration = Configuration(path, settings, session)
    with _watched(session), log_events(session.events):  # to the very end: slow disks may take their time
        try:
            await _play(session, settings, told_to_stop)
        except (SocketInUse, PortInUse, StorageUnusable) as error:
            log.error("%s", error)
            return 1
        except OSError as error:
            why = f"{error.filename}: {error.strerror}" if error.filename else error
            log.error("can't open the control socket: %s; set doors.socket.path to where the daemon may write", why)
            return 1
        finally:
            await session.close()
    return 0


async def _play(session: Session, settings: Settings, told_to_stop: asyncio.Event) -> None:
    """From the stored graph to its end: sounds, answers, and fades out when it is told to."""
    session.devices.watch()
    begun_with = await begin(session, settings)
    try:
        await _serve_at_doors(session, settings, told_to_stop)
    finally:  # also where a door can't be opened, though sound may play by then
        await leave(session, begun_with)
        await fade_out(session)


async def _serve_at_doors(session: Session, settings: Settings, told_to_stop: asyncio.Event) -> None:
    async with contextlib.AsyncExitStack() as doors:
        if settings.doors.socket:  # first, since it notices another daemon
            await doors.enter_async_context(_opened(_socket_door(session, settings.doors.socket)))
        port = _http_port(settings, settings.doors.http) if settings.doors.http else None
        if port:
            await doors.enter_async_context(_opened(port))
        if settings.autostart:  # before the other doors: what they take to open, a restart would be silent longer
            await session.runtime.start()
        if port:
            await doors.enter_async_context(_opened(_http_door(session, port)))
        if settings.doors.dbus:
            await doors.enter_async_context(_opened(_dbus_door(session, settings.doors, settings.doors.dbus)))
        with _reloaded_by_signal(session):
            now = f"{len(session.graph.nodes)} nodes, {session.engine.sample_rate} Hz"
            log.info("ready: %s, blocks of %d", now, session.engine.block_frames)
            notify.ready(now)
            await told_to_stop.wait()
        log.info("stopping: files are being finished")
        notify.stopping("Finishing files")
        session.schedule.close()  # or those who wait for its transactions would keep the doors open


# ---- Doors -----------------------------------------------------------------------------------------------------------


class Door(Protocol):
    async def open(self) -> None: ...

    async def close(self) -> None: ...


@contextlib.asynccontextmanager
async def _opened(door: Door) -> AsyncIterator[Door]:
    await door.open()
    try:
        yield door
    finally:
        await door.close()


def _socket_door(session: Session, settings: SocketSettings) -> Door:
    return UnixSocketDoor(
        session,
        load_methods(),
        socket_path(settings),
        mode=file_mode(settings.mode),
        group=settings.group or None,
        listening=control_socket(),
    )


def _http_port(settings: Settings, http: HttpSettings) -> Port:
    """Raises a Refusal where it would let anybody in."""
    tokens = TokenFile(storage_folder(settings.storage or StorageSettings()), given_tokens(http.tokens, credential))
    return Port(http, tokens)


def _http_door(session: Session, port: Port) -> Door:
    from tonnetz.rpc.doors.http.door import HttpDoor  # takes 0.2 s to import

    return HttpDoor(session, load_methods(), port)


def _dbus_door(session: Session, doors: DoorSettings, settings: DbusSettings) -> Door:
    from tonnetz.rpc.doors.dbus.door import DbusDoor  # who does without D-Bus does without dbus-next

    group = settings.group or (doors.socket.group if doors.socket else "")
    return DbusDoor(session, load_methods(), settings.bus, group=group or None)


# ---- Signals and the service manager ---------------------------------------------------------------------------------


def _told_to_stop() -> asyncio.Event:
    """Set when the process is told to stop. From the first moment on: files are begun before the daemon is ready."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    return told


@contextlib.contextmanager
def _watched(session: Session) -> Iterator[None]:
    period_s = notify.watchdog_s()
    watchdog = None if period_s is None else Watchdog(session, period_s)
    try:
        yield
    finally:
        if watchdog is not None:
            watchdog.close()


@contextlib.contextmanager
def _reloaded_by_signal(session: Session) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def begin() -> None:
        task = loop.create_task(_reload(session))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


async def _reload(session: Session) -> None:
    assert session.configuration is not None
    try:
        await session.configuration.reload(OURSELVES)
    except Refusal as refusal:
        log.error("the configuration is not taken over: %s", refusal.message)


if __name__ == "__main__":
    main()
