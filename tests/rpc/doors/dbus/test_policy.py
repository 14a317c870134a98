"""systemd/org.tonnetz.Tonnetz1.conf on a bus of the test's own, as root, as a member of the group, and as anybody else.

The daemon's own roles are behind it: what the policy lets through is still judged by who is calling.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tonnetz.daemon.session import Session
from tonnetz.rpc.doors.dbus.door import DbusDoor
from tonnetz.rpc.method_table import load_methods

from .bus import NAME, ROOT, Bus, answer

if os.getuid() != 0:
    pytest.skip("it takes root to be somebody else", allow_module_level=True)

NOBODY = pwd.getpwnam("nobody").pw_uid
AUDIO = grp.getgrnam("audio").gr_gid
OTHERS = next(entry.gr_gid for entry in grp.getgrall() if entry.gr_gid not in (0, AUDIO))
EQ = f"{ROOT}/nodes/eq"


@pytest.fixture
async def guarded(folder: Path, checkout: Path, playing: Session) -> AsyncIterator[Bus]:
    """A bus that trusts nobody but by the policy, as the system's does, with the door on it."""
    policy = (checkout / "systemd" / "org.tonnetz.Tonnetz1.conf").read_text()
    policy = policy.replace('<policy user="tonnetz">', '<policy user="root">')  # whom the test is run by
    (folder / "policy.conf").write_text(policy)
    bus = Bus(
        folder,
        '<policy context="default"><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>'
        '<allow send_requested_reply="true" send_type="method_return"/>'
        '<allow send_requested_reply="true" send_type="error"/>'
        '<allow send_destination="org.freedesktop.DBus"/></policy>'
        f"<include>{folder}/policy.conf</include>",
        kind="system",
    )
    bus.start()
    door = DbusDoor(playing, load_methods(), bus.address, group="audio")
    await door.open()
    yield bus
    await door.close()
    bus.stop()


async def test_anybody_may_look_and_only_look(guarded: Bus, playing: Session) -> None:
    async def do(*words: str) -> tuple[int, str]:
        outcome = await asyncio.to_thread(guarded.busctl, *words, user=NOBODY, group=OTHERS)
        return outcome.returncode, outcome.stderr

    assert (await do("introspect", NAME, ROOT))[0] == 0
    assert (await do("get-property", NAME, EQ, f"{NAME}.Node", "Config"))[0] == 0
    manager = ("call", NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    assert (await do(*manager))[0] == 0
    for words in (
        ("call", NAME, ROOT, f"{NAME}.Graph", "RemoveNode", "s", "eq"),
        ("call", NAME, ROOT, f"{NAME}.Graph", "Get"),
        ("set-property", NAME, EQ, f"{NAME}.Node", "Label", "s", "mine"),
    ):
        status, said = await do(*words)
        assert status == 1 and "Access denied" in said, words
    assert playing.revision == 1


async def test_members_of_the_group_are_operators(guarded: Bus, playing: Session) -> None:
    words = ("call", NAME, ROOT, f"{NAME}.System", "Describe")
    described = answer(await asyncio.to_thread(guarded.busctl, *words, user=NOBODY, group=AUDIO))
    assert (described["caller"], described["role"]) == (f"uid:{NOBODY}", "operator")
    words = ("set-property", NAME, EQ, f"{NAME}.Node", "Label", "s", "ours")
    assert (await asyncio.to_thread(guarded.busctl, *words, user=NOBODY, group=AUDIO)).returncode == 0
    assert playing.graph.nodes["eq"].label == "ours"
    words = ("call", NAME, ROOT, f"{NAME}.System", "Reload")
    refused = await asyncio.to_thread(guarded.busctl, *words, user=NOBODY, group=AUDIO)
    assert refused.returncode == 1 and "needs the role admin" in refused.stderr


async def test_nobody_else_can_pretend_to_be_tonnetz(guarded: Bus) -> None:
    request = ("call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "su", NAME, "4")
    refused = await asyncio.to_thread(guarded.busctl, *request, user=NOBODY, group=AUDIO)
    assert refused.returncode == 1 and "Access denied" in refused.stderr


async def test_the_daemon_judges_by_itself(folder: Path, playing: Session) -> None:
    """On a bus that lets everybody through."""
    bus = Bus(folder)
    bus.start()
    door = DbusDoor(playing, load_methods(), bus.address, group="audio")
    await door.open()
    words = ("call", NAME, ROOT, f"{NAME}.Graph", "RenameNode", "ss", "eq", "mine")
    refused = await asyncio.to_thread(bus.busctl, *words, user=NOBODY, group=OTHERS)
    assert refused.returncode == 1 and f"needs the role operator; uid:{NOBODY} is viewer here" in refused.stderr
    await door.close()
    bus.stop()
