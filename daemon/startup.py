"""How a session begins: with the graph that is stored, or with the configuration's where nothing is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import get_args

import msgspec

from .caller import Caller
from .carried import NOTHING, Carried, read, take, write
from .engine.core import ClockKind
from .engine.node_state import Unfit
from .graph.mending import mended
from .graph.model import Graph
from .problems import suggestion
from .session import Session
from .settings import Settings, storage_folder
from .storage.restoring import Restored
from .storage.store import Store
from .storage.writer import Retention, Run
from .version import __version__

log = logging.getLogger(__name__)

CONFIGURATION = Caller("configuration", "admin", "startup")


async def begin(session: Session, settings: Settings) -> Carried:
    """Gives the session its graph, and a store if the configuration wants one. What it gives back is what the last run
    left in the nodes, for `leave`. Raises StorageUnusable, Refusal."""
    carried = await _load(session, settings)
    _mind_the_clock(session)
    return carried


def _mind_the_clock(session: Session) -> None:
    """The clock may be a card whose node is still to come; or a word misspelt, and nothing else would say so."""
    if session.pacing in ("", "auto") or session.pacing in session.graph.nodes:
        return
    hint = suggestion(session.pacing, ["auto", *get_args(ClockKind), *session.graph.nodes])
    log.warning("engine.clock: there is no node '%s' to go by; the timer does till there is.%s", session.pacing, hint)


async def _load(session: Session, settings: Settings) -> Carried:
    if not settings.storage:
        await load_configured(session, settings)
        return NOTHING
    retention = Retention(settings.storage.history_transactions, settings.storage.history_mb << 20)
    folder = Path(storage_folder(settings.storage))
    store = Store(folder, settings.storage.durability, retention, session.catalogue)
    restored = await store.open(Run(__version__, session.engine.sample_rate, session.engine.block_frames))
    session.keeping.use(store)
    store.on_news = lambda level, message: publish(session, level, message)
    if restored.graph is None:
        await load_configured(session, settings)
        return NOTHING
    carried = read(folder, restored.revision, session.engine.sample_rate)
    resume(session, restored, restored.graph, carried)
    return carried


async def load_configured(session: Session, settings: Settings) -> None:
    """The graph that the configuration names, if it does."""
    if settings.graph:
        await session.load(settings.graph, caller=CONFIGURATION, label="start")


def publish(session: Session, level: str, message: str) -> None:
    session.events.publish("log", {"level": level, "message": message, "frame": session.engine.frame})


async def leave(session: Session, begun_with: Carried = NOTHING) -> None:
    """Keeps for the next run what the nodes have in them, if anything is stored and something plays; or, if nothing
    has played yet, what this run began with."""
    store = session.keeping.store
    if store is None:
        return
    if session.runtime.state == "running":
        write(store.folder, await take(session))
    elif session.engine.frame == 0 and begun_with is not NOTHING:
        write(store.folder, begun_with)


def resume(session: Session, restored: Restored, stored: Graph, carried: Carried = NOTHING) -> None:
    """Goes on where another run ended."""
    graph, notes = mended(stored, session.catalogue, session.limits)
    revision = restored.revision
    store = session.keeping.store
    if notes and store is not None:
        revision += 1
        for note in notes:
            store.note(note)
        store.begin_at(graph, revision)
    log.info("going on with %d nodes at revision %d, as they were stored", len(graph.nodes), revision)
    session.history.remember(restored.entries, restored.steps)
    states = dict(carried.states) if revision == carried.revision else {}
    while True:
        try:
            session.resume(graph, revision, msgspec.structs.replace(carried, states=states))
            return
        except Unfit as unfit:  # it was another version's
            log.info("%s begins empty: %s", unfit.node_id, unfit.message)
            del states[unfit.node_id]
