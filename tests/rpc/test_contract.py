"""Every method of a running daemon, handed what it can't take: a clear error, nothing changed, others unaffected."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import jsonschema
import msgspec
import pytest
from dbus_next import Variant

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.problems import ERROR_KINDS, Refusal
from tonnetz.daemon.session import Session
from tonnetz.rpc.client import Client, NotReached, Refused
from tonnetz.rpc.doors.dbus.interfaces import camel
from tonnetz.rpc.doors.dbus.values import _takes_text, is_json
from tonnetz.rpc.method_table import Call, Parameter, load_methods
from tonnetz.rpc.openrpc import openrpc_document

from .doors.dbus.bus import Bus, Failed, client_of

DOCUMENT = openrpc_document()
METHODS = load_methods()
PARAMETERS = [(method["name"], parameter) for method in DOCUMENT["methods"] for parameter in method["params"]]

# What an equalizer of five bands, each of up to four sections, remembers of silence: two numbers per section and channel.
SILENT = {"cell": "float32", "shape": [20, 4], "data": base64.b64encode(bytes(320)).decode()}
# Params that each method accepts, to be spoilt one by one.
ACCEPTED: dict[str, dict[str, Any]] = {
    "devices.list": {"direction": "playback"},
    "devices.probe": {"device": "hw:0", "direction": "capture"},
    "devices.mixer": {"device": "hw:0", "control": "Master"},
    "events.subscribe": {"names": ["log"], "since": 1, "run": "another"},
    "events.unsubscribe": {},
    "graph.get": {},
    "graph.apply": {"edits": [{"add_node": {"type": "gain"}}], "dry_run": True},
    "graph.validate": {"document": {"version": 1}},
    "graph.export": {"format": "json"},
    "graph.import": {"text": "version: 1\nname: studio\nnodes: [{id: hum, type: tone}]"},
    "graph.add_node": {"type": "gain", "id": "g", "config": {"gain_db": -3}, "dry_run": True},
    "graph.remove_node": {"id": "eq", "strategy": "bridge", "dry_run": True},
    "graph.connect": {"source": "hum.out", "target": "mix.in_2", "dry_run": True},
    "graph.disconnect": {"source": "hum.out", "target": "eq.in", "dry_run": True},
    "graph.configure_node": {"id": "hum", "config": {"frequency": 60}, "dry_run": True},
    "graph.replace_node": {"id": "eq", "type": "gain", "dry_run": True},
    "graph.rename_node": {"id": "hum", "label": "Hum", "dry_run": True},
    "graph.rename_graph": {"name": "Evening", "dry_run": True},
    "graph.move_node": {"id": "hum", "x": 1, "y": 2, "dry_run": True},
    "graph.bypass_node": {"id": "hum", "bypass": True, "dry_run": True},
    "debug.buffer": {"id": "eq.out", "seconds": 0.01},
    "debug.inject": {"node": "eq", "duration_s": 0.01},
    "debug.trace": {"node": "eq", "blocks": 1},
    "schedule.list": {},
    "schedule.cancel": {"id": 1},
    "graph.diff": {"base": 1},
    "history.list": {"limit": 3, "details": True},
    "history.undo": {},
    "history.redo": {},
    "history.revert": {"revision": 1},
    "snapshots.list": {},
    "snapshots.save": {"name": "evening", "replace": True},
    "snapshots.load": {"name": "evening", "dry_run": True},
    "snapshots.delete": {"name": "evening"},
    "presence.set": {
        "nick": "Ann",
        "cursor": {"x": 1, "y": 2},
        "selection": ["hum"],
        "editing": {"node_id": "hum", "param": "frequency"},
    },
    "presence.list": {},
    "graph.clone": {"nodes": ["eq"], "wiring": "inputs", "dry_run": True},
    "templates.list": {},
    "templates.save": {"name": "channel", "nodes": ["eq", "mix"], "help": "A strip", "replace": True},
    "templates.insert": {"name": "channel", "x": 10, "dry_run": True},
    "templates.delete": {"name": "channel"},
    "nodes.templates": {},
    "nodes.schema": {"type": "gain"},
    "nodes.test": {"type": "file_writer", "config": {"format": "flac"}},
    "nodes.get_state": {"id": "eq"},
    "nodes.set_state": {"id": "eq", "state": {"type": "equalizer", "fields": {"sections": SILENT}}, "dry_run": True},
    "rpc.discover": {},
    "runtime.status": {},
    "runtime.performance": {},
    "runtime.meters": {"nodes": ["hum"]},
    "runtime.start": {},
    "runtime.stop": {},
    "runtime.pause": {},
    "runtime.step": {"blocks": 1},
    "system.version": {},
    "system.reload": {},
    "system.describe": {},
    "system.health": {},
}
# What has to be done before, for there to be something to act on.
CHANGED = ("graph.rename_graph", {"name": "To be undone"})
SNAPSHOT = ("snapshots.save", {"name": "evening", "replace": True})
TEMPLATE = ("templates.save", {"name": "channel", "nodes": ["eq"], "replace": True})
BEFORE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "history.undo": [CHANGED],
    "history.redo": [CHANGED, ("history.undo", {})],
    "snapshots.load": [SNAPSHOT],
    "snapshots.delete": [SNAPSHOT],
    "templates.insert": [TEMPLATE],
    "templates.delete": [TEMPLATE],
}
BAD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    2**63,
    2**70,
    -(10**300),
    1e308,
    "",
    "x",
    "../../etc/passwd",
    "hum\n",
    "ä" * 300,
    "y" * 100_000,
    "\0",
    [],
    [None],
    [[]],
    ["x", 1],
    {},
    {"": None},
    {"op": "x"},
    [{"op": "add_node", "type": 5}],
    [{"connect": {"source": "a", "target": None}}],
]


@pytest.fixture
def client(daemon: Any) -> Iterator[Client]:
    with daemon.client() as connected:
        yield connected


def outcome(client: Client, method: str, params: Any) -> Any:
    """The result, or the Refused. Params as they are, by position too."""
    client._send(msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    answer = client._answer()
    if "error" in answer:
        return Refused(answer["error"]["code"], answer["error"]["message"], answer["error"]["data"])
    return answer["result"]


def state(client: Client) -> Any:
    """What no refused request may change."""
    return client.call("graph.get")


def assert_clear(refused: Refused) -> None:
    """A refusal says what is wrong, by a known name, in few words."""
    assert refused.name in ERROR_KINDS and refused.code == ERROR_KINDS[refused.name].code
    assert refused.code != -32603, "an internal error is a mistake of ours"
    assert 8 < len(refused.message) < 1000, refused.message
    assert "Traceback" not in refused.message and "msgspec" not in refused.message
    assert len(msgspec.json.encode(refused.data)) < 20_000


# ---- Params ----------------------------------------------------------------------------------------------------------


def test_every_method_is_tried() -> None:
    assert set(ACCEPTED) == set(METHODS)


@pytest.mark.parametrize("method", ACCEPTED)
def test_what_is_accepted_gives_what_was_promised(daemon: Any, client: Client, method: str) -> None:
    with prepared(daemon, client, method):
        result = outcome(client, method, ACCEPTED[method])
    assert not isinstance(result, Refused), result
    described = next(entry for entry in DOCUMENT["methods"] if entry["name"] == method)
    jsonschema.validate(result, {**described["result"]["schema"], "components": DOCUMENT["components"]})


@contextmanager
def prepared(daemon: Any, client: Client, method: str) -> Iterator[None]:
    """With what a method needs to be accepted; afterwards the graph is as it was."""
    graph = client.call("graph.export", format="json")
    for name, params in BEFORE.get(method, ()):
        client.call(name, **params)
    with daemon.client() as another:  # what waits for its time keeps its connection waiting
        if method == "schedule.cancel":
            waiting = len(client.call("schedule.list"))
            another.notify("graph.apply", edits=[{"rename_node": {"id": "hum", "label": "later"}}], at=10**7)
            while len(client.call("schedule.list")) == waiting:
                time.sleep(0.01)
        yield
    client.call("graph.import", text=graph)
    client.call("runtime.start")


@pytest.mark.parametrize(
    ("method", "parameter"), PARAMETERS, ids=lambda part: part if isinstance(part, str) else part["name"]
)
def test_bad_values_are_refused_by_name(client: Client, method: str, parameter: dict[str, Any]) -> None:
    """What the schema says is wrong is refused as that parameter's fault; what only the graph can tell, clearly."""
    before = state(client)
    graph = client.call("graph.export", format="json")
    schema = {**parameter["schema"], "components": DOCUMENT["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    refusals = 0
    for value in BAD:
        if method == "runtime.step" and isinstance(value, int) and value > 0:
            continue
        result = outcome(client, method, {**ACCEPTED[method], parameter["name"]: value})
        if not isinstance(result, Refused):
            assert validator.is_valid(value) or value == 2**63, f"{value!r} was accepted against the schema"
            if client.call("runtime.status")["revision"] != before["revision"]:
                client.call("graph.import", text=graph)
                before = state(client)
            continue
        refusals += 1
        assert_clear(result)
        if not validator.is_valid(value):
            assert result.code == -32602, (value, result.message)
            places = [problem.get("where", "") for problem in result.problems]
            assert any(place.startswith(parameter["name"]) for place in places), (value, places)
        after = state(client)
        assert {**after, "revision": 0} == {**before, "revision": 0}, f"{value!r} changed something"
    assert refusals > 3


@pytest.mark.parametrize("method", ACCEPTED)
def test_unknown_names_and_too_many_values_are_refused(client: Client, method: str) -> None:
    before = state(client)
    for name in ("no_such_parameter", "", "ä" * 5000, "__class__", "self", "call"):
        refused = outcome(client, method, {**ACCEPTED[method], name: 1})
        assert isinstance(refused, Refused) and refused.code == -32602, name
        assert "has no parameter" in refused.message
        assert_clear(refused)
    refused = outcome(client, method, [0] * 50)
    assert isinstance(refused, Refused) and "at most" in refused.message
    assert state(client) == before


@pytest.mark.parametrize(
    "method", [name for name, entry in METHODS.items() if any(p.required for p in entry.parameters)]
)
def test_missing_parameters_are_named(client: Client, method: str) -> None:
    refused = outcome(client, method, {})
    assert isinstance(refused, Refused)
    missing = [problem["where"] for problem in refused.problems if problem["kind"] == "missing_parameter"]
    assert missing == [parameter.name for parameter in METHODS[method].parameters if parameter.required]


FLOATS = [
    (m, p["name"])
    for m, p in PARAMETERS
    if '"number"' in json.dumps(p["schema"]) and p["name"] not in ("edits", "position")
]


@pytest.mark.parametrize(("method", "name"), FLOATS)
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_number_that_is_none(client: Client, method: str, name: str, literal: str) -> None:
    before = state(client)
    params = json.dumps({**ACCEPTED[method], name: "PLACE"}).replace('"PLACE"', literal)
    client._send(f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}'.encode())
    assert client._answer()["error"]["code"] == -32700
    assert state(client) == before


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.mutates])
async def test_who_only_looks_changes_nothing(method: str) -> None:
    """Without a session: the role is checked before anything is touched."""
    call = Call(cast("Session", None), Caller("uid:7", "viewer", "test"))
    with pytest.raises(Refusal, match=f"needs the role {METHODS[method].role}; uid:7 is viewer here") as refused:
        await METHODS[method].run(call, ACCEPTED[method])
    assert refused.value.name == "forbidden"


