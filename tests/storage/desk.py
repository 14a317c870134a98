"""A store with a session on it, as often as a test wants to end and begin anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.graph.spec import Catalogue, NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.node_catalogue import load_catalogue
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, StorageSettings
from tonnetz.daemon.startup import begin

ANN, BOB = (Caller(name, "operator", "test") for name in ("ann", "bob"))

CASTER = NodeSpec(
    type="caster",
    category="sink",
    help="Has a secret.",
    core_type="null_output",
    parameters=(ParameterSpec(name="key", kind="text", default="", help="It.", secret=True, core=False),),
    ports=(PortSpec(name="in", direction="input", help="What goes out."),),
)
WITH_CASTER = {**load_catalogue()[0], "caster": CASTER}


@asynccontextmanager
async def session(
    folder: Path, graph: dict[str, Any] | None = None, catalogue: Catalogue | None = None, **storage: Any
) -> AsyncIterator[Session]:
    """On the step clock and stopped: what is applied is adopted at once."""
    made = Session(clock="step")
    if catalogue is not None:
        made.catalogue = catalogue
    try:
        await begin(made, Settings(storage=StorageSettings(directory=str(folder), **storage), graph=graph or {}))
        yield made
    finally:
        await made.close()


async def apply(session: Session, *edits: dict[str, Any], by: Caller = ANN, **options: Any) -> Receipt:
    """`apply(session, {"add_node": {…}})`"""
    return await session.apply(edits_from_plain(list(edits)), caller=by, **options)


def tone(name: str, **config: Any) -> dict[str, Any]:
    return {"add_node": {"id": name, "type": "tone", "config": config}}


def level(name: str, level_db: float) -> dict[str, Any]:
    return {"configure_node": {"id": name, "config": {"level_db": level_db}}}


def levels(session: Session, names: Sequence[str] = ()) -> dict[str, float]:
    nodes = session.graph.nodes
    return {name: nodes[name].config["level_db"] for name in names or nodes}
