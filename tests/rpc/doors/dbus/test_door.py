"""The D-Bus door: methods, nodes as objects, events as signals; and a bus that floods, hangs, restarts or is not there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from dbus_next import Message, MessageFlag, Variant

from tonnetz.daemon.event_names import EVENT_NAMES
from tonnetz.daemon.event_types import event_type
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.session import Session
from tonnetz.rpc.doors.dbus import connection
from tonnetz.rpc.doors.dbus import door as door_module
from tonnetz.rpc.doors.dbus.connection import MESSAGE_BYTES, VALUES
from tonnetz.rpc.doors.dbus.door import DbusDoor
from tonnetz.rpc.doors.dbus.interfaces import camel
from tonnetz.rpc.doors.dbus.service import CALLS_WAITING, MANY_NODES
from tonnetz.rpc.method_table import load_methods

from .bus import NAME, ROOT, Bus, BusClient, Failed, answer, client_of
from .conftest import ADMIN

PROPERTIES = "org.freedesktop.DBus.Properties"
NODES = f"{ROOT}/nodes"


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def get(client: BusClient, node: str, name: str) -> Any:
    return await client.call(f"{PROPERTIES}.Get", "ss", f"{NAME}.Node", name, path=f"{NODES}/{node}")


# ---- Methods ---------------------------------------------------------------------------------------------------------


async def test_required_parameters_go_by_position_and_the_rest_by_name(client: BusClient, playing: Session) -> None:
    receipt = await client.call(
        "Graph.AddNode", "sa{sv}", "gain", {"id": Variant("s", "g"), "config": Variant("s", '{"gain_db": -3}')}
    )
    assert receipt["ids"] == ["g"] and receipt["revision"] == playing.revision == 2
    assert playing.graph.nodes["g"].config["gain_db"] == -3
    await client.call("Graph.ConfigureNode", "ss", "g", '{"gain_db": -6}')  # without any options
    native = {"config": Variant("a{sv}", {"gain_db": Variant("i", -9)}), "id": Variant("s", "h")}
    await client.call("Graph.AddNode", "sa{sv}", "gain", native)
    assert [playing.graph.nodes[name].config["gain_db"] for name in ("g", "h")] == [-6, -9]
    await client.call("Graph.MoveNode", "sii", "g", 3, -4)  # any number will do where a number is wanted
    assert playing.graph.nodes["g"].position is not None and playing.graph.nodes["g"].position.y == -4


async def test_documents_are_json(client: BusClient) -> None:
    graph = json.loads(await client.call("Graph.Get"))
    assert [node["id"] for node in graph["nodes"]] == ["hum", "eq", "drain"]
    edits = [{"add_node": {"type": "gain", "id": "g"}}, {"connect": {"source": "hum.out", "target": "g.in"}}]
    receipt = await client.call("Graph.Apply", "sa{sv}", json.dumps(edits), {"label": Variant("s", "two")})
    assert receipt["ids"] == ["g", "hum.out:g.in"]
    checked = json.loads(await client.call("Graph.Validate", "a{sv}", {"text": Variant("s", "nodes: [{id: A}]")}))
    assert not checked["valid"] and checked["problems"]


REFUSED: list[tuple[str, str, list[Any], str, str]] = [
    ("Graph.RemoveNode", "s", ["nobody"], "NotFound", "no node 'nobody'"),
    ("Nodes.Schema", "s", ["gian"], "NotFound", "Did you mean 'gain'"),
    ("Graph.AddNode", "ss", ["gain", "g"], "InvalidParams", r"AddNode takes \(sa{sv}\), not \(ss\)"),
    ("Graph.AddNode", "", [], "InvalidParams", r"AddNode takes \(sa{sv}\), not \(\)"),
    ("Graph.AddNode", "sa{sv}", ["gain", {"labl": Variant("s", "x")}], "InvalidParams", "Did you mean 'label'"),
    ("Graph.AddNode", "sa{sv}", ["gain", {"type": Variant("s", "x")}], "InvalidParams", "given by position already"),
    ("Graph.ConfigureNode", "ss", ["eq", "{"], "InvalidParams", "config: This is not JSON"),
    ("Graph.MoveNode", "sdd", ["eq", float("nan"), 0.0], "InvalidParams", "x: nan is no number"),
    ("Graph.ConfigureNode", "ss", ["eq", '{"frequenzy": 1}'], "InvalidConfig", "config.frequenzy"),
    ("Runtime.Step", "a{sv}", [{"blocks": Variant("x", 0)}], "InvalidParams", "blocks"),
]


@pytest.mark.parametrize(("member", "kinds", "body", "name", "text"), REFUSED, ids=lambda value: str(value)[:30])
async def test_refusals_have_their_names(
    client: BusClient, playing: Session, member: str, kinds: str, body: list[Any], name: str, text: str
) -> None:
    with pytest.raises(Failed, match=text) as failed:
        await client.call(member, kinds, *body)
    assert failed.value.name == f"org.tonnetz.Error.{name}"
    assert playing.revision == 1


UNKNOWN: list[tuple[str, str, list[Any], str, str]] = [
    ("Graph.AddNod", "", [], ROOT, "UnknownMethod"),
    ("Graf.AddNode", "", [], ROOT, "UnknownInterface"),
    ("Graph.Get", "", [], f"{NODES}/nobody", "UnknownObject"),
    ("Graph.Get", "", [], f"{NODES}/eq", "UnknownInterface"),
    (f"{PROPERTIES}.Get", "ss", [f"{NAME}.Node", "Colour"], f"{NODES}/eq", "UnknownProperty"),
    (f"{PROPERTIES}.Get", "s", [f"{NAME}.Node"], f"{NODES}/eq", "InvalidArgs"),
    (f"{PROPERTIES}.GetAll", "s", [f"{NAME}.Nothing"], f"{NODES}/eq", "UnknownInterface"),
    (f"{PROPERTIES}.Set", "ssv", [f"{NAME}.Node", "State", Variant("s", "x")], f"{NODES}/eq", "PropertyReadOnly"),
    ("org.freedesktop.DBus.Introspectable.Introspect", "", [], "/somewhere", "UnknownObject"),
]


@pytest.mark.parametrize(("member", "kinds", "body", "path", "name"), UNKNOWN, ids=lambda value: str(value)[:30])
async def test_what_is_not_there_is_told_in_the_buss_own_words(
    client: BusClient, member: str, kinds: str, body: list[Any], path: str, name: str
) -> None:
    with pytest.raises(Failed) as failed:
        await client.call(member, kinds, *body, path=path)
    assert failed.value.name == f"org.freedesktop.DBus.Error.{name}"


async def test_all_problems_are_told(client: BusClient) -> None:
    edits = [{"add_node": {"type": "gian"}}, {"remove_node": {"id": "nobody"}}]
    with pytest.raises(Failed) as failed:
        await client.call("Graph.Apply", "s", json.dumps(edits))
    first, second = str(failed.value).splitlines()
    assert "edits[0].type: There is no node type 'gian'" in first and second.startswith("edits[1].id: There is no")


async def test_a_method_is_found_without_its_interface(client: BusClient) -> None:
    message = Message(destination=NAME, path=ROOT, member="Version")
    reply = await client.bus.call(message)
    assert reply is not None and reply.signature == "a{sv}"


async def test_peers_and_machines(client: BusClient) -> None:
    assert await client.call("org.freedesktop.DBus.Peer.Ping") is None
    (answer,) = await asyncio.gather(client.call("org.freedesktop.DBus.Peer.GetMachineId"), return_exceptions=True)
    assert len(answer) == 32 if isinstance(answer, str) else "This machine has no id" in str(answer)


async def test_who_wants_no_reply_gets_none(client: BusClient, playing: Session) -> None:
    quiet = Message(
        destination=NAME,
        path=ROOT,
        interface=f"{NAME}.Graph",
        member="RenameNode",
        signature="ss",
        body=["eq", "Warm"],
        flags=MessageFlag.NO_REPLY_EXPECTED,
    )
    await client.bus.send(quiet)
    await client.call("System.Version")
    assert playing.graph.nodes["eq"].label == "Warm"


async def test_calls_of_one_sender_are_answered_in_order(client: BusClient, playing: Session) -> None:
    calls = [client.call("Graph.RenameNode", "ss", "eq", str(number)) for number in range(100)]
    answers = [client.call("Graph.Export", "a{sv}", {}), *calls]  # the first waits for a thread
    receipts = (await asyncio.gather(*answers))[1:]
    assert [receipt["revision"] for receipt in receipts] == list(range(2, 102))
    assert playing.graph.nodes["eq"].label == "99"


async def test_subscribing_tells_where_events_begin(client: BusClient, playing: Session) -> None:
    began = await client.call("Events.Subscribe", "a{sv}", {})
    assert (began["seq"], began["revision"], began["replayed"]) == (playing.events.seq, 1, 0)
    assert await client.call("Events.Unsubscribe") is None


async def test_what_was_missed_is_sent_to_the_one_who_asks(client: BusClient, playing: Session, bus: Bus) -> None:
    await client.call("Graph.RenameNode", "ss", "eq", "Warm")
    since = {"since": Variant("x", playing.events.seq - 2)}
    async with client_of(bus) as other:
        await other.listen()
        began = await client.call("Events.Subscribe", "a{sv}", since)  # who asked has no match rule, and hears it yet
        assert began["replayed"] == 2
        assert (await client.hear("ParameterChanged")).body[:3] == ["eq", "label", '"Warm"']
        await client.hear("TransactionApplied")
        await other.call("System.Version")
        assert other.signals.empty()


async def test_who_leaves_the_bus_is_no_longer_there(client: BusClient, playing: Session, bus: Bus) -> None:
    async with client_of(bus) as other:
        cursor = Variant("a{sv}", {"x": Variant("d", 1.0), "y": Variant("d", 2.0)})
        person = await other.call("Presence.Set", "a{sv}", {"nick": Variant("s", "Ada"), "cursor": cursor})
        assert person["nick"] == "Ada" and person["cursor"] == {"x": 1.0, "y": 2.0}
        (told,) = await client.call("Presence.List")
        assert told["author"] == f"uid:{os.getuid()}" and told["origin"] == "dbus"
    await until(lambda: not playing.presence.people())


async def test_admins_by_their_user(client: BusClient) -> None:
    described = await client.call("System.Describe")
    assert (described["caller"], described["role"]) == (f"uid:{os.getuid()}", "admin")


# ---- Introspection ---------------------------------------------------------------------------------------------------


async def introspected(client: BusClient, path: str) -> ET.Element:
    return ET.fromstring(await client.call("org.freedesktop.DBus.Introspectable.Introspect", path=path))


async def test_introspection_is_complete_and_explains_everything(client: BusClient) -> None:
    root = await introspected(client, ROOT)
    methods = {
        (one.get("name"), member.get("name")): member for one in root.iter("interface") for member in one.iter("method")
    }
    for method in load_methods().values():
        shown = methods[f"{NAME}.{camel(method.noun)}", camel(method.verb)]
        notes = {note.get("name"): note.get("value") for note in shown.findall("annotation")}
        assert notes["org.gtk.GDBus.DocString"] == method.text and notes[f"{NAME}.Role"] == method.role
        arguments = [one for one in shown.findall("arg") if one.get("direction") == "in"]
        required = [parameter.name for parameter in method.parameters if parameter.required]
        optional = [parameter.name for parameter in method.parameters if not parameter.required]
        assert [one.get("name") for one in arguments] == required + ["options"] * bool(optional)
        for argument in arguments:
            (note,) = argument.findall("annotation")
            assert note.get("value")
        if optional:
            text = arguments[-1][0].get("value") or ""
            assert [line.partition(" (")[0] for line in text.splitlines()] == optional
    signals = {signal.get("name"): signal for signal in root.iter("signal")}
    for name in EVENT_NAMES:
        note = signals[camel(name)].find("annotation")
        assert note is not None and note.get("value") == event_type(name).__doc__


async def test_the_tree_leads_to_every_node(client: BusClient) -> None:
    path, found = "/", []
    while True:
        children = [str(child.get("name")) for child in (await introspected(client, path)).findall("node")]
        if len(children) != 1:
            break
        path = f"{path.rstrip('/')}/{children[0]}"
        found.append(path)
    assert found[-1] == NODES and children == ["hum", "eq", "drain"]
    node = await introspected(client, f"{NODES}/eq")
    shown = {one.get("name"): (one.get("type"), one.get("access")) for one in node.iter("property")}
    writable = {name for name, (_, access) in shown.items() if access == "readwrite"}
    assert {"Type": "s", "State": "s", "Config": "s", "Ports": "aa{sv}"}.items() <= {
        name: kind for name, (kind, _) in shown.items()
    }.items()
    assert writable == {"Type", "Label", "Config", "Position", "Bypass"}


# ---- Nodes -----------------------------------------------------------------------------------------------------------


async def test_a_node_is_an_object_whose_properties_can_be_set(client: BusClient, playing: Session) -> None:
    async def put(name: str, kind: str, value: Any) -> None:
        await client.call(f"{PROPERTIES}.Set", "ssv", f"{NAME}.Node", name, Variant(kind, value), path=f"{NODES}/eq")

    await put("Label", "s", "Warm")
    await put("Config", "s", '{"gain_db": -2}')
    await put("Bypass", "b", True)
    await put("Position", "a{sv}", {"x": Variant("d", 1.5), "y": Variant("i", 2)})
    everything = await client.call(f"{PROPERTIES}.GetAll", "s", f"{NAME}.Node", path=f"{NODES}/eq")
    assert (everything["Label"], everything["Bypass"], everything["State"]) == ("Warm", True, "bypassed")
    assert everything["Position"] == {"x": 1.5, "y": 2.0}
    assert json.loads(everything["Config"])["gain_db"] == -2
    await put("Type", "s", "gain")
    assert await get(client, "eq", "Type") == "gain" == playing.graph.nodes["eq"].type
    with pytest.raises(Failed, match=r"InvalidConfig.*gain_db"):
        await put("Config", "s", '{"gain_db": 1000}')
    with pytest.raises(Failed, match=r"InvalidParams.*position"):
        await put("Position", "s", "3")


async def test_nodes_that_come_change_and_go_are_told_by_the_object_manager(client: BusClient) -> None:
    await client.listen()
    await client.call("Graph.AddNode", "sa{sv}", "gain", {"id": Variant("s", "g"), "label": Variant("s", "G")})
    added = await client.hear("InterfacesAdded")
    assert (added.path, added.interface) == (ROOT, "org.freedesktop.DBus.ObjectManager")
    path, interfaces = added.body
    assert path == f"{NODES}/g" and interfaces[f"{NAME}.Node"]["Label"].value == "G"
    await client.call("Graph.RenameNode", "ss", "g", "H")
    changed = await client.hear("PropertiesChanged")
    assert changed.path == path and changed.body == [f"{NAME}.Node", {"Label": Variant("s", "H")}, []]
    await client.call("Graph.RemoveNode", "s", "g")
    removed = await client.hear("InterfacesRemoved")
    assert removed.path == ROOT and removed.body == [path, [f"{NAME}.Node"]]
    objects = await client.call("org.freedesktop.DBus.ObjectManager.GetManagedObjects")
    assert sorted(objects) == [f"{NODES}/{name}" for name in ("drain", "eq", "hum")]


async def test_a_large_graph_is_listed_whole(bus: Bus, door: DbusDoor, playing: Session) -> None:
    """Its answer is marshalled beside the loop."""
    edits = [{"add_node": {"type": "gain", "id": f"g{number}"}} for number in range(2 * MANY_NODES)]
    await playing.apply(edits_from_plain(edits), caller=ADMIN)
    words = ("call", NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    objects = answer(await asyncio.to_thread(bus.busctl, *words))
    assert {path.removeprefix(f"{NODES}/") for path in objects} == set(playing.graph.nodes)


# ---- Events ----------------------------------------------------------------------------------------------------------


async def test_events_are_signals_with_typed_arguments(client: BusClient, playing: Session) -> None:
    await client.listen(f"type='signal',interface='{NAME}.Events'")
    await client.call("Graph.ConfigureNode", "ss", "hum", '{"frequency": 60}')
    changed, applied = await client.hear("ParameterChanged"), await client.hear("TransactionApplied")
    assert changed.path == ROOT and changed.signature == "sssa{sv}"
    *own, details = changed.body
    assert own == ["hum", "frequency", "60.0"]
    assert {name: value.value for name, value in details.items()} == {
        "seq": playing.events.seq - 1,
        "revision": 2,
        "author": f"uid:{os.getuid()}",
        "origin": "dbus",
    }
    assert applied.signature == "xsa{sv}" and applied.body[0] % 256 == 0
    await client.call("Graph.MoveNode", "sdd", "hum", 1.0, 2.0)
    assert (await client.hear("NodeMoved")).body[:3] == ["hum", 1.0, 2.0]
    await client.call("Graph.Connect", "ss", "hum.out", "drain.in")
    assert (await client.hear("ConnectionAdded")).body[0]["source"] == "hum.out"


def monitor_of(bus: Bus, log: Path) -> subprocess.Popen[bytes]:
    command = ["dbus-monitor", "--address", bus.address, f"type='signal',interface='{NAME}.Events',member='Log'"]
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)


async def test_a_burst_of_20_000_signals_arrives_whole_and_holds_up_nobody(
    bus: Bus, client: BusClient, playing: Session, folder: Path
) -> None:
    """They are read by dbus-monitor, which is told to stop meanwhile, so that the bus has to queue them."""
    log = folder / "monitor.log"
    monitor = monitor_of(bus, log)
    try:
        # Once it listens, a signal that it has heard tells so.
        deadline = time.monotonic() + 30
        while b"member=Log" not in log.read_bytes():
            assert time.monotonic() < deadline
            playing.events.publish("log", {"level": "info", "message": "are you there", "frame": -1})
            await asyncio.sleep(0.05)
        monitor.send_signal(signal.SIGSTOP)
        for number in range(20_000):
            playing.events.publish("log", {"level": "info", "message": "burst", "frame": number})
        worst_s, asked = 0.0, 0
        while "burst" not in (log.read_text() if asked % 50 == 0 else "") and asked < 200:
            begin = time.monotonic()
            await client.call("System.Version")
            worst_s, asked = max(worst_s, time.monotonic() - begin), asked + 1
        monitor.send_signal(signal.SIGCONT)
        assert worst_s < 2.0, "calls are answered while the burst goes out"
        while f"int64 {20_000 - 1}\n".encode() not in log.read_bytes():
            assert time.monotonic() < deadline + 60
            await asyncio.sleep(0.1)
    finally:
        monitor.kill()
        monitor.wait()
    lines = log.read_text().splitlines()
    frames = [int(line.split()[1]) for line in lines if line.startswith("   int64 ")]
    assert [frame for frame in frames if frame >= 0] == list(range(20_000))


async def test_what_a_stopped_bus_makes_us_lose_is_told(
    bus: Bus, client: BusClient, playing: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus that stands still keeps nobody: events beyond the limit are dropped, and objects told anew."""
    await client.listen()
    subscription = next(iter(playing.events._subscriptions))
    monkeypatch.setattr(subscription, "limit", 100)
    assert bus.process is not None
    bus.process.send_signal(signal.SIGSTOP)
    try:
        for number in range(30):
            playing.events.publish("log", {"level": "info", "message": "x" * 100_000, "frame": number})
        await asyncio.sleep(0.2)  # what the kernel takes is on its way, the rest waits
        await playing.apply(edits_from_plain([{"add_node": {"type": "gain", "id": "late"}}]), caller=ADMIN)
        for number in range(500):
            playing.events.publish("log", {"level": "info", "message": "flood", "frame": number})
    finally:
        bus.process.send_signal(signal.SIGCONT)
    dropped = 0
    while not dropped:
        dropped = (await client.hear("Log")).body[-1].get("dropped", Variant("x", 0)).value
    assert dropped > 300
    assert (await client.hear("InterfacesAdded")).body[0] == f"{NODES}/late"