async def test_who_only_looks_sets_no_mixer() -> None:
    call = Call(cast("Session", None), Caller("uid:7", "viewer", "test"))
    for change in ({"volume": 3.0}, {"volume_db": -3.0}, {"mute": False}):
        with pytest.raises(Refusal, match="Setting a mixer needs the role operator; uid:7 is viewer here") as refused:
            await METHODS["devices.mixer"].run(call, {"device": "hw:0", "control": "Master", **change})
        assert refused.value.name == "forbidden"


def test_params_by_position(client: Client) -> None:
    assert outcome(client, "nodes.schema", ["gain"]) == outcome(client, "nodes.schema", {"type": "gain"})
    revision = outcome(client, "graph.connect", ["hum.out", "mix.in_2"])["revision"]
    assert outcome(client, "graph.disconnect", ["hum.out:mix.in_2"])["revision"] == revision + 1


# ---- On the bus ------------------------------------------------------------------------------------------------------


def on_bus(parameter: Parameter, value: Any) -> Variant | None:
    """A value as it is sent on the bus: where a text belongs as it is, as far as the bus has a type for it, else JSON."""
    if not _takes_text(parameter.type):
        return Variant("s", json.dumps(value))
    kind = {str: "s", bool: "b", int: "x", float: "d"}.get(type(value))
    fits = kind is not None and (kind != "x" or abs(value) < 2**63) and "\0" not in str(value)
    return Variant(kind, value) if fits else None


