"""rpc/doors/json_rpc.py: the specification's rules, and those that it leaves open."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.events import Hub
from tonnetz.daemon.session import Session
from tonnetz.rpc.doors.json_rpc import JsonRpc, Limits, deeper_than, encoded_event
from tonnetz.rpc.method_table import Call, MethodTable

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
def ask(methods: MethodTable, session: Any) -> Ask:
    """Answers a message (bytes, or data to be encoded), decoded; None for silence."""

    async def answer(message: Any, limits: Limits = Limits(), role: Any = "admin") -> Any:
        call = Call(cast("Session", session), Caller("uid:7", role, "test"))
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        given = await JsonRpc(methods, limits).answer(data, call)
        return None if given is None else json.loads(given)

    return answer


def request(method: str, params: Any = ..., id: Any = 1) -> dict[str, Any]:
    named = {"jsonrpc": "2.0", "method": method, "id": id}
    return named if params is ... else named | {"params": params}


# ---- Results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, True, 0, -1.5, 2**70, "ä\u2028\0", [], [1, [2]], {"a": {"b": None}}])
async def test_results_come_back_as_they_are(ask: Ask, value: Any) -> None:
    assert await ask(request("test.echo", [value])) == {"jsonrpc": "2.0", "result": value, "id": 1}
    assert await ask(request("test.echo", {"value": value})) == {"jsonrpc": "2.0", "result": value, "id": 1}


@pytest.mark.parametrize("id", [0, 7, -1, 1.5, "", "x", None, 2**70])
async def test_ids_come_back_as_they_are(ask: Ask, id: Any) -> None:
    assert (await ask(request("test.echo", id=id)))["id"] == id


async def test_params_null_is_no_params(ask: Ask) -> None:
    assert (await ask(request("test.echo", None)))["result"] is None


async def test_nan_is_never_sent(ask: Ask, methods: MethodTable) -> None:
    @methods.method("test.nan", role="viewer")
    async def nan(call: Call) -> list[Any]:
        """Give what JSON has no word for."""
        return [math.nan, math.inf, 1.0]

    assert (await ask(request("test.nan")))["result"] == [None, None, 1.0]


# ---- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"jsonrpc":"2.0","id":1,"method":"test.ec',
        b"not json",
        b"[1,]",
        b'{"a":1}{"b":2}',
        b"NaN",
        b'{"jsonrpc":"2.0","id":1,"method":"test.echo","params":[NaN]}',
        b'{"jsonrpc":"2.0","id":1,"method":"test.echo","params":[-Infinity]}',
        b'{"jsonrpc":"2.0","id":1,"method":"test.echo","params":[1e999]}',
        b'{"jsonrpc":"2.0","id":1,"method":"test.echo","params":["\\ud800"]}',
        b'{"jsonrpc":"2.0","id":1,"method":"test.echo","params":["\xff"]}',
        b"1" * 5000,
        b"\xef\xbb\xbf[]",
    ],
)
async def test_what_is_not_json_is_a_parse_error(ask: Ask, text: bytes) -> None:
    answer = await ask(text)
    assert answer["error"]["code"] == -32700 and answer["id"] is None
    assert answer["error"]["message"].startswith("Parse error: ")


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (1, "A request is an object"),
        ("x", "A request is an object"),
        (None, "A request is an object"),
        ([], "at least one entry"),
        ({}, 'needs "jsonrpc": "2.0"'),
        ({"jsonrpc": "1.0", "method": "test.echo", "id": 1}, 'needs "jsonrpc": "2.0"'),
        ({"jsonrpc": 2.0, "method": "test.echo", "id": 1}, 'needs "jsonrpc": "2.0"'),
        ({"jsonrpc": "2.0", "id": 1}, 'needs a "method"'),
        ({"jsonrpc": "2.0", "method": 1, "id": 1}, 'needs a "method"'),
        (request("test.echo", "x"), '"params" is an object'),
        (request("test.echo", 1), '"params" is an object'),
        (request("test.echo", id=True), 'An "id" is'),
        (request("test.echo", id=[1]), 'An "id" is'),
        (request("test.echo") | {"param": [1]}, "has no member 'param'. Did you mean 'params'?"),
    ],
)
async def test_what_is_no_request_is_told_why(ask: Ask, message: Any, complaint: str) -> None:
    answer = await ask(message)
    assert answer["error"]["code"] == -32600 and complaint in answer["error"]["message"]
    assert answer["error"]["data"]["name"] == "invalid_request"


async def test_a_request_that_is_no_request_keeps_its_id(ask: Ask) -> None:
    """The specification says null only where the id could not be found; a pipelining client needs it."""
    assert (await ask({"jsonrpc": "2.0", "id": 9}))["id"] == 9


async def test_an_unknown_method_is_told_what_there_is(ask: Ask) -> None:
    error = (await ask(request("test.ecko")))["error"]
    assert error == {
        "code": -32601,
        "message": "There is no method 'test.ecko'. Did you mean 'test.echo'?",
        "data": {"name": "method_not_found"},
    }


async def test_params_are_checked_all_at_once(ask: Ask) -> None:
    error = (await ask(request("test.gain", {"gain_db": "loud", "ramp": 1})))["error"]
    assert error["code"] == -32602 and error["data"]["name"] == "invalid_params"
    assert {problem["where"] for problem in error["data"]["problems"]} == {"gain_db", "ramp", "node"}


async def test_refusals_keep_their_code_name_and_data(ask: Ask) -> None:
    error = (await ask(request("test.refuse")))["error"]
    assert error == {"code": 1002, "message": "Somebody was quicker.", "data": {"name": "conflict", "revision": 7}}


async def test_a_role_too_small_is_forbidden(ask: Ask, session: Any) -> None:
    error = (await ask(request("test.note", [1]), role="viewer"))["error"]
    assert error["code"] == 1005 and error["data"] == {"name": "forbidden", "role": "operator"}
    assert session.done == []


@pytest.mark.parametrize("method", ["test.crash", "test.unspeakable"])
async def test_unforeseen_exceptions_are_logged_and_not_told(
    ask: Ask, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await ask(request(method))
    assert answer == {
        "jsonrpc": "2.0",
        "error": {"code": -32603, "message": "Internal error", "data": {"name": "internal_error"}},
        "id": 1,
    }
    assert method in caplog.text and caplog.records[0].exc_info


# ---- Notifications and batches ---------------------------------------------------------------------------------------


async def test_notifications_are_done_and_never_answered(ask: Ask, session: Any) -> None:
    for method, params in (("test.note", ["x"]), ("test.crash", []), ("test.nothing", []), ("test.note", {})):
        assert await ask({"jsonrpc": "2.0", "method": method, "params": params}) is None
    assert session.done == ["x"]


async def test_a_batch_is_answered_entry_by_entry_in_order(ask: Ask) -> None:
    answers = await ask([request("test.echo", ["a"], 1), 5, request("test.no", id=2), request("test.echo", ["b"], "3")])
    assert [answer.get("result") for answer in answers] == ["a", None, None, "b"]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32600, -32601, None]
    assert [answer["id"] for answer in answers] == [1, None, 2, "3"]


async def test_effects_of_a_batch_come_in_order(ask: Ask, session: Any) -> None:
    answers = await ask([request("test.note", [number], number) for number in range(50)])
    assert session.done == list(range(50))
    assert [answer["result"] for answer in answers] == list(range(1, 51))


async def test_a_batch_of_notifications_is_not_answered(ask: Ask) -> None:
    assert await ask([{"jsonrpc": "2.0", "method": "test.note", "params": [1]}] * 3) is None


# ---- Limits ----------------------------------------------------------------------------------------------------------


async def test_long_messages_are_refused(ask: Ask) -> None:
    message = json.dumps(request("test.echo", ["x" * 1000])).encode()
    assert "result" in await ask(message, Limits(message_bytes=len(message)))
    error = (await ask(message, Limits(message_bytes=len(message) - 1)))["error"]
    assert error["code"] == -32600 and error["data"]["problems"][0]["kind"] == "limit"


async def test_long_batches_are_refused_whole(ask: Ask, session: Any) -> None:
    batch = [request("test.note", [0])] * 4
    assert len(await ask(batch, Limits(batch_entries=4))) == 4
    error = (await ask([*batch, batch[0]], Limits(batch_entries=4)))["error"]
    assert "4 entries, not 5" in error["message"] and len(session.done) == 4


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("depth", [100, 10_000, 100_000])
async def test_deep_messages_are_refused(ask: Ask, opening: bytes, depth: int) -> None:
    closing = b"".join({b"[": b"]", b"{": b"}"}[bytes([c])] for c in reversed(opening) if bytes([c]) in b"[{")
    text = b'{"jsonrpc":"2.0","id":1,"method":"test.echo","params":[%b1%b]}' % (opening * depth, closing * depth)
    error = (await ask(text))["error"]
    assert error["code"] == -32600 and "nested too deeply; 64 levels" in error["message"]


async def test_wide_messages_are_not_deep(ask: Ask) -> None:
    value: Any = [[] for _ in range(1000)]
    assert (await ask(request("test.echo", [value])))["result"] == value


@pytest.mark.parametrize(
    ("value", "levels"), [(1, 0), ([], 1), ([1, 2], 1), ([[]], 2), ({"a": {}}, 2), ([1, {"a": [1, {}]}, []], 4)]
)
def test_depth_is_counted_in_levels(value: Any, levels: int) -> None:
    assert not deeper_than(value, levels)
    assert levels == 0 or deeper_than(value, levels - 1)


async def test_a_batch_may_not_ask_for_more_than_fits(ask: Ask, session: Any) -> None:
    big = request("test.echo", ["x" * 1000])
    answers = await ask([big, big, request("test.note", [1], 3), big], Limits(answer_bytes=1500))
    assert ["result" in answer for answer in answers] == [True, True, False, False]
    assert [answer["id"] for answer in answers] == [1, 1, 3, 1] and session.done == []


# ---- Events ----------------------------------------------------------------------------------------------------------


def test_an_event_is_a_notification() -> None:
    event = Hub().publish("node_removed", {"node_id": "eq", "author": "uid:7"})
    assert json.loads(encoded_event(event)) == {
        "jsonrpc": "2.0",
        "method": "node_removed",
        "params": {"seq": 1, "node_id": "eq", "author": "uid:7"},
    }
    assert encoded_event(event) is encoded_event(event)
