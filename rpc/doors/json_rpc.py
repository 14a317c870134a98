"""JSON-RPC 2.0: bytes in, bytes out, for whichever door carries them.

jsonrpcserver dispatches; what the specification or good manners want beyond it is done around it: a batch is taken
entry by entry, so that one bad entry is one error and effects come in the order asked for; the parser takes no NaN, no
number beyond a double and no lone surrogate; size, depth and batch length are bounded; and an unexpected exception is
logged here and is only an "Internal error" outside.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from tonnetz.daemon.events import Event
from tonnetz.daemon.graph.wording import shortened
from tonnetz.daemon.problems import ERROR_KINDS, Problem, Refusal, refuse, suggestion

from ..method_table import Call, Method

with warnings.catch_warnings():  # it reads its schema in a way that Python 3.11 calls deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    from jsonrpcserver import JsonRpcError, Result, Success
    from jsonrpcserver.async_main import dispatch_to_serializable

log = logging.getLogger(__name__)

MEMBERS = ("jsonrpc", "method", "params", "id")
Entry = Callable[..., Awaitable[Result]]


class Limits(NamedTuple):
    """What one message may ask for. A graph of 10,000 nodes is 1.6 MB of JSON, eight levels deep."""

    message_bytes: int = 8 << 20
    batch_entries: int = 1000
    depth: int = 64
    answer_bytes: int = 64 << 20  # of a whole batch


class JsonRpc:
    """Answers JSON-RPC messages from a method table."""

    def __init__(self, methods: Mapping[str, Method], limits: Limits = Limits()) -> None:
        self.limits = limits
        self._entries = _Entries({name: _entry(method) for name, method in methods.items()})

    async def answer(self, message: bytes, call: Call) -> bytes | None:
        """The answer to one message, a request or a batch; None when there is nothing to say (notifications)."""
        try:
            document = parse(message, self.limits)
            if not isinstance(document, list):
                return await self._answer_one(document, call)
            return await self._answer_batch(document, call)
        except Refusal as refusal:
            return encoded_error(None, refusal)

    async def _answer_batch(self, entries: list[Any], call: Call) -> bytes | None:
        if not entries:
            raise Refusal("invalid_request", "A batch needs at least one entry.")
        if len(entries) > self.limits.batch_entries:
            raise _limit(f"A batch may have {self.limits.batch_entries} entries, not {len(entries)}.")
        answers, size = [], 0
        for entry in entries:
            if size > self.limits.answer_bytes:
                message = f"The answers before this one fill {self.limits.answer_bytes} bytes; ask in smaller batches."
                answer: bytes | None = encoded_error(_id_of(entry), _limit(message))
            else:
                answer = await self._answer_one(entry, call)
            if answer is not None:
                answers.append(answer)
                size += len(answer)
        return b"[%b]" % b",".join(answers) if answers else None

    async def _answer_one(self, request: Any, call: Call) -> bytes | None:
        try:
            check_request(request)
        except Refusal as refusal:
            return encoded_error(_id_of(request), refusal)
        if request.get("params", ...) is None:  # some clients write null where they have none
            del request["params"]
        answer = await dispatch_to_serializable(
            request, self._entries, context=call, deserializer=_as_it_is, validator=_as_it_is
        )
        if answer is None:
            return None
        try:
            return msgspec.json.encode(answer)  # writes NaN as null: JSON has no word for it
        except Exception:
            log.exception("the result of %s cannot be written as JSON", request["method"])
            return encoded_error(request["id"], internal_error())


class _Entries(dict[str, Entry]):
    """The methods as jsonrpcserver calls them; an unknown one becomes an error that says what there is."""

    def __missing__(self, name: str) -> Entry:
        async def unknown(_call: Call, /, *_args: Any, **_kwargs: Any) -> Result:
            message = f"There is no method '{shortened(name)}'.{suggestion(shortened(name), self)}"
            raise JsonRpcError(ERROR_KINDS["method_not_found"].code, message, {"name": "method_not_found"})

        return unknown


def _entry(method: Method) -> Entry:
    async def entry(call: Call, /, *args: Any, **kwargs: Any) -> Result:
        try:
            return Success(await method.run(call, args or kwargs))
        except Refusal as refusal:
            raise JsonRpcError(refusal.code, refusal.message, refusal.data) from None
        except Exception:
            log.exception("%s failed, called by %s", method.name, call.caller.name)
            hidden = internal_error()
            raise JsonRpcError(hidden.code, hidden.message, hidden.data) from None

    return entry


def parse(message: bytes, limits: Limits) -> Any:
    """The JSON of a message, within its limits; a Refusal says what is wrong with it."""
    if len(message) > limits.message_bytes:
        raise _limit(f"A message may have {limits.message_bytes} bytes, not {len(message)}.")
    try:
        document = msgspec.json.decode(message)
    except RecursionError:
        raise _limit(f"The message is nested too deeply; {limits.depth} levels are allowed.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal("parse_error", f"Parse error: {error}.") from None
    if message.count(b"[") + message.count(b"{") > limits.depth and deeper_than(document, limits.depth):
        raise _limit(f"The message is nested too deeply; {limits.depth} levels are allowed.")
    return document


def check_request(request: Any) -> None:
    """Refuse what is no JSON-RPC 2.0 request, saying why."""

    def wrong(message: str) -> Refusal:
        return Refusal("invalid_request", message)

    if not isinstance(request, dict):
        raise wrong('A request is an object such as {"jsonrpc": "2.0", "id": 1, "method": "graph.get"}.')
    for member in request:
        if member not in MEMBERS:
            word = shortened(member)
            raise wrong(f"A request has no member '{word}'.{suggestion(word, MEMBERS)}")
    if request.get("jsonrpc") != "2.0":
        raise wrong('A request needs "jsonrpc": "2.0".')
    if not isinstance(request.get("method"), str):
        raise wrong('A request needs a "method", which is a string.')
    if not isinstance(request.get("params"), dict | list | None):
        raise wrong('"params" is an object (by name) or a list (by position).')
    if "id" in request and not _is_id(request["id"]):
        raise wrong('An "id" is a string, a number or null.')


def encoded_error(id: Any, refusal: Refusal) -> bytes:
    """The JSON-RPC error object for a refusal."""
    error = {"code": refusal.code, "message": refusal.message, "data": refusal.data}
    return msgspec.json.encode({"jsonrpc": "2.0", "error": error, "id": id})


@lru_cache(maxsize=256)
def encoded_event(event: Event) -> bytes:
    """An event as a notification; encoded once, whoever gets it."""
    params = {"seq": event.seq, **event.params}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": event.name, "params": params})


def internal_error() -> Refusal:
    """What the outside hears of an exception nobody foresaw; the log has the rest."""
    return Refusal("internal_error", "Internal error")


def deeper_than(document: Any, depth: int) -> bool:
    """Whether objects and lists are nested in more levels than `depth`."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _limit(message: str) -> Refusal:
    return refuse("invalid_request", [Problem("limit", message)])


def _is_id(id: Any) -> bool:
    return id is None or (isinstance(id, str | int | float) and not isinstance(id, bool))


def _id_of(request: Any) -> Any:
    """The id to answer under; null where there is none to be found."""
    id = request.get("id") if isinstance(request, dict) else None
    return id if _is_id(id) else None


def _as_it_is(request: Any) -> Any:
    return request
