"""An example request for every method: what the shell line in its declaration sends, caught on its way out."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Never

from tonnetz.rpc.doors.command_line.program import program
from tonnetz.rpc.doors.command_line.terminal import Terminal
from tonnetz.rpc.method_table import Method

EDITS = """\
- add_node: {id: echo, type: delay, config: {time_ms: 350, mix: 0.35}}
- disconnect: {id: "compressor.out:mix.in_1"}
- connect: {source: compressor.out, target: echo.in}
- connect: {source: echo.out, target: mix.in_1}
"""
DOCUMENT = """\
nodes:
- {id: hum, type: tone, config: {frequency: 50}}
- {id: end, type: null_output}
connections:
- {source: hum.out, target: end.in}
"""
# What the files that the shell lines name are taken to hold, by the parameter they are read for.
FILES: Mapping[str, str] = {"edits": EDITS, "text": DOCUMENT}
# Of methods that are no command by themselves and need parameters, or are better shown with some.
PARAMS: Mapping[str, Mapping[str, Any]] = {
    "events.subscribe": {"names": ["transaction_applied", "node_state_changed"]},
    "presence.set": {"nick": "Ann", "selection": ["eq"], "editing": {"node_id": "eq", "param": "bands"}},
    "graph.clone": {"nodes": ["eq"], "wiring": "inputs"},
    "templates.save": {"name": "voice", "nodes": ["eq", "compressor"], "help": "What every microphone gets"},
    "templates.delete": {"name": "channel"},
    "graph.connect": {"source": "drone.out", "target": "mix.in_1"},
    "graph.disconnect": {"source": "drone.out", "target": "mix.in_2"},
    "debug.buffer": {"id": "eq.out", "seconds": 0.01},
    "nodes.set_state": {
        "id": "mix",
        "state": {"version": 1, "type": "mixer", "fields": {}},
    },
    "runtime.meters": {"nodes": ["mix"]},
}


class Sent(Exception):
    """The request that a command would have sent."""


class Eavesdropper(Terminal):
    """Sends nothing."""

    def call(self, method: str, /, **params: Any) -> Never:
        raise Sent(method, params)


def request(method: Method) -> dict[str, Any]:
    """A JSON-RPC request that calls the method."""
    params = dict(PARAMS.get(method.name, {}))
    if method.shell is not None:
        name, params = typed(method)
        assert name == method.name, f"the example of {method.name} calls {name}"
    envelope = {"jsonrpc": "2.0", "id": 1, "method": method.name}
    return envelope | ({"params": params} if params else {})


def typed(method: Method) -> tuple[str, dict[str, Any]]:
    """The method and the params that its shell line sends."""
    assert method.shell is not None
    words = shlex.split(method.shell.example.partition(" > ")[0])[1:]
    files = [name for name, way in method.shell.arguments if way == "file"]
    with tempfile.TemporaryDirectory() as folder, working_in(folder):
        for word in words:
            if files and word.endswith(".yaml"):
                Path(word).write_text(FILES[files[0]])
        try:
            program.main(words, "tonnetz", standalone_mode=False, obj=Eavesdropper())
        except Sent as sent:
            name, params = sent.args
            return name, {key: short(value) for key, value in params.items()}
    raise AssertionError(f"'{method.shell.example}' calls nothing")


def short(value: Any) -> Any:
    """50.0, as an option is read, as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@contextlib.contextmanager
def working_in(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