# ---- Hard times ------------------------------------------------------------------------------------------------------


async def test_the_door_is_back_when_the_bus_is(bus: Bus, playing: Session, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bus.stop()
    door = DbusDoor(playing, load_methods(), bus.address)
    await door.open()
    assert "Trying again until it works" in caplog.text
    for _ in range(2):
        bus.start()
        caplog.clear()
        await until(lambda: "bus as org.tonnetz.Tonnetz1" in caplog.text)
        async with client_of(bus) as client:
            await client.call("Graph.RenameNode", "ss", "eq", "again")
        bus.stop()
        await until(lambda: "it is gone" in caplog.text)
    assert caplog.text.count("WARNING") == 1, "one line each time, however often it is tried"
    await door.close()


async def test_a_bus_that_does_not_answer_keeps_nobody_waiting(
    folder: Path, playing: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.3)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "silent"))
        silent.listen()
        door = DbusDoor(playing, load_methods(), f"unix:path={folder}/silent")
        await door.open()
        assert "no answer within 0.3 s" in caplog.text
        await door.close()


async def test_an_address_that_is_none_is_told(playing: Session, caplog: pytest.LogCaptureFixture) -> None:
    door = DbusDoor(playing, load_methods(), "tcp:host=localhost")
    await door.open()
    await door.close()
    assert "an address is unix:path=" in caplog.text