def bus_arguments(method: str, params: dict[str, Any]) -> tuple[str, list[Any]] | None:
    """What must be given by position, the rest as options; None where the bus has no way to say it."""
    entry = METHODS[method]
    sent = {one.name: on_bus(one, params[one.name]) for one in entry.parameters if one.name in params}
    if None in sent.values():
        return None
    given = [sent.pop(one.name) for one in entry.parameters if one.required]
    kinds = "".join(value.signature for value in given if value)
    body = [value.value for value in given if value]
    return (kinds, body) if all(one.required for one in entry.parameters) else (f"{kinds}a{{sv}}", [*body, sent])


@pytest.mark.parametrize("method", ACCEPTED)
async def test_the_bus_answers_what_the_socket_answers(
    client: Client, daemon: Any, bus_of_the_file: Bus, method: str
) -> None:
    """Of the shape that is promised; only what is null is left out there."""
    entry, accepted = METHODS[method], ACCEPTED[method]
    with prepared(daemon, client, method):
        if method == "schedule.cancel":
            accepted = {"id": client.call("schedule.list")[0]["id"]}
        kinds, body = bus_arguments(method, accepted) or ("", [])
        async with client_of(bus_of_the_file) as caller:
            result = await caller.call(f"{camel(entry.noun)}.{camel(entry.verb)}", kinds, *body)
    described = next(entry for entry in DOCUMENT["methods"] if entry["name"] == method)["result"]["schema"]
    if is_json(entry.result):
        result = json.loads(result)
    jsonschema.validate(result, without_nulls({**described, "components": DOCUMENT["components"]}))


