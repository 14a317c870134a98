"""Sessions that are born to be killed. Told `FOLDER SEED` on its input, this process, which has imported everything, forks
a child that opens the storage in the folder and edits as fast as it can; what the child does it prints, a word at a time.

    pid N                   the child
    graph JSON              what was there when it began: worker -> [label, level, extra nodes]; and the revision
    sent WORKER NUMBER      a transaction is on its way: two nodes are changed together, now and then a third is exchanged
    done WORKER NUMBER REVISION     ... and was answered
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, StorageSettings
from tonnetz.daemon.startup import begin
from tonnetz.daemon.storage import writer

WORKERS = 6
CALLER = Caller("worker", "admin", "nursery")
DOCUMENT = {"nodes": [{"id": f"{kind}_{worker}", "type": "gain"} for worker in range(WORKERS) for kind in ("a", "b")]}
# Everything that happens now and then happens often here.
writer.GRAPH_EVERY = 40
writer.TIDY_BYTES = 1 << 16
writer.FRAMES_S = 0.005


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # at once, and whole: shorter than a pipe's buffer


def state(session: Session) -> dict[str, Any]:
    nodes = session.graph.nodes
    found: dict[str, Any] = {"revision": session.revision}
    for worker in range(WORKERS):
        extras = [name for name in nodes if name.startswith(f"extra_{worker}_")]
        both = [[nodes[f"{kind}_{worker}"].label, nodes[f"{kind}_{worker}"].config["gain_db"]] for kind in ("a", "b")]
        found[str(worker)] = [*both, extras]
    return found


def edits(worker: int, number: int, extra: str | None) -> list[dict[str, Any]]:
    """The same number everywhere: in labels, levels and the name of a node."""
    made: list[dict[str, Any]] = []
    for kind in ("a", "b"):
        made.append({"rename_node": {"id": f"{kind}_{worker}", "label": str(number)}})
        made.append({"configure_node": {"id": f"{kind}_{worker}", "config": {"gain_db": -(number % 100) / 2}}})
    if number % 5 == 0:
        made.append({"add_node": {"id": f"extra_{worker}_{number}", "type": "gain"}})
        made.append({"connect": {"source": f"a_{worker}.out", "target": f"extra_{worker}_{number}.in"}})
        if extra:
            made.append({"remove_node": {"id": extra}})
    return made


async def work(session: Session, worker: int, chance: random.Random) -> None:
    _, _, extras = state(session)[str(worker)]
    number = int(session.graph.nodes[f"a_{worker}"].label or 0)
    extra = extras[0] if extras else None
    while True:
        number += 1
        say("sent", worker, number)
        receipt = await session.apply(edits_from_plain(edits(worker, number, extra)), caller=CALLER)
        say("done", worker, number, receipt.revision)
        if number % 5 == 0:
            extra = f"extra_{worker}_{number}"
        if chance.random() < 0.05:
            await asyncio.sleep(0.002)


async def live(folder: str, seed: int) -> None:
    chance = random.Random(seed)
    session = Session(clock="step")
    storage = StorageSettings(directory=folder, history_transactions=100, durability=chance.choice(["crash", "full"]))
    await begin(session, Settings(storage=storage, graph=DOCUMENT))
    assert session.keeping.status.notes == (), session.keeping.status
    say("graph", json.dumps(state(session)))
    await asyncio.gather(*(work(session, worker, chance) for worker in range(WORKERS)))


def main() -> None:
    for line in sys.stdin:
        folder, seed = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(live(folder, int(seed)))
        say("pid", child)
        _, status = os.waitpid(child, 0)
        say("ended", status)


if __name__ == "__main__":
    assert Path(__file__).exists()
    main()
