"""How a session begins: with the graph that is stored, or with the configuration's where nothing is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from .caller import Caller
from .graph.document import VERSION, parse_document
from .graph.model import Graph
from .graph.rules import Limits
from .graph.spec import Catalogue
from .problems import Problem, Refusal
from .session import Session
from .settings import Settings, storage_folder
from .storage.restoring import Restored
from .storage.store import Store
from .storage.writer import Retention, Run
from .version import __version__

CONFIGURATION = Caller("configuration", "admin", "startup")


async def begin(session: Session, settings: Settings) -> None:
    """Gives the session its graph, and a store if the configuration wants one. Raises StorageUnusable, Refusal."""
    restored = Restored()
    if settings.storage:
        retention = Retention(settings.storage.history_transactions, settings.storage.history_mb << 20)
        folder = Path(storage_folder(settings.storage))
        store = Store(folder, settings.storage.durability, retention, session.catalogue)
        restored = await store.open(Run(__version__, session.engine.sample_rate, session.engine.block_frames))
        session.keeping.use(store)
        store.on_news = lambda level, message: publish(session, level, message)
    if restored.graph is None:
        await load_configured(session, settings)
    else:
        resume(session, restored, restored.graph)


async def load_configured(session: Session, settings: Settings) -> None:
    """The graph that the configuration names, if it does."""
    if settings.graph:
        await session.load(settings.graph, caller=CONFIGURATION, label="start")


def publish(session: Session, level: str, message: str) -> None:
    session.events.publish("log", {"level": level, "message": message, "frame": session.engine.frame})


def resume(session: Session, restored: Restored, stored: Graph) -> None:
    """Goes on where another run ended."""
    graph, notes = mended(stored, session.catalogue, session.limits)
    revision = restored.revision
    store = session.keeping.store
    if notes and store is not None:
        revision += 1
        for note in notes:
            store.note(note)
        store.begin_at(graph, revision)
    session.history.remember(restored.entries, restored.steps)
    session.resume(graph, revision)


# ---- A graph that another version has stored -------------------------------------------------------------------------


def mended(graph: Graph, catalogue: Catalogue, limits: Limits) -> tuple[Graph, list[str]]:
    """The graph as the node types of today allow it: what they do not know is left out, and named.

    Usually all is right, and only parameters that are new to a type are filled in.
    """
    notes: list[str] = []
    document: dict[str, Any] = {
        "version": VERSION,
        "name": graph.name,
        "nodes": [msgspec.to_builtins(node) for node in graph.nodes.values()],
        "connections": [{"source": wire.source, "target": wire.target} for wire in graph.connections.values()],
    }
    while True:
        try:
            return parse_document(document, catalogue, limits), notes
        except Refusal as refusal:
            left_out = [note for problem in refusal.problems for note in _left_out(document, problem)]
            if not left_out:
                return Graph(name=graph.name), [*notes, f"The stored graph can't be used: {refusal.message}"]
            notes += left_out
            _clear(document)


def _left_out(document: dict[str, Any], problem: Problem) -> list[str]:
    """Takes what the problem is about out of the document: a parameter, a node, a connection. None in its place."""
    found = re.match(r"(nodes|connections)\[(\d+)\](?:\.config\.(\w+))?", problem.where)
    if not found or (entry := document[found[1]][int(found[2])]) is None:
        return []
    if found[3] and entry["config"].pop(found[3], None) is not None:
        return [f"Of the stored node {entry['id']} the parameter {found[3]} was set to its default: {problem.message}"]
    document[found[1]][int(found[2])] = None
    name = entry.get("id") or f"{entry['source']}:{entry['target']}"
    return [f"Of the stored graph {name} was left out: {problem.message}"]


def _clear(document: dict[str, Any]) -> None:
    """Closes the gaps; connections of nodes that are gone go too."""
    document["nodes"] = [node for node in document["nodes"] if node is not None]
    there = {node["id"] for node in document["nodes"]}
    document["connections"] = [
        wire
        for wire in document["connections"]
        if wire is not None and {wire["source"].partition(".")[0], wire["target"].partition(".")[0]} <= there
    ]