def without_nulls(schema: Any) -> Any:
    """The schema of the same data when keys are left out that would be null."""
    if isinstance(schema, list):
        return [without_nulls(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: without_nulls(value) for key, value in schema.items()}
    if isinstance(required := found.get("required"), list):
        found["required"] = [name for name in required if "null" not in json.dumps(schema["properties"][name])]
    return found


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.parameters])
async def test_the_bus_refuses_what_the_socket_refuses(
    client: Client, daemon: Any, bus_of_the_file: Bus, method: str
) -> None:
    """Every parameter, every bad value: by the same name, and nothing changes."""
    before, entry, compared = state(client), METHODS[method], 0
    graph = client.call("graph.export", format="json")
    async with client_of(bus_of_the_file) as caller:
        for parameter in entry.parameters:
            for value in BAD:
                params = {**ACCEPTED[method], parameter.name: value}
                arguments = bus_arguments(method, params)
                there = outcome(client, method, params) if arguments else None
                if arguments is None or not isinstance(there, Refused):
                    client.call("graph.import", text=graph)  # what was no mistake may have changed it
                    continue
                compared += 1
                kinds, body = arguments
                with pytest.raises(Failed) as failed:
                    await caller.call(f"{camel(entry.noun)}.{camel(entry.verb)}", kinds, *body)
                assert failed.value.name == f"org.tonnetz.Error.{camel(there.name)}", (value, failed.value)
    assert compared > 3
    assert {**state(client), "revision": 0} == {**before, "revision": 0}


# ---- Transactions ----------------------------------------------------------------------------------------------------


def test_all_problems_of_a_transaction_are_told_and_nothing_is_applied(client: Client) -> None:
    before = state(client)
    edits = [
        {"add_node": {"id": "fine", "type": "gain"}},
        {"op": "add_node", "type": "gian"},
        {"connect": {"source": "hum.out", "target": "nobody.in"}},
        {"configure_node": {"id": "hum", "config": {"frequenzy": 1, "level_db": 99}}},
    ]
    with pytest.raises(Refused) as refused:
        client.call("graph.apply", edits=edits)
    places = [problem["where"] for problem in refused.value.problems]
    assert {place.partition(".")[0] for place in places} == {"edits[1]", "edits[2]", "edits[3]"}
    assert {"edits[3].config.frequenzy", "edits[3].config.level_db"} <= set(places)
    assert state(client) == before


