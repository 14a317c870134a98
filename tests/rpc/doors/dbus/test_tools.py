"""What administrators and desktops have on a bus: busctl, gdbus, dbus-send, and GLib's own client of an object manager."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tonnetz.daemon.session import Session
from tonnetz.rpc.doors.dbus.door import DbusDoor

from .bus import NAME, ROOT, Bus, answer

GRAPH, NODE = f"{NAME}.Graph", f"{NAME}.Node"
EQ = f"{ROOT}/nodes/eq"
# GDBusObjectManagerClient hears only what comes from the manager's own path, as GLib's documentation has it.
GLIB_CLIENT = f"""
import sys
from gi.repository import Gio, GLib
loop = GLib.MainLoop()
def tell(*words):
    print(*words, flush=True)
manager = Gio.DBusObjectManagerClient.new_for_bus_sync(
    Gio.BusType.SESSION, Gio.DBusObjectManagerClientFlags.NONE, "{NAME}", "{ROOT}", None, None, None)
manager.connect("object-added", lambda _, found: tell("added", found.get_object_path()))
def removed(_, found):
    tell("removed", found.get_object_path())
    loop.quit()
manager.connect("object-removed", removed)
manager.connect("interface-proxy-properties-changed",
    lambda _, found, proxy, changed, __: tell("changed", found.get_object_path(), changed.unpack()))
tell("there", *sorted(one.get_object_path() for one in manager.get_objects()))
GLib.timeout_add_seconds(30, loop.quit)
loop.run()
"""


@pytest.fixture
def typed(bus: Bus, door: DbusDoor) -> Callable[..., asyncio.Future[subprocess.CompletedProcess[str]]]:
    """Types a command; the daemon of the test answers meanwhile."""

    def type_it(*words: str) -> asyncio.Future[subprocess.CompletedProcess[str]]:
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        if words[0] == "busctl":
            return asyncio.ensure_future(asyncio.to_thread(bus.busctl, *words[1:]))
        return asyncio.ensure_future(asyncio.to_thread(bus.run, *words))

    return type_it


async def test_busctl(typed: Callable[..., asyncio.Future[subprocess.CompletedProcess[str]]], playing: Session) -> None:
    receipt = answer(await typed("busctl", "call", NAME, ROOT, GRAPH, "AddNode", "sa{sv}", "gain", "1", "id", "s", "g"))
    assert receipt["ids"] == ["g"]
    move = ("call", NAME, ROOT, GRAPH, "MoveNode", "sdd", "--", "g", "-1", "2")
    assert answer(await typed("busctl", *move))["revision"] == 3
    refused = await typed("busctl", "call", NAME, ROOT, GRAPH, "RemoveNode", "s", "nobody")
    assert refused.returncode == 1 and "There is no node 'nobody'" in refused.stderr
    assert (await typed("busctl", "set-property", NAME, EQ, NODE, "Label", "s", "Warm")).returncode == 0
    shown = await typed("busctl", "get-property", NAME, EQ, NODE, "Label", "Type")
    assert [json.loads(line)["data"] for line in shown.stdout.splitlines()] == ["Warm", "equalizer"]
    tree = (await typed("busctl", "tree", NAME, "--list")).stdout.split()
    assert f"{ROOT}/nodes/g" in tree and EQ in tree
    for path in (ROOT, f"{ROOT}/nodes", EQ, "/"):
        introspected = await typed("busctl", "introspect", NAME, path)
        assert introspected.returncode == 0 and "Introspect" in introspected.stdout, introspected.stderr
    assert playing.graph.nodes["eq"].label == "Warm"


async def test_gdbus(typed: Callable[..., asyncio.Future[subprocess.CompletedProcess[str]]]) -> None:
    """It asks for the signature by introspection, and makes its words fit."""
    to = ("gdbus", "call", "--session", "--dest", NAME, "--object-path")
    got = await typed(
        *to, ROOT, "--method", f"{GRAPH}.AddNode", "gain", "{'id': <'g'>, 'position': <{'x': <1.5>, 'y': <2.0>}>}"
    )
    assert got.returncode == 0 and "'ids': <['g']>" in got.stdout, got.stderr
    refused = await typed(*to, ROOT, "--method", f"{NAME}.Nodes.Schema", "gian")
    assert refused.returncode == 1 and "org.tonnetz.Error.NotFound: There is no node type 'gian'" in refused.stderr
    introspected = await typed("gdbus", "introspect", "--session", "--dest", NAME, "--object-path", ROOT, "--recurse")
    assert introspected.returncode == 0 and "interface org.tonnetz.Tonnetz1.Node" in introspected.stdout
    assert 'GDBus.DocString("Add a node.' in introspected.stdout


async def test_dbus_send(
    typed: Callable[..., asyncio.Future[subprocess.CompletedProcess[str]]], playing: Session
) -> None:
    """It has no words for variants in dictionaries, so options are left out."""
    to = ("dbus-send", "--session", "--print-reply", f"--dest={NAME}")
    sent = await typed(*to, ROOT, f"{GRAPH}.MoveNode", "string:eq", "double:-1.5", "int32:2")
    assert sent.returncode == 0 and 'string "revision"' in sent.stdout, sent.stderr
    position = playing.graph.nodes["eq"].position
    assert position is not None and (position.x, position.y) == (-1.5, 2)
    setting = await typed(
        *to, EQ, "org.freedesktop.DBus.Properties.Set", f"string:{NODE}", "string:Bypass", "variant:boolean:true"
    )
    assert setting.returncode == 0 and playing.graph.nodes["eq"].bypass
    refused = await typed(*to, ROOT, f"{GRAPH}.RemoveNode", "string:nobody")
    assert refused.returncode == 1 and "Error org.tonnetz.Error.NotFound: id: There is no node" in refused.stderr


async def test_glibs_object_manager_keeps_up(
    bus: Bus, door: DbusDoor, typed: Callable[..., asyncio.Future[subprocess.CompletedProcess[str]]]
) -> None:
    python = "/usr/bin/python3"
    if (await typed(python, "-c", "from gi.repository import Gio")).returncode:
        pytest.skip("python3-gi is not installed")
    listening = await asyncio.create_subprocess_exec(
        python, "-c", GLIB_CLIENT, env={"DBUS_SESSION_BUS_ADDRESS": bus.address}, stdout=asyncio.subprocess.PIPE
    )
    assert listening.stdout is not None

    async def heard() -> str:
        assert listening.stdout is not None
        return (await asyncio.wait_for(listening.stdout.readline(), 30)).decode().strip()

    assert await heard() == f"there {ROOT}/nodes/drain {EQ} {ROOT}/nodes/hum"
    await typed("busctl", "call", NAME, ROOT, GRAPH, "AddNode", "sa{sv}", "gain", "1", "id", "s", "g")
    assert await heard() == f"added {ROOT}/nodes/g"
    await typed("busctl", "set-property", NAME, f"{ROOT}/nodes/g", NODE, "Label", "s", "Warm")
    assert await heard() == f"changed {ROOT}/nodes/g {{'Label': 'Warm'}}"
    await typed("busctl", "call", NAME, ROOT, GRAPH, "RemoveNode", "s", "g")
    assert await heard() == f"removed {ROOT}/nodes/g"
    await listening.wait()
