"""What a change was thought out for."""

from __future__ import annotations

from typing import TypedDict


class Basis(TypedDict, total=False):
    """`base_revision`: the graph that it was thought out for. `strict`: no other will do, even where it would hold."""

    base_revision: int | None
    strict: bool
