"""Documents, edits and texts that nobody would write: each is accepted or refused in clear words; the daemon goes on."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.problems import ERROR_KINDS
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, StorageSettings
from tonnetz.daemon.startup import begin
from tonnetz.rpc.doors.json_rpc import JsonRpc
from tonnetz.rpc.method_table import Call, load_methods

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "name": "studio",
    "nodes": [
        {"id": "hum", "type": "tone", "config": {"frequency": 50}, "label": "Mains", "position": {"x": 1, "y": 2}},
        {"id": "eq", "type": "equalizer", "config": {"bands": [{"frequency": 100}, {"gain_db": 3}]}},
        {"id": "map", "type": "channel_map", "config": {"matrix_db": [[0, None], [None, 0]]}},
        {"id": "mix", "type": "mixer", "config": {"inputs": [{}, {"pan": 0.5}]}, "bypass": True},
        {"id": "end", "type": "null_output"},
    ],
    "connections": [
        {"source": "hum.out", "target": "eq.in"},
        {"source": "eq.out", "target": "map.in"},
        {"source": "map.out", "target": "mix.in_1"},
        {"source": "mix.out", "target": "end.in"},
    ],
}
EDITS: list[Any] = [
    {"add_node": {"id": "new", "type": "gain", "config": {"gain_db": 1}, "position": {"x": 0, "y": 0}}},
    {"op": "connect", "source": "hum.out", "target": "new.in"},
    {"configure_node": {"id": "eq", "config": {"bands": {"1": {"q": 2}}}}},
    {"replace_node": {"id": "map", "type": "gain"}},
    {"move_node": {"id": "mix", "x": 3, "y": None}},
    {"remove_node": {"id": "mix", "strategy": "bridge"}},
    {"rename_graph": {"name": "other"}},
]
WORDS = [
    "",
    "id",
    "type",
    "config",
    "hum",
    "eq",
    "eq.in",
    "hum.out",
    "tone",
    "gain",
    "bands",
    "x",
    "secret",
    "op",
    "\0",
    "ä" * 70,
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        found += places(value, (*path, key))
    return found


@st.composite
def spoilt(draw: st.DrawFn, sound: Any) -> Any:
    """Something right, in which a few places hold something else, are gone, or are there twice."""
    box = [copy.deepcopy(sound)]
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(box)[1:]))
        holder: Any = box
        for step in path[:-1]:
            holder = holder[step]
        match draw(st.sampled_from(["other", "other", "gone", "renamed", "twice"])):
            case "gone" if len(path) > 1:
                del holder[path[-1]]
            case "renamed" if isinstance(holder, dict):
                holder[draw(st.sampled_from(WORDS) | st.text(max_size=5))] = holder.pop(path[-1])
            case "twice" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[path[-1]]))
            case _:
                holder[path[-1]] = draw(ANYTHING)
    return box[0]


class Daemon:
    """A session behind its JSON-RPC, on a loop that lives as long as the test."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.session = self.runner.run(self._made(folder))
        self.json_rpc = JsonRpc(load_methods())

    async def _made(self, folder: Path) -> Session:
        made = Session(clock="step")
        await begin(made, Settings(storage=StorageSettings(directory=str(folder)), graph=DOCUMENT))
        return made

    def ask(self, method: str, params: Any) -> dict[str, Any]:
        message = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        call = Call(self.session, Caller("fuzz", "admin", "test"))
        answer = self.runner.run(self.json_rpc.answer(message, call))
        assert answer is not None
        decoded: dict[str, Any] = msgspec.json.decode(answer)
        return decoded

    def check(self, method: str, params: Any) -> None:
        """Asked whatever it may be, it answers; and when it refuses, nothing has changed."""
        before = self.session.graph
        answer = self.ask(method, params)
        if "error" in answer:
            assert answer["error"]["data"]["name"] in set(ERROR_KINDS) - {"internal_error", "timeout"}, answer
            assert self.session.graph is before and 5 < len(answer["error"]["message"]) < 2000
        assert self.ask("system.version", {})["result"]["api"] == 1

    def end(self) -> None:
        self.runner.run(self.session.close())
        self.runner.close()


def test_no_document_and_no_edits_bring_it_down(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)

    @hypothesis.settings(max_examples=250)
    @given(spoilt(DOCUMENT) | ANYTHING)
    def documents(data: Any) -> None:
        daemon.check("graph.import", {"document": data})
        daemon.check("graph.validate", {"document": data})
        daemon.check("graph.diff", {"base": data})
        daemon.check("graph.import", {"document": DOCUMENT})

    @hypothesis.settings(max_examples=250)
    @given(spoilt(EDITS) | ANYTHING)
    def edits(data: Any) -> None:
        daemon.check("graph.apply", {"edits": data, "base_revision": 1})
        daemon.check("history.undo", {})
        daemon.check("graph.import", {"document": DOCUMENT})

    @hypothesis.settings(max_examples=150)
    @given(st.text(st.sampled_from("{}[]:,-&*!|>'\"#%@` \n\tabé\u2028\ud7ff0.1eE~<?"), max_size=60))
    def texts(text: str) -> None:
        daemon.check("graph.import", {"text": text})
        daemon.check("graph.import", {"document": DOCUMENT})

    try:
        for test in (documents, edits, texts):
            test()
        graph = daemon.session.graph
    finally:
        daemon.end()
    again = Daemon(tmp_path)
    try:
        assert again.session.graph == graph and again.session.keeping.status.notes == ()
    finally:
        again.end()
