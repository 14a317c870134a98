"""What a transaction answers: the proof that it was applied, and from which sample on.

Apart from the session so that method declarations and the CLI can name it without loading the engine.
"""

from __future__ import annotations

import msgspec


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The edits sound from `frame` on, the first sample of block `block`; a dry run names the present ones.

    `ids` are the nodes and connections added, in the order of the edits; `state_carried` says of every node that was
    replaced or rebuilt whether its successor took its memory over; `time` is UTC, RFC 3339.
    """

    revision: int
    frame: int
    time: str
    block: int
    ids: list[str]
    state_carried: dict[str, bool]
    warnings: list[str]
