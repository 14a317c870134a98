"""A blocking client for scripts, tests and the `tonnetz` command.

    with Client() as tonnetz:
        tonnetz.call("graph.connect", source="eq.out", target="mix.in_1")

No asyncio: a command that asks one question should not spend its time importing an event loop.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import msgspec

TIMEOUT_S = 30.0
CHUNK = 1 << 16
SYSTEM_SOCKET = "/run/tonnetz/control.sock"


class TonnetzError(Exception):
    """The base of what can go wrong here."""


class NotReached(TonnetzError):
    """No daemon answers: not running, not allowed, gone in between, or too slow. Nothing is known of the request."""


class Refused(TonnetzError):
    """The daemon answered with an error; nothing was changed. `problems` are what is wrong, one by one."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data: Mapping[str, Any] = data if isinstance(data, dict) else {}
        self.name: str = self.data.get("name", "")
        self.problems: Sequence[Mapping[str, Any]] = self.data.get("problems", [])


def default_path() -> str:
    """`TONNETZ_SOCKET`, else the system daemon's socket if it is there, else the user's own."""
    given = os.environ.get("TONNETZ_SOCKET")
    if given:
        return given
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    own_socket = os.path.join(runtime, "tonnetz", "control.sock")
    usual = [SYSTEM_SOCKET, own_socket]
    default = SYSTEM_SOCKET if os.getuid() == 0 else own_socket
    return next((path for path in usual if os.path.exists(path)), default)


class Client:
    """One connection to a daemon; requests are answered in order. `timeout_s` bounds each wait; None waits for ever."""

    def __init__(self, path: str | None = None, timeout_s: float | None = TIMEOUT_S) -> None:
        self.path = path or default_path()
        self.timeout_s = timeout_s
        self._last_id = 0
        self._buffer = bytearray()
        self._events: deque[dict[str, Any]] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(self.path)
        except OSError as error:
            self._socket.close()
            raise NotReached(f"no daemon at {self.path}: {_why(error)}") from None

    def call(self, method: str, /, **params: Any) -> Any:
        """The result of one method; `Refused` or `NotReached` where there is none."""
        outcome = self.batch([(method, params)])[0]
        if isinstance(outcome, TonnetzError):
            raise outcome
        return outcome

    def batch(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """Call several methods in one go, one after the other; each outcome is a result or a `TonnetzError`."""
        requests = []
        for method, params in calls:
            self._last_id += 1
            request = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
            requests.append(request | ({"params": params} if params else {}))
        self._send(msgspec.json.encode(requests if len(requests) > 1 else requests[0]))
        answer = self._answer()
        answers = {one.get("id"): one for one in (answer if isinstance(answer, list) else [answer])}
        return [_outcome(answers.get(request["id"]) or answers.get(None) or {}) for request in requests]

    def notify(self, method: str, /, **params: Any) -> None:
        """Call a method and hear nothing of it, not even errors."""
        self._send(msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params}))

    def events(self, names: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Subscribe now; the iterator gives events as they come: `{"method": name, "params": {"seq": …}}`.

        It ends with the daemon. Waiting for an event is not bounded by the timeout.
        """
        self.call("events.subscribe", names=names)
        return self._coming_events()

    def _coming_events(self) -> Iterator[dict[str, Any]]:
        while True:
            while self._events:
                yield self._events.popleft()
            message = self._receive(timeout_s=None)
            if message is None:
                return
            self._events.append(message)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, message: bytes) -> None:
        self._socket.settimeout(self.timeout_s)
        try:
            self._socket.sendall(message + b"\n")
        except TimeoutError:
            raise self._late() from None
        except OSError:
            pass  # the daemon may have refused it half-way and said why: that is still to be read

    def _answer(self) -> Any:
        end = None if self.timeout_s is None else time.monotonic() + self.timeout_s
        while True:
            message = self._receive(self.timeout_s)
            if message is None:
                raise NotReached(f"the daemon at {self.path} closed the connection")
            if isinstance(message, list) or "method" not in message:
                return message
            self._events.append(message)
            if end is not None and time.monotonic() > end:  # events keep coming, the answer does not
                raise self._late()

    def _receive(self, timeout_s: float | None) -> Any:
        """The next message; None when the daemon has hung up."""
        self._socket.settimeout(timeout_s)
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            try:
                chunk = self._socket.recv(CHUNK)
            except TimeoutError:
                raise self._late() from None
            except OSError:
                chunk = b""
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            return msgspec.json.decode(line)
        except msgspec.DecodeError:
            raise NotReached(f"what answers at {self.path} does not speak JSON-RPC; is it tonnetzd?") from None

    def _late(self) -> NotReached:
        return NotReached(f"the daemon at {self.path} did not answer within {self.timeout_s:g} s")


def _outcome(answer: Mapping[str, Any]) -> Any:
    if "error" in answer:
        error = answer["error"]
        return Refused(error["code"], error["message"], error.get("data"))
    if "result" not in answer:
        return NotReached("the daemon's answer is no JSON-RPC")
    return answer["result"]


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens on that socket any more"
    if isinstance(error, PermissionError):
        return "you may not open that socket"
    return error.strerror or str(error)
