"""What an edit works out from the scene before it is what one would find who looked at everything."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from itertools import chain
from typing import Any

import numpy as np

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.engine.core import CoreLink, CoreNode
from tonnetz.daemon.engine.routing import NO_ROUTING, Routing, Row
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.graph.plan import make_plan
from tonnetz.daemon.graph.ports import resolve_channels
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session

CALLER = Caller("test", "admin", "test")
MOST_NODES = 12


# ---- The arrays ------------------------------------------------------------------------------------------------------


def gain(tag: int) -> CoreNode:
    values = [0.0, 0.0, 0.0, 20.0]
    return CoreNode("gain", sample_rate=48000, block_frames=64, inputs=[2, 1], outputs=[2], values=values, tag=tag)


def test_arrays_are_what_was_put_in_and_not_taken_out() -> None:
    chance = random.Random(1)
    routing, nodes, rows = NO_ROUTING, dict[int, CoreNode](), dict[tuple[int, int], Row]()
    for _ in range(300):
        gone = chance.sample(sorted(nodes), min(len(nodes), chance.randrange(3)))
        come = [gain(tag) for tag in chance.sample(range(40), chance.randrange(4)) if tag not in nodes or tag in gone]
        nodes = {tag: node for tag, node in nodes.items() if tag not in gone} | {node.tag: node for node in come}
        cut = [k for k, row in rows.items() if row.source in gone or row.target in gone or chance.random() < 0.2]
        new = {}
        for _ in range(chance.randrange(6) if nodes else 0):
            ends = chance.choices(sorted(nodes), k=2)
            new[chance.randrange(9), chance.randrange(9)] = Row(
                CoreLink(True), ends[0], 0, ends[1], 1, bool(ends[0] % 2)
            )
        before = routing
        held = {name: getattr(before, name).copy() for name in ("tags", "handles", "keys", "routes")}
        routing = routing.changed(gone, come, [*cut, *(key for key in new if key in rows and key not in cut)], new)
        rows = {key: row for key, row in rows.items() if key not in cut} | new
        assert told(routing) == [(key, (row.link.address, *row[1:])) for key, row in sorted(rows.items())]
        assert routing.handles.tolist() == [node.address for _, node in sorted(nodes.items())]
        assert all(np.array_equal(getattr(before, name), array) for name, array in held.items()), "it was frozen"


def told(routing: Routing) -> list[tuple[Any, tuple[Any, ...]]]:
    """Keys, and rows with the tags of their nodes."""
    routes = routing.routes.copy()
    for end in ("source", "target"):
        routes[end] = routing.tags[routes[end]]
    return list(zip(routing.keys.tolist(), routes.tolist(), strict=True))


# ---- Scenes ----------------------------------------------------------------------------------------------------------


def random_edit(chance: random.Random, session: Session) -> dict[str, Any]:
    nodes = session.graph.nodes
    names = sorted(nodes)
    verb = chance.choice(
        ["add", "add", "connect", "connect", "connect", "disconnect", "remove", "bypass", "replace", "bands"]
    )
    if verb == "add" and len(names) < MOST_NODES:
        kind = chance.choice(["tone", "gain", "mixer", "delay", "equalizer", "null_output"])
        return {"op": "add_node", "type": kind}
    if verb == "connect" and names:
        into = chance.choice(names)
        port = chance.choice(["in_1", "in_2"]) if nodes[into].type == "mixer" else "in"
        return {"op": "connect", "source": f"{chance.choice(names)}.out", "target": f"{into}.{port}"}
    if verb == "disconnect" and session.graph.connections:
        return {"op": "disconnect", "id": chance.choice(sorted(session.graph.connections))}
    if verb == "remove" and names:
        strategy = chance.choice(["fade", "immediate", "bridge"])
        return {"op": "remove_node", "id": chance.choice(names), "strategy": strategy}
    if verb == "bypass" and names:
        return {"op": "bypass_node", "id": chance.choice(names), "bypass": chance.random() < 0.5}
    if verb == "replace" and names:
        return {"op": "replace_node", "id": chance.choice(names), "type": chance.choice(["gain", "delay"])}
    equalizers = [name for name in names if nodes[name].type == "equalizer"]
    if verb == "bands" and equalizers:
        bands = [{"type": "peaking"}] * chance.randint(1, 3)
        return {"op": "configure_node", "id": chance.choice(equalizers), "config": {"bands": bands}}
    return {"op": "add_node", "type": "gain"}


def check(session: Session) -> None:
    scene = session.stage.scene
    plan, parts, cables = scene.plan, scene.parts, scene.cables
    wires = [wire._replace(way=0) for wire in chain.from_iterable(plan.by_connection.values())]
    assert Counter(wire._replace(way=0) for wire in plan.wires) == Counter(wires)
    assert plan.objects == set(plan.nodes.values()) <= parts.keys()
    channels = resolve_channels(session.graph, session.catalogue)
    again, _ = make_plan(session.graph, session.catalogue, channels, session._generations, plan)
    assert again is plan or (again.nodes == plan.nodes and again.by_connection == plan.by_connection)
    assert scene.leaving == parts.keys() - plan.objects
    assert scene.restless == {wire for wire, cable in cables.items() if cable.turned_by or wire not in plan.wires}
    assert plan.wires <= cables.keys()
    assert all(wire.source in parts and wire.target in parts for wire in cables)
    nodes = sorted(parts.values(), key=lambda part: part.core.tag)
    assert scene.routing.handles.tolist() == [part.core.address for part in nodes]
    place = {part.plan_node: number for number, part in enumerate(nodes)}
    rows = [
        (cable.link.address, place[wire.source], wire.source_port, place[wire.target], wire.target_port, fades)
        for wire, cable, fades in ((w, c, c.turned_by is not None or not c.sounding) for w, c in cables.items())
    ]
    assert sorted(scene.routing.routes.tolist()) == sorted(rows)
    sources = [key[:4] for key in scene.routing.keys]
    assert sources == sorted(sources)


def test_a_scene_is_what_looking_at_everything_finds() -> None:
    async def play(seed: int) -> int:
        chance = random.Random(seed)
        session = Session(clock="step", block_frames=64)
        accepted = 0
        await session.runtime.start()
        for _ in range(150):
            edits = edits_from_plain([random_edit(chance, session) for _ in range(chance.choice([1, 1, 2, 4]))])
            fade_ms = chance.choice([None, 0, 5])
            applying = asyncio.ensure_future(session.apply(edits, caller=CALLER, fade_ms=fade_ms))
            await asyncio.sleep(0)
            await session.runtime.step(chance.choice([1, 1, 2, 20]))
            try:
                await applying
                accepted += 1
            except Refusal:
                pass
            check(session)
        await session.runtime.step(1000 // 64 * 30)
        session.sweep()
        check(session)
        assert not session.stage.scene.restless and not session.stage.scene.leaving
        await session.close()
        return accepted

    assert sum(asyncio.run(play(seed)) for seed in range(4)) > 200
