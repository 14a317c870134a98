"""`/api/ws/graph`: requests are answered in order, events come by themselves, and many editors end at the same graph."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest_asyncio

from .conftest import Web, stuck_reader

PATIENCE_S = 60.0


class Editor:
    """A client of the WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self._id = 0

    async def call(self, method: str, **params: Any) -> Any:
        """The result, or the error as a dictionary with a code; events on the way are kept."""
        self._id += 1
        await self.socket.send_str(json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}))
        while True:
            message = await self.hear()
            if message.get("id") == self._id:
                return message.get("result", message.get("error"))
            self.events.append(message)

    async def hear(self) -> Any:
        return json.loads(await self.socket.receive_str(timeout=PATIENCE_S))

    async def hear_until(self, seq: int) -> None:
        while not self.events or self.events[-1]["params"]["seq"] < seq:
            self.events.append(await self.hear())


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def editor(http: aiohttp.ClientSession, web: Web, query: str = "") -> Editor:
    return Editor(await http.ws_connect(f"{web.base}/api/ws/graph{query}", max_msg_size=0))


async def test_requests_are_answered_and_events_come_by_themselves(web: Web, http: aiohttp.ClientSession) -> None:
    one, other = await editor(http, web), await editor(http, web)
    await other.call("system.version")
    receipt = await one.call("graph.add_node", type="gain", id="extra")
    added, applied = await other.hear(), await other.hear()
    assert (added["method"], applied["method"]) == ("node_added", "transaction_applied")
    assert added["params"]["node"]["id"] == "extra" and added["params"]["origin"] == "http"
    assert applied["params"]["revision"] == receipt["revision"]
    await one.call("graph.remove_node", id="extra")


async def test_the_choice_of_events(web: Web, http: aiohttp.ClientSession) -> None:
    quiet, choosy = await editor(http, web, "?events=off"), await editor(http, web)
    await choosy.call("events.subscribe", names=["node_removed"])
    await quiet.call("graph.add_node", type="gain", id="extra")
    await quiet.call("graph.remove_node", id="extra")
    assert quiet.events == [] and (await choosy.hear())["method"] == "node_removed"
    await choosy.call("events.unsubscribe")
    await quiet.call("graph.move_node", id="hum", x=1, y=2)
    await choosy.call("system.version")
    assert choosy.events == []


async def test_who_comes_back_is_told_what_was_missed(web: Web, http: aiohttp.ClientSession) -> None:
    first = await editor(http, web)
    about = await first.call("events.subscribe")
    await first.socket.close()
    with web.daemon.client() as client:
        client.call("graph.move_node", id="hum", x=5, y=6)
    second = await editor(http, web, "?events=off")
    again = await second.call("events.subscribe", since=about["seq"], run=about["run"])
    assert again["replayed"] == 2 and not again["snapshot_needed"]
    heard = second.events + [await second.hear() for _ in range(2 - len(second.events))]
    assert [event["method"] for event in heard] == ["node_moved", "transaction_applied"]
    assert [event["params"]["seq"] for event in heard] == [about["seq"] + 1, about["seq"] + 2]
    lost = await second.call("events.subscribe", since=about["seq"], run="another run")
    assert lost["snapshot_needed"]


async def test_who_chooses_is_sent_as_much_as_was_promised(web: Web, http: aiohttp.ClientSession) -> None:
    """More happened meanwhile than a client's queue takes; what this one chose of it is little, and comes."""
    client = await editor(http, web, "?events=off")
    since = (await client.call("events.subscribe", names=["node_added"]))["seq"]
    await client.call("events.unsubscribe")
    await client.call("graph.add_node", type="gain", id="extra")
    for number in range(510):
        await client.call("graph.move_node", id="hum", x=number, y=1)
    await client.call("graph.remove_node", id="extra", strategy="immediate")
    again = await client.call("events.subscribe", names=["node_added"], since=since)
    assert (again["replayed"], again["snapshot_needed"]) == (1, False)
    assert (await client.hear())["params"]["node"]["id"] == "extra"


async def test_presence_ends_with_the_connection(web: Web, http: aiohttp.ClientSession) -> None:
    stays, goes = await editor(http, web), await editor(http, web)
    await goes.call("presence.set", nick="Ann")
    assert [person["nick"] for person in await stays.call("presence.list")] == ["Ann"]
    await goes.socket.close()
    while (await stays.hear())["method"] != "presence_changed":
        pass
    assert await stays.call("presence.list") == []


