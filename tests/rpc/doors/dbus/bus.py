"""A message bus of a test's own, and clients on it: one in Python, and the tools that people use."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dbus_next import Message, MessageType, Variant
from dbus_next.aio import MessageBus

from tonnetz.rpc.doors.dbus.connection import _Bus

NAME = "org.tonnetz.Tonnetz1"
ROOT = "/org/tonnetz/Tonnetz1"

# Open to all, as a session bus is to its user; a policy of the test's own comes after it.
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>@KIND@</type>
  <listen>unix:path=@PATH@</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow eavesdrop="false"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_message_size">134217728</limit>
  <limit name="max_replies_per_connection">50000</limit>
  <limit name="max_match_rules_per_connection">50000</limit>
  @MORE@
</busconfig>
"""


class Bus:
    """A `dbus-daemon` that listens in a folder. `more` is added to its configuration."""

    def __init__(self, folder: Path, more: str = "", kind: str = "session") -> None:
        folder.chmod(0o755)  # for clients that are somebody else
        self.path = folder / "bus"
        self.address = f"unix:path={self.path}"
        self._configuration = folder / "bus.conf"
        text = CONFIGURATION.replace("@KIND@", kind).replace("@PATH@", str(self.path)).replace("@MORE@", more)
        self._configuration.write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["dbus-daemon", f"--config-file={self._configuration}", "--nofork", "--nopidfile"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, "dbus-daemon did not start"
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.path.unlink(missing_ok=True)

    def run(self, *command: str, user: int | None = None, group: int | None = None) -> subprocess.CompletedProcess[str]:
        """A tool of D-Bus, with this bus as session and system bus, as somebody else if asked for."""
        environment = os.environ | {"DBUS_SESSION_BUS_ADDRESS": self.address, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )

    def busctl(self, *words: str, **whom: int) -> subprocess.CompletedProcess[str]:
        return self.run("busctl", f"--address={self.address}", "--json=short", *words, **whom)


def plain(shown: Any) -> Any:
    """What `busctl --json` prints as plain data: each variant is {"type", "data"}."""
    if isinstance(shown, dict):
        if shown.keys() == {"type", "data"}:
            return plain(shown["data"])
        return {key: plain(value) for key, value in shown.items()}
    return [plain(item) for item in shown] if isinstance(shown, list) else shown


def answer(outcome: subprocess.CompletedProcess[str]) -> Any:
    """The only result of a call that `busctl` made."""
    assert outcome.returncode == 0, outcome.stderr
    return plain(json.loads(outcome.stdout))[0]


class Failed(Exception):
    """An error reply: its D-Bus name and its text."""

    def __init__(self, name: str, body: list[Any]) -> None:
        super().__init__(f"{name}: {body[0]}")
        self.name = name
        assert len(body) == 1, "GLib takes no other"


class BusClient:
    """A client in Python, which hears signals too."""

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.signals: asyncio.Queue[Message] = asyncio.Queue()

        def hear(message: Message) -> bool:
            if message.message_type is MessageType.SIGNAL and message.sender != "org.freedesktop.DBus":
                self.signals.put_nowait(message)
            return False

        bus.add_message_handler(hear)

    async def call(self, member: str, kinds: str = "", *body: Any, path: str = ROOT) -> Any:
        """Call `Noun.Member` or, where it has more dots, a whole name. The only result, without variants."""
        interface, _, name = member.rpartition(".")
        message = Message(
            destination=NAME,
            path=path,
            interface=interface if "." in interface else f"{NAME}.{interface}",
            member=name,
            signature=kinds,
            body=list(body),
        )
        reply = await asyncio.wait_for(self.bus.call(message), 60)
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise Failed(reply.error_name, reply.body)
        return unwrapped(reply.body[0]) if reply.body else None

    async def listen(self, rule: str = f"type='signal',sender='{NAME}'") -> None:
        message = Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member="AddMatch",
            signature="s",
            body=[rule],
        )
        await self.bus.call(message)

    async def hear(self, member: str) -> Message:
        """The next signal of a name."""
        while True:
            message = await asyncio.wait_for(self.signals.get(), 30)
            if message.member == member:
                return message


def unwrapped(value: Any) -> Any:
    if isinstance(value, Variant):
        return unwrapped(value.value)
    if isinstance(value, dict):
        return {key: unwrapped(inner) for key, inner in value.items()}
    return [unwrapped(inner) for inner in value] if isinstance(value, list) else value


@asynccontextmanager
async def client_of(bus: Bus) -> AsyncIterator[BusClient]:
    """On our own socket: dbus-next's would break when many calls are made at once."""
    connected = _Bus(bus.address)
    await connected.reach()
    try:
        yield BusClient(connected)
    finally:
        connected.hang_up()