async def test_a_name_that_is_taken_is_told(
    bus: Bus, door: DbusDoor, playing: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "RETRY_S", (0.05, 0.05))
    second = DbusDoor(playing, load_methods(), bus.address)
    await second.open()
    assert f"another process has the name {NAME}" in caplog.text
    caplog.set_level("INFO")
    await door.close()
    await until(lambda: f"bus as {NAME}" in caplog.text)
    await second.close()


async def test_too_much_in_one_message_is_refused_and_the_next_is_answered(client: BusClient) -> None:
    many = {str(number): Variant("x", number) for number in range(VALUES // 2)}
    for kinds, body in (("sa{sv}", ["gain", many]), ("s", ["x" * MESSAGE_BYTES])):
        with pytest.raises(Failed, match="A message may have") as failed:
            await client.call("Graph.AddNode", kinds, *body)
        assert failed.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert (await client.call("System.Version"))["api"] == 1


async def test_a_sender_may_have_only_so_many_calls_waiting(
    client: BusClient, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [client.call("System.Version") for _ in range(3 * CALLS_WAITING)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, Failed)]
    assert all(one.name.endswith("LimitsExceeded") for one in refused)
    assert len([one for one in answers if isinstance(one, dict)]) == len(answers) - len(refused) >= CALLS_WAITING
    async with client_of(bus) as other:
        assert (await other.call("System.Version"))["api"] == 1


async def test_closing_answers_what_is_under_way(bus: Bus, playing: Session) -> None:
    door = DbusDoor(playing, load_methods(), bus.address)
    await door.open()
    async with client_of(bus) as client:
        waiting = asyncio.ensure_future(client.call("Graph.Export", "a{sv}", {}))
        await asyncio.sleep(0.05)
        await door.close()
        assert "nodes:" in await waiting
        with pytest.raises(Failed, match="ServiceUnknown"):
            await client.call("System.Version")