def test_problems_of_a_single_edit_are_placed_in_its_params(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        client.call("graph.configure_node", id="hum", config={"frequenzy": 1})
    assert [problem["where"] for problem in refused.value.problems] == ["config.frequenzy"]
    assert refused.value.message.startswith("config.frequenzy: ")


@pytest.mark.parametrize("at", ["tomorrow", "2026-05-04T12:00:00"])
def test_what_is_no_time_is_told_in_words(client: Client, at: str) -> None:
    """Contract, transactions: `at` is a frame or a time in RFC 3339, and whoever writes another learns how it looks."""
    with pytest.raises(Refused) as refused:
        client.call("graph.apply", edits=[{"rename_node": {"id": "hum", "label": "Late"}}], at=at)
    (problem,) = refused.value.problems
    assert problem["where"] == "at"
    assert problem["message"].startswith(f"'{at}' is no time in RFC 3339, with its zone, such as 2026-05-04T12:00:00Z:")


def test_a_stale_base_is_a_conflict_when_asked_for(client: Client) -> None:
    revision = client.call("runtime.status")["revision"]
    client.call("graph.configure_node", id="hum", config={"frequency": 55}, base_revision=revision)
    client.call("graph.configure_node", id="hum", config={"frequency": 50}, base_revision=revision)
    with pytest.raises(Refused) as refused:
        client.call("graph.configure_node", id="hum", config={"frequency": 60}, base_revision=revision, strict=True)
    assert refused.value.name == "conflict" and len(refused.value.data["changes"]) == 2


def test_a_receipt_names_the_frame_and_events_say_who(client: Client, daemon: Any) -> None:
    with daemon.client() as listener:
        events = listener.events(["node_added", "transaction_applied", "node_removed"])
        receipt = client.call("graph.add_node", type="gain", id="extra")
        added, applied = next(events), next(events)
        assert receipt["ids"] == ["extra"] and receipt["frame"] % 256 == 0
        assert added["method"] == "node_added" and added["params"]["node"]["id"] == "extra"
        assert applied["params"]["revision"] == receipt["revision"] and applied["params"]["frame"] == receipt["frame"]
        assert added["params"]["author"].startswith("uid:") and added["params"]["origin"] == "socket"
        client.call("graph.remove_node", id="extra")
        assert next(events)["method"] == "node_removed"


def test_a_document_got_can_be_given_back(client: Client) -> None:
    got = client.call("graph.get")
    assert client.call("graph.validate", document=got) == {"valid": True, "problems": [], "warnings": []}
    text = client.call("graph.export")
    client.call("graph.import", text=text)
    client.call("graph.import", document=got)
    assert {**state(client), "revision": 0} == {**got, "revision": 0}


def test_validation_tells_and_changes_nothing(client: Client) -> None:
    before = state(client)
    for params in ({"text": "nodes: [{id: a, type: gian}]"}, {"document": {"nodes": [{"id": "a", "type": "gian"}]}}):
        answer = client.call("graph.validate", **params)
        assert not answer["valid"] and [problem["where"] for problem in answer["problems"]] == ["nodes[0].type"]
    answer = client.call("graph.validate", edits=[{"remove_node": {"id": "nobody"}}])
    assert not answer["valid"] and answer["problems"][0]["where"] == "edits[0].id"
    assert not client.call("graph.validate", text="a: [")["valid"]
    for params in ({}, {"text": "", "edits": [{}]}):
        with pytest.raises(Refused, match="Give one of"):
            client.call("graph.validate", **params)
    assert state(client) == before


# ---- Messages --------------------------------------------------------------------------------------------------------


def wire(daemon: Any) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(daemon.socket)
    return connection


DEEP = b'{"jsonrpc":"2.0","id":1,"method":"graph.apply","params":{"edits":' + b"[" * 10_000 + b"]" * 10_000 + b"}}\n"
LONG = b'{"jsonrpc":"2.0","id":1,"method":"graph.import","params":{"text":"' + b"x" * 10_000_000 + b'"}}\n'
HALF = b'{"jsonrpc":"2.0","id":1,"method":"graph.remove_node","params":{"id":"hu'


@pytest.mark.parametrize(
    ("message", "code"), [(DEEP, -32600), (LONG, -32600), (HALF, -32700)], ids=["deep", "long", "half"]
)
def test_monstrous_messages(daemon: Any, client: Client, message: bytes, code: int) -> None:
    before = state(client)
    with wire(daemon) as connection:
        connection.sendall(message)
        if message is HALF:
            connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile("rb").readline())
        assert answer["error"]["code"] == code and answer["id"] is None
    assert state(client) == before


