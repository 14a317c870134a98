"""A session that is edited while it plays, and a second opinion beside it. Each step says what is done, and fails where the two differ."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import networkx as nx
import numpy as np

from tonnetz.daemon.graph.document import parse_document, to_document
from tonnetz.daemon.graph.edits import AddNode, AnyEdit, Connect, RemoveNode
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.problems import Problem, Refusal
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.session import Session

from ..rig import Samples
from .doubles import ROOM, Doubles
from .random_edits import IDS, STRATEGIES, Edits
from .second_opinion import Opinion
from .sounding import Sounding
from .studio import CALLER

BLOCK = 64
FADES_MS = (None, 0.0, 1.0, 5.0, 30.0)
# The longest fade; a glide of 20 ms may wait for another one to end; then delays of 5 ms, one behind the other, fill. In blocks.
SETTLED = -(-(30 + 3 * 20 + len(IDS) * 5) * 48 // BLOCK)
LISTENED = 5

T = TypeVar("T")


class Player:
    """A session that is played by hand, and what its ears hear. Its signals count frames from `origin` on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: int = 0) -> None:
        self._loop = loop
        self.session = self.wait(self._open())
        self.doubles = Doubles(self.session, origin)

    async def _open(self) -> Session:
        return Session(block_frames=BLOCK, clock="step", latency_compensation=False)

    def wait(self, what: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(what)

    def apply(self, edits: tuple[AnyEdit, ...], **more: Any) -> Receipt:
        return self.wait(self.session.apply(edits, caller=CALLER, **more))

    def play(self, blocks: int) -> dict[str, Samples]:
        """What each ear of the graph has heard in so many blocks."""
        heard: dict[str, list[Samples]] = {}
        stage = self.session.stage
        while blocks:
            now = min(blocks, ROOM // BLOCK)
            self.doubles.fill()
            self.wait(self.session.runtime.step(now))
            for part in stage.parts.values():
                if part.outside is not None and part.plan_node.is_sink:
                    sound = part.outside.ring.read(ROOM)
                    if stage.plan.has(part.plan_node):
                        heard.setdefault(part.plan_node.id, []).append(sound)
            blocks -= now
        return {name: np.concatenate(pieces, axis=1) for name, pieces in heard.items()}

    def close(self) -> None:
        self.wait(self.session.close())


# ---- What may be done ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Transaction:
    edits: tuple[AnyEdit, ...]
    fade_ms: float | None = None
    rehearsed: bool = False  # tried with dry_run first


@dataclass(frozen=True)
class Undo:
    """Of the last transaction that is not undone yet, by its inverse edits."""


@dataclass(frozen=True)
class GoOn:
    blocks: int


@dataclass(frozen=True)
class Halt:
    """And start again at once. `pause`: endpoints live on, else all of them begin anew."""

    pause: bool


@dataclass(frozen=True)
class Listen:
    """When everything has settled."""


@dataclass(frozen=True)
class LoadAfresh:
    """The document, into another session beside this one; both sound the same from then on, once they have settled."""


Step = Transaction | Undo | GoOn | Halt | Listen | LoadAfresh


class Machine:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.player = Player(self.loop)
        self.session = self.player.session
        self.opinion = Opinion(self.session.catalogue)
        self._past: list[tuple[Graph, Opinion, tuple[AnyEdit, ...]]] = []
        self.player.wait(self.session.runtime.start())

    def close(self) -> None:
        self.player.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def do(self, step: Step) -> None:
        match step:
            case Transaction():
                self._apply(step)
            case Undo():
                self._undo()
            case GoOn():
                self.player.play(step.blocks)
            case Halt():
                runtime = self.session.runtime
                self.player.wait(runtime.pause() if step.pause else runtime.stop())
                self.player.wait(runtime.start())
            case Listen():
                self._listen()
            case LoadAfresh():
                self._load_afresh()
        self._compare()

    # ---- Transactions ------------------------------------------------------------------------------------------------

    def _apply(self, step: Transaction) -> None:
        draft = self.opinion.another()
        failed = [(index, problem) for index, edit in enumerate(step.edits) if (problem := draft.apply(edit))]
        flaws = set() if failed else draft.flaws()
        if failed or flaws:
            problems = self._refused(step)
            kinds = {problem.kind for problem in problems}
            if failed:  # the first edit that does not hold is named, and why
                index, kind = failed[0]
                assert any(p.kind == kind and p.where.startswith(f"edits[{index}]") for p in problems), (
                    failed,
                    problems,
                )
            else:  # everything that is wrong with what would come out; channels that do not fit may come of it, or be there beside it
                assert kinds == flaws or kinds == flaws | {"channel_mismatch"}, (flaws, problems)
            for problem in problems:
                if problem.kind == "cycle" and not failed:
                    self._check_loop(problem.data, draft)
            return
        if step.rehearsed:
            before = self._standing()
            assert self.player.apply(step.edits, dry_run=True).revision == self.session.revision
            assert self._standing() == before
        before_graph, revision = self.session.graph, self.session.revision
        receipt = self.player.apply(step.edits, fade_ms=step.fade_ms)
        assert receipt.revision == self.session.revision == revision + 1
        assert receipt.frame == self.session.engine.frame
        inverse = self.session.history.since(revision)[-1].inverse
        self._past.append((before_graph, self.opinion, inverse))
        self.opinion = draft

    def _refused(self, step: Transaction) -> tuple[Problem, ...]:
        before = self._standing()
        try:
            self.player.apply(step.edits, fade_ms=step.fade_ms)
        except Refusal as refusal:
            problems = refusal.problems
        else:
            raise AssertionError("a transaction that can't hold was accepted")
        assert self._standing() == before
        msgspec.json.encode(problems)
        return problems

    def _standing(self) -> tuple[Any, ...]:
        """What a refused transaction leaves as it was."""
        session, stage = self.session, self.session.stage
        return session.graph, session.revision, dict(stage.parts), dict(stage.scene.cables), stage.plan

    def _check_loop(self, told: dict[str, Any], draft: Opinion) -> None:
        """The path is a loop indeed, as short as there is one, and begins with the connection that is blamed."""
        path: list[str] = told["path"]
        steps = list(itertools.pairwise(path))
        assert all(draft.ways.has_edge(*step) for step in steps)
        assert path[0] == path[-1]
        assert len(set(path)) == len(steps)
        assert any(len(steps) == 1 + nx.shortest_path_length(draft.ways, after, before) for before, after in steps)
        blamed = [wire for wire in draft.wires if f"{wire.source}:{wire.target}" == told["connection"]]
        assert [(wire.ends[0], wire.ends[2]) for wire in blamed] == steps[:1]

    def _undo(self) -> None:
        if not self._past:
            return
        graph, opinion, inverse = self._past.pop()
        self.player.apply(inverse)
        assert self.session.graph == graph
        self.opinion = opinion

    # ---- Sound -------------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Nothing is left of what was, and what every ear and every output gives is what arithmetic says."""
        self.player.play(SETTLED)
        self._check_stage()
        self._apply(Transaction(tuple(self._more_ears()), fade_ms=0.0))
        first = self.player.doubles.time
        heard = self.player.play(LISTENED)
        for name, sound in self._expected(first).items():
            np.testing.assert_array_equal(heard[name], sound, name)
        assert all(np.isfinite(sound).all() for sound in heard.values())
        self._undo()

    def _more_ears(self) -> Iterator[AnyEdit]:
        """One for each output."""
        for end, channels in self.opinion.widths().items():
            node_id, port = end.split(".")
            spec = self.opinion.nodes[node_id].ports("output").get(port)
            if spec is not None and spec.signal == "audio":
                yield AddNode(id=f"ear_{node_id}_{port}", type="ear", config={"channels": channels})
                yield Connect(source=end, target=f"ear_{node_id}_{port}.in")

    def _load_afresh(self) -> None:
        document = to_document(self.session.graph, self.session.catalogue)
        fresh = Player(self.loop, self.player.doubles.time)
        try:
            fresh.wait(fresh.session.load(document, caller=CALLER, fade_ms=0))
            fresh.wait(fresh.session.runtime.start())
            for player in (fresh, self.player):
                player.play(SETTLED)
            first = self.player.doubles.time
            heard, again = self.player.play(LISTENED), fresh.play(LISTENED)
            for name in self._expected(first):
                np.testing.assert_array_equal(again[name], heard[name], name)
        finally:
            fresh.close()

    def _expected(self, first: int) -> dict[str, Samples]:
        """What ears should hear from frame `first` on. Those that hear what arithmetic can't tell are left out."""
        sounding = Sounding(self.opinion)
        ears = [name for name, node in self.opinion.nodes.items() if node.spec.type == "ear"]
        sounds = {name: sounding.heard(f"{name}.in", first, LISTENED * BLOCK) for name in ears}
        return {name: sound for name, sound in sounds.items() if sound is not None}

    def _check_stage(self) -> None:
        """Exactly what the plan asks for is there, at rest. What has left was told to end, and nothing else was."""
        stage = self.session.stage
        assert set(stage.parts) == set(stage.plan.nodes.values())
        assert {node.id for node in stage.parts} == self.opinion.nodes.keys()
        assert set(stage.scene.cables) == stage.plan.wires
        assert all(cable.sounding and cable.turned_by is None for cable in stage.scene.cables.values())
        present = {id(part.outside) for part in stage.parts.values() if part.outside is not None}
        for double in self.player.doubles.all:
            assert double.closed == (id(double) not in present)

    def _compare(self) -> None:
        """The graph is the one it should be, and survives being written down."""
        graph, catalogue = self.session.graph, self.session.catalogue
        assert {(c.source, c.target) for c in graph.connections.values()} == self.opinion.wires
        assert {name: (node.type, node.config, node.bypass) for name, node in graph.nodes.items()} == {
            name: (node.spec.type, node.config, node.bypass) for name, node in self.opinion.nodes.items()
        }
        assert (
            parse_document(msgspec.json.decode(msgspec.json.encode(to_document(graph, catalogue))), catalogue) == graph
        )


class Story:
    """Random steps of a machine. `steps` are those it has taken so far."""

    def __init__(self, machine: Machine, chance: random.Random) -> None:
        self.steps: list[Step] = []
        self._machine = machine
        self._chance = chance
        self._edits = Edits(chance)

    def tell(self, steps: int) -> None:
        self._take(self._transaction(True, 40))
        for _ in range(steps - 2):
            self._take(self._step())
        self._take(Listen())

    def _take(self, step: Step) -> None:
        self.steps.append(step)
        self._machine.do(step)

    def _transaction(self, sensible: bool, count: int) -> Transaction:
        edits = tuple(self._edits.transaction(self._machine.opinion, sensible, count))
        return Transaction(edits, self._chance.choice(FADES_MS), self._chance.random() < 0.1)

    def _step(self) -> Step:
        chance = self._chance
        what = chance.random()
        if what < 0.05:  # most of it at once
            some = [name for name in self._machine.opinion.nodes if chance.random() < 0.8]
            strategy = chance.choice(STRATEGIES)
            return Transaction(tuple(RemoveNode(id=name, strategy=strategy) for name in some), chance.choice(FADES_MS))
        if what < 0.6:
            return self._transaction(chance.random() < 0.8, chance.choice([1, 1, 2, 3, 5, 8, 20]))
        if what < 0.8:
            return GoOn(chance.choice([1, 2, 5, 10, 30]))
        if what < 0.85:
            return Undo()
        if what < 0.88:
            return Halt(chance.random() < 0.5)
        return Listen() if what < 0.97 else LoadAfresh()
