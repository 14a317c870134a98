"""Twenty people edit one graph at once, take back and do again, lose their connections and come back: in the end all of
them, the disk and the engine have the same graph, and the journal tells how it came about."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.events import Subscription
from tonnetz.daemon.graph.difference import travelled
from tonnetz.daemon.graph.document import plain_node
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.daemon.storage.journal import entries
from tonnetz.daemon.undoing import graph_of_revision, redo, revert, undo

from ..storage.desk import session
from .storm import Storm

PEOPLE = 20
ACTS = 40  # of each
DOCUMENT = {"nodes": [{"id": "kept", "type": "tone"}, {"id": "wild", "type": "mixer"}]}


class Replica:
    """What one client knows of the graph: fetched once, then kept up by events, and by what was missed after a break."""

    def __init__(self, made: Session) -> None:
        self.session = made
        self.fetch()

    def fetch(self) -> None:
        """As `graph.get` and `events.subscribe` in one go."""
        graph, catalogue = self.session.graph, self.session.catalogue
        self.revision = self.session.revision  # what is told of it later is known already
        self.name = graph.name
        self.nodes = {node.id: plain_node(node, catalogue) for node in graph.nodes.values()}
        self.wires = set(graph.connections)
        self.seq = self.session.events.seq
        self.listening: Subscription = self.session.events.subscribe()

    def break_off(self) -> None:
        self.listening.close()

    def come_back(self) -> None:
        missed = self.session.events.missed(self.seq)
        if missed is None:
            self.fetch()
        else:
            self.listening = self.session.events.subscribe(since=self.seq)

    async def catch_up(self) -> None:
        while len(self.listening):
            event = await anext(self.listening)
            assert event.seq == self.seq + 1, "an event is missing"
            self.seq = event.seq
            if event.params.get("revision", 0) > self.revision:
                self.hear(event.name, event.params)

    def hear(self, name: str, params: Any) -> None:
        match name:
            case "node_added":
                self.nodes[params["node"]["id"]] = params["node"]
            case "node_replaced":
                self.nodes[params["node_id"]] = params["node"]
            case "node_removed":
                del self.nodes[params["node_id"]]
            case "connection_added":
                self.wires.add(params["connection"]["id"])
            case "connection_removed":
                self.wires.remove(params["connection_id"])
            case "node_moved":
                node = {key: value for key, value in self.nodes[params["node_id"]].items() if key != "position"}
                place = {} if params["x"] is None else {"position": {"x": params["x"], "y": params["y"]}}
                self.nodes[params["node_id"]] = {**node, **place}
            case "graph_renamed":
                self.name = params["name"]
            case "parameter_changed":
                node, key = dict(self.nodes[params["node_id"]]), params["param"]
                if key in ("label", "bypass"):
                    node[key] = params["value"]
                else:
                    node["config"] = {**node["config"], key: params["value"]}
                self.nodes[params["node_id"]] = node


async def person(made: Session, number: int, chance: random.Random) -> Replica:
    """Acts at random; what the graph of the moment does not allow is refused, and that is all right."""
    caller = Caller(f"person {number}", "operator", "test")
    storm = Storm(SimpleNamespace(session=made), chance.randrange(1 << 30), {"kept"})  # type: ignore[arg-type]
    replica = Replica(made)
    for _ in range(ACTS):
        base = made.revision
        try:
            match chance.randrange(10):
                case 0 | 1 | 2:
                    await undo(made, caller, None, None)
                case 3:
                    await redo(made, caller, None)
                case 4:
                    replica.break_off()
                    await asyncio.sleep(0.001 * chance.randrange(10))
                    replica.come_back()
                case 5 if chance.random() < 0.1:
                    await revert(made, caller, chance.randrange(max(1, base - 30), base + 1), None, "")
                case _:
                    edits = storm.transaction()
                    await asyncio.sleep(0)  # thought out for a graph that others may have changed by now
                    await made.apply(edits, caller=caller, base_revision=base)
        except Refusal as refusal:
            if refusal.name not in ("not_found", "conflict", "invalid_graph", "invalid_config"):
                raise
        await replica.catch_up()
    return replica


def agrees(replica: Replica) -> None:
    graph, catalogue = replica.session.graph, replica.session.catalogue
    assert replica.name == graph.name and replica.wires == set(graph.connections)
    assert replica.nodes == {node.id: plain_node(node, catalogue) for node in graph.nodes.values()}


@pytest.mark.parametrize("seed", range(2))
async def test_everybody_comes_to_the_same_graph(seed: int, tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT) as made:
        onlooker = Replica(made)
        graphs = {made.revision: made.graph}
        real = made.history.add

        def noting(entry: Any) -> None:
            real(entry)
            graphs[entry.revision] = made.graph

        made.history.add = noting  # type: ignore[method-assign]
        replicas = await asyncio.gather(*(person(made, n, random.Random(1000 * seed + n)) for n in range(PEOPLE)))
        for replica in replicas:
            await replica.catch_up()
            agrees(replica)
        assert made.revision > PEOPLE * ACTS / 3
        onlooker.break_off()
        onlooker.come_back()
        await onlooker.catch_up()
        agrees(onlooker)
        assert set(made.stage.plan.base.nodes) == set(made.graph.nodes), "the engine plays something else"
        store = made.keeping.store
        assert store is not None
        told = await store.ask(lambda connection, forms: list(entries(connection, forms, "1 ORDER BY revision")))
        assert [entry.revision for entry in told] == list(range(1, made.revision + 1))
        graph = Graph()
        for entry in told:
            graph = travelled(graph, entry.changes)
            assert graph == graphs[entry.revision], f"the journal tells another story of revision {entry.revision}"
        for revision in range(1, made.revision, 17):
            assert await graph_of_revision(made, revision) == graphs[revision]
        final = made.graph
    async with session(tmp_path) as again:
        assert again.graph == final
