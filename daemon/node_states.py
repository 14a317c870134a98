"""Asking a node what its sound has left in it (`nodes.get_state`), without its noticing.

A copy of the node is made beside it, with an empty state. The audio thread copies the one state into the other, as it
is at one block boundary, a large one in pieces (csrc/state_copy.h); then the copy is read at leisure. Several nodes at
once are asked when the daemon ends (carried.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .engine.core import CoreError, CoreNode
from .engine.node_state import size_of, state_of
from .engine.parts import Part, Settings
from .graph.model import Node
from .graph.node_state import NodeState
from .problems import Refusal, suggestion

if TYPE_CHECKING:
    from .session import Session

PATIENCE_S = 5.0  # beside what copying takes
SLOWEST = 10e6  # bytes copied per second: a fifth of what the audio thread does at usual block sizes
MOST_AT_ONCE = 64  # what is small of them is copied at one block boundary, in some 50 µs


class Taken(NamedTuple):
    """A node's state as it was before frame `frame` sounded."""

    frame: int
    state: NodeState


class _Twin(NamedTuple):
    """A node object like that of a node, to copy its state into."""

    node: Node
    part: Part
    faults: int  # of the node, before
    core: CoreNode


class States:
    """Takes the states of a session's nodes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._one_at_a_time = asyncio.Lock()

    async def get(self, node_id: str, most_bytes: int | None = None) -> Taken:
        """The state as it is at a block boundary; of at most so many bytes. What is on its way (a glide, a fade between
        two delay times) is no part of it: it counts as arrived. Raises a Refusal where there is none to be had.
        """
        async with self._one_at_a_time:
            node = self._node(node_id)
            size = size_of(self._session.stage.part(node_id).core)
            if most_bytes is not None and size > most_bytes:
                message = (
                    f"The state of {node_id} may have {size >> 20} MiB; {most_bytes >> 20} MiB can be told. "
                    "A shorter max_ms, or fewer channels, make it smaller."
                )
                raise Refusal("unavailable", message)
            twins = await self._twins([node])
            frame = await self._copied(twins, f"The state of {node_id}", size)
            states = await asyncio.to_thread(_read, twins)
            if node_id not in states:
                message = f"{node_id} gave out NaN or infinity meanwhile and was reset. Ask again."
                raise Refusal("unavailable", message)
            return Taken(frame, states[node_id])

    async def get_some(self, node_ids: Sequence[str]) -> dict[str, NodeState]:
        """Those of several nodes, as all of them are at one block boundary; without those that were reset meanwhile.
        At most MOST_AT_ONCE, that have some. Raises a Refusal where none are to be had.
        """
        async with self._one_at_a_time:
            twins = await self._twins([self._node(node_id) for node_id in node_ids])
            size = sum(size_of(twin.core) for twin in twins)
            await self._copied(twins, f"The states of {len(twins)} nodes", size)
            return await asyncio.to_thread(_read, twins)

    def sizes(self) -> dict[str, int]:
        """How many bytes the states of nodes have at most, of those that sound leaves something in."""
        session = self._session
        inside = (node for node in session.graph.nodes.values() if node.type not in session.outside_types)
        sizes = {node.id: size_of(session.stage.part(node.id).core) for node in inside}
        return {node_id: size for node_id, size in sizes.items() if size}

    def _node(self, node_id: str) -> Node:
        session = self._session
        node = session.graph.nodes.get(node_id)
        if node is None:
            raise Refusal("not_found", f"There is no node '{node_id}'.{suggestion(node_id, session.graph.nodes)}")
        if node.type in session.outside_types:
            message = (
                f"A {node.type} keeps its state outside the engine, in its file: "
                "graph.get tells it as the node's detail, and its configuration sets it."
            )
            raise Refusal("unavailable", message)
        return node

    async def _twins(self, nodes: Sequence[Node]) -> list[_Twin]:
        stage, catalogue = self._session.stage, self._session.catalogue
        parts = [stage.part(node.id) for node in nodes]
        faults = [part.core.faults for part in parts]
        settings = [Settings.of(catalogue[node.type], node.config) for node in nodes]

        def make() -> list[CoreNode]:
            return [stage.core_node(part.plan_node, each) for part, each in zip(parts, settings, strict=True)]

        cores = await asyncio.to_thread(make)  # large ones take time
        return [_Twin(*each) for each in zip(nodes, parts, faults, cores, strict=True)]

    async def _copied(self, twins: Sequence[_Twin], what: str, size: int) -> int:
        """The frame. `what` begins the sentences about what went wrong."""
        try:
            copied = self._session.stage.copy_states((twin.part.core, twin.core) for twin in twins)
        except CoreError as error:
            raise Refusal("unavailable", f"{what} could not be copied by the engine: {error}. Try again.") from error
        self._session.hear_engine()  # with no audio thread running it is done already
        patience_s = PATIENCE_S + size / SLOWEST
        try:
            async with asyncio.timeout(patience_s):  # wait_for of Python 3.11 forgets that it is to end, at times
                return await asyncio.shield(copied)
        except TimeoutError:
            message = f"{what} could not be copied within {patience_s:.0f} s; see runtime.status."
            raise Refusal("timeout", message) from None


def _read(twins: Sequence[_Twin]) -> dict[str, NodeState]:
    """By node id; without those that were reset meanwhile."""
    kept = [twin for twin in twins if twin.part.core.faults == twin.faults]
    return {twin.node.id: state_of(twin.core, twin.node.type) for twin in kept}
