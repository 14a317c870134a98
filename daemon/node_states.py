"""Asking a node what its sound has left in it (`nodes.get_state`), without its noticing.

A copy of the node is made beside it, with an empty state. The audio thread copies the one state into the other, as it
is at one block boundary, a large one in pieces (csrc/state_copy.h); then the copy is read at leisure.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from .engine.core import CoreError, CoreNode
from .engine.node_state import size_of, state_of
from .engine.parts import Settings
from .graph.model import Node
from .graph.node_state import NodeState
from .problems import Refusal, suggestion

if TYPE_CHECKING:
    from .session import Session

PATIENCE_S = 5.0  # beside what copying takes
SLOWEST = 10e6  # bytes copied per second: a fifth of what the audio thread does at usual block sizes


class Taken(NamedTuple):
    """A node's state as it was before frame `frame` sounded."""

    frame: int
    state: NodeState


class States:
    """Takes the states of a session's nodes, one after the other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._one_at_a_time = asyncio.Lock()

    async def get(self, node_id: str, most_bytes: int | None = None) -> Taken:
        """The state as it is at a block boundary; of at most so many bytes. What is on its way (a glide, a fade between
        two delay times) is no part of it: it counts as arrived. Raises a Refusal where there is none to be had.
        """
        session = self._session
        async with self._one_at_a_time:
            node = self._node(node_id)
            part = session.stage.part(node_id)
            settings = Settings.of(session.catalogue[node.type], node.config)
            faults = part.core.faults
            copy = await asyncio.to_thread(session.stage.core_node, part.plan_node, settings)  # large ones take time
            size = size_of(copy)
            if most_bytes is not None and size > most_bytes:
                message = (
                    f"The state of {node_id} may have {size >> 20} MiB; {most_bytes >> 20} MiB can be told. "
                    "A shorter max_ms, or fewer channels, make it smaller."
                )
                raise Refusal("unavailable", message)
            frame = await self._copied(part.core, copy, node_id, size)
            if part.core.faults != faults:
                message = f"{node_id} gave out NaN or infinity meanwhile and was reset. Ask again."
                raise Refusal("unavailable", message)
            return Taken(frame, await asyncio.to_thread(state_of, copy, node.type))

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

    async def _copied(self, core: CoreNode, copy: CoreNode, node_id: str, size: int) -> int:
        try:
            copied = self._session.stage.copy_state(core, copy)
        except CoreError as error:
            message = f"The engine could not copy the state of {node_id}: {error}. Try again."
            raise Refusal("unavailable", message) from error
        self._session.hear_engine()  # with no audio thread running it is done already
        patience_s = PATIENCE_S + size / SLOWEST
        try:
            async with asyncio.timeout(patience_s):  # wait_for of Python 3.11 forgets that it is to end, at times
                return await asyncio.shield(copied)
        except TimeoutError:
            message = f"The state of {node_id} was not copied within {patience_s:.0f} s; see runtime.status."
            raise Refusal("timeout", message) from None
