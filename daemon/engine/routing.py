"""Nodes and routes as the flat arrays that the core builds a plan of. Most of them stay from one plan to the next: an
edit copies the arrays, as fast as memory is, and looks at no rows but its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .core import ROUTE, CoreLink, CoreNode

Key = tuple[Any, ...]


class Row(NamedTuple):
    """A route between two nodes of the routing, which their tags name."""

    link: CoreLink
    source: int
    source_port: int
    target: int
    target_port: int
    fading: bool


@dataclass(frozen=True, eq=False)
class Routing:
    """`handles` and `routes` are what CorePlan takes. Nodes lie in the order of their tags, and routes in that of their
    keys, as float sums depend on their order in the last bit. Nobody writes into the arrays."""

    tags: NDArray[np.int64]
    handles: NDArray[np.uintp]
    keys: NDArray[np.object_]
    routes: NDArray[np.void]

    def changed(
        self,
        nodes_gone: Collection[int],
        nodes_come: Sequence[CoreNode],
        rows_gone: Collection[Key],
        rows_come: Mapping[Key, Row],
    ) -> Routing:
        """First nodes and rows go, which their tags and keys name, then others come; under the same key a renewed row.
        Rows of nodes that go have to go as well."""
        keys, routes = self.keys, self.routes
        if rows_gone:
            places = [bisect_left(keys, key) for key in rows_gone]
            keys, routes = np.delete(keys, places), np.delete(routes, places)
        tags, handles = self.tags, self.handles
        if nodes_gone or nodes_come:
            tags, handles = self._nodes(nodes_gone, nodes_come)
            routes = routes.copy()
            for end in ("source", "target"):
                routes[end] = np.searchsorted(tags, self.tags[routes[end]])
        if rows_come:
            new = np.fromiter(sorted(rows_come), np.object_, len(rows_come))
            places = [bisect_left(keys, key) for key in new]
            keys = np.insert(keys, places, new)
            routes = np.insert(routes, places, _routes([rows_come[key] for key in new], tags))
        return Routing(tags, handles, keys, routes)

    def _nodes(self, gone: Collection[int], come: Sequence[CoreNode]) -> tuple[NDArray[np.int64], NDArray[np.uintp]]:
        stay = np.isin(self.tags, list(gone), invert=True)
        tags = np.concatenate([self.tags[stay], np.array([node.tag for node in come], np.int64)])
        handles = np.concatenate([self.handles[stay], np.array([node.address for node in come], np.uintp)])
        order = np.argsort(tags, kind="stable")
        return tags[order], handles[order]


NO_ROUTING = Routing(np.empty(0, np.int64), np.empty(0, np.uintp), np.empty(0, np.object_), np.empty(0, ROUTE))


def _routes(rows: Sequence[Row], tags: NDArray[np.int64]) -> NDArray[np.void]:
    routes = np.zeros(len(rows), ROUTE)
    routes["link"] = [row.link.address for row in rows]
    routes["source"] = np.searchsorted(tags, [row.source for row in rows])
    routes["target"] = np.searchsorted(tags, [row.target for row in rows])
    for name in ("source_port", "target_port", "fading"):
        routes[name] = [getattr(row, name) for row in rows]
    return routes