def test_a_client_that_never_reads_disturbs_nobody(daemon: Any, client: Client) -> None:
    request = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n'
    with wire(daemon) as stuck:
        stuck.setblocking(False)
        sent = 0
        try:
            while sent < 50_000_000:  # the daemon stops reading long before
                sent += stuck.send(request * 1000)
        except BlockingIOError:
            pass
        worst = 0.0
        for _ in range(100):
            begin = time.monotonic()
            client.call("system.version")
            worst = max(worst, time.monotonic() - begin)
        assert sent < 5_000_000 and worst < 2.0, "the others wait for it"


def test_twenty_clients_at_once_are_all_served(daemon: Any) -> None:
    clients = [daemon.client() for _ in range(20)]
    for round_ in range(5):
        for number, one in enumerate(clients):
            one._send(
                msgspec.json.encode(
                    {
                        "jsonrpc": "2.0",
                        "id": round_,
                        "method": "graph.configure_node",
                        "params": {"id": "hum", "config": {"frequency": 100 + number}},
                    }
                )
            )
        revisions = sorted(one._answer()["result"]["revision"] for one in clients)
        assert revisions == list(range(revisions[0], revisions[0] + 20))
    for one in clients:
        one.close()


def test_a_daemon_told_to_stop_hangs_up_and_takes_its_socket_away(folder: Any) -> None:
    import os

    from .conftest import Daemon

    daemon = Daemon(folder)
    with daemon.client() as client:
        client.call("system.version")
        assert daemon.stop() == 0
        with pytest.raises(NotReached, match="closed the connection"):
            client.call("system.version")
    assert not os.path.exists(daemon.socket)


# ---- Several users ---------------------------------------------------------------------------------------------------


def test_coming_back_after_a_broken_connection(client: Client, daemon: Any) -> None:
    with daemon.client() as first:
        begun = first.call("events.subscribe")
    client.call("graph.rename_node", id="hum", label="While you were away")
    with daemon.client() as again:
        answer = again.call("events.subscribe", since=begun["seq"], run=begun["run"])
        assert answer["replayed"] >= 2 and not answer["snapshot_needed"]
        names = [next(again._coming_events())["method"] for _ in range(answer["replayed"])]
        assert names[-2:] == ["parameter_changed", "transaction_applied"]
        other = again.call("events.subscribe", since=begun["seq"], run="another")
        assert other["snapshot_needed"] and other["replayed"] == 0
        assert again.call("events.subscribe", since=2**50)["snapshot_needed"]


def test_presence_hints_and_goes_with_the_connection(client: Client, daemon: Any) -> None:
    with daemon.client() as listener, daemon.client() as ann:
        events = listener.events(["presence_changed"])
        ann.call("presence.set", nick="Ann", editing={"node_id": "hum", "param": "frequency"})
        assert next(events)["params"]["present"] is True
        assert [person["nick"] for person in client.call("presence.list")] == ["Ann"]
        receipt = client.call("graph.configure_node", id="hum", config={"frequency": 60}, dry_run=True)
        assert receipt["warnings"] == ["Ann has hum.frequency in hand."]
        ann.close()
        assert next(events)["params"]["present"] is False
        assert client.call("presence.list") == []


def test_the_last_writer_of_a_field_wins_and_places_in_lists_are_minded(client: Client) -> None:
    base = client.call("runtime.status")["revision"]
    client.call("graph.configure_node", id="eq", config={"bands": {"0": {"gain_db": 3, "q": 2}}})
    edit = {"id": "eq", "config": {"bands": {"0": {"gain_db": 6}}}}
    client.call("graph.configure_node", **edit, base_revision=base)
    bands = next(node for node in client.call("graph.get")["nodes"] if node["id"] == "eq")["config"]["bands"]
    assert (bands[0]["gain_db"], bands[0]["q"]) == (6, 2)
    client.call("graph.configure_node", id="eq", config={"bands": [{}, *bands]})
    with pytest.raises(Refused, match="other records by now") as refused:
        client.call("graph.configure_node", **edit, base_revision=base)
    assert refused.value.name == "conflict" and len(refused.value.data["changes"]) == 3
    assert refused.value.problems[0]["where"] == "config.bands"
    client.call("graph.configure_node", **edit)