async def test_what_is_no_request(web: Web, http: aiohttp.ClientSession) -> None:
    client = await editor(http, web, "?events=off")
    for sent, code in (("{", -32700), ("[]", -32600), ('{"jsonrpc":"2.0","id":1,"method":"no.such"}', -32601)):
        await client.socket.send_str(sent)
        assert (await client.hear())["error"]["code"] == code
    await client.socket.send_bytes(b"{}")
    assert "text frames" in (await client.hear())["error"]["message"]
    assert (await client.call("system.version"))["api"] == 1
    with contextlib.suppress(ConnectionError):  # it may hang up before all is sent
        await client.socket.send_str(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x" * (9 << 20)}))
    message = await client.socket.receive(timeout=PATIENCE_S)
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    if message.type is aiohttp.WSMsgType.CLOSE:
        assert message.data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_plain_request_is_told_to_upgrade(web: Web) -> None:
    for path in ("graph", "monitoring", "listen/hum/out"):
        refused = web.curl("GET", f"/api/ws/{path}")
        assert refused.status == 426 and "ws://" in refused.json["error"]["message"], path


async def test_twenty_editors_end_at_the_same_graph(web: Web, http: aiohttp.ClientSession) -> None:
    """All edit at once, each with a graph of its own that it keeps by the events alone. Nobody misses one, and all of the
    graphs are the daemon's at the same revision."""
    clients = [await editor(http, web, "?events=off") for _ in range(20)]
    starts = [await client.call("graph.get") for client in clients]
    begins = [await client.call("events.subscribe") for client in clients]
    assert len({start["revision"] for start in starts} | {begin["revision"] for begin in begins}) == 1

    async def work(number: int, client: Editor) -> None:
        chance = random.Random(number)
        for turn in range(12):
            mine = f"n{number}_{turn}"
            await client.call("graph.add_node", type="gain", id=mine, fade_ms=0)
            await client.call("graph.connect", source="hum.out", target=f"{mine}.in", fade_ms=0)
            await client.call(
                "graph.configure_node", id="hum", config={"frequency": chance.randint(20, 2000)}, fade_ms=0
            )
            await client.call("graph.configure_node", id=mine, config={"gain_db": chance.randint(-60, 20)})
            if turn % 3:
                await client.call("graph.remove_node", id=mine, strategy="immediate")

    await asyncio.gather(*(work(number, client) for number, client in enumerate(clients)))
    final = await clients[0].call("graph.get")
    last = (await clients[0].call("events.subscribe", since=begins[0]["seq"]))["seq"]
    await asyncio.gather(*(client.hear_until(last) for client in clients[1:]))
    for client, start in zip(clients[1:], starts[1:], strict=True):
        seqs = [event["params"]["seq"] for event in client.events]
        assert seqs == list(range(begins[0]["seq"] + 1, last + 1)), "none is missing, none comes twice"
        assert replayed(start, client.events) == outline(final)
    assert final["revision"] == starts[0]["revision"] + 20 * 12 * 4 + 20 * 8
    with web.daemon.client() as client:
        for node in final["nodes"]:
            if node["id"].startswith("n"):
                client.call("graph.remove_node", id=node["id"])


async def test_stuck_readers_leave_the_rest_untouched(web: Web, http: aiohttp.ClientSession) -> None:
    """Ten never read what they are told of, several megabytes each. Who edits is answered, and who reads misses nothing."""
    stuck = [stuck_reader(web, "/api/ws/graph") for _ in range(10)]
    writer, reader = await editor(http, web, "?events=off"), await editor(http, web, "?events=off")
    begin = (await reader.call("events.subscribe"))["seq"]
    try:
        for turn in range(1000):
            bands = [{"type": "peaking", "frequency": 100 + turn, "gain_db": band % 12} for band in range(32)]
            assert "revision" in await writer.call("graph.configure_node", id="eq", config={"bands": bands}, fade_ms=0)
        last = (await writer.call("events.subscribe", names=[]))["seq"]
        await reader.hear_until(last)
        assert [event["params"]["seq"] for event in reader.events] == list(range(begin + 1, last + 1))
        assert sum(len(json.dumps(event)) for event in reader.events) > 3 << 20, "more than a system keeps for anybody"
        assert not any("dropped" in event["params"] for event in reader.events)
    finally:
        for connection in stuck:
            connection.close()
        await writer.call("graph.configure_node", id="eq", config={"bands": [{}]})


def outline(graph: Any) -> Any:
    nodes = {node["id"]: (node["type"], node["config"]) for node in graph["nodes"]}
    return graph["revision"], nodes, {connection["id"] for connection in graph["connections"]}


def replayed(start: Any, events: list[dict[str, Any]]) -> Any:
    """The graph that somebody has who was told of nothing but events."""
    revision, nodes, connections = outline(start)
    nodes = {name: (kind, dict(config)) for name, (kind, config) in nodes.items()}
    for event in events:
        params = event["params"]
        match event["method"]:
            case "node_added":
                nodes[params["node"]["id"]] = (params["node"]["type"], dict(params["node"]["config"]))
            case "node_removed":
                del nodes[params["node_id"]]
            case "connection_added":
                connections.add(params["connection"]["id"])
            case "connection_removed":
                connections.remove(params["connection_id"])
            case "parameter_changed":
                nodes[params["node_id"]][1][params["param"]] = params["value"]
            case "transaction_applied":
                assert params["revision"] == revision + 1
                revision = params["revision"]
    return revision, nodes, connections
