"""Large graphs: how long until one is heard and stored, and until a daemon that was killed plays it again."""

from __future__ import annotations

import time
from typing import Any

from . import graphs
from .process import daemon, settings

Row = dict[str, Any]


async def stored(nodes: int) -> list[Row]:
    """A graph is imported into an empty daemon, exported, and begun with after a kill -9. In seconds."""
    async with daemon(settings({})) as made:
        asker = await made.asker()
        begin = time.monotonic()
        await asker.ask("graph.import", document=graphs.document(nodes))
        rows = [_row("imported: heard, and on disk", nodes, begin)]
        begin = time.monotonic()
        await asker.ask("graph.export")
        rows.append(_row("exported as YAML", nodes, begin))
        await made.kill()
        begin = time.monotonic()
        asker = await made.start_again()
        while (await asker.ask("runtime.status"))["frame"] == 0:
            pass
        rows.append(_row("begun with after kill -9, from the command to the sound", nodes, begin))
        assert (await asker.ask("runtime.status"))["nodes"] == nodes
    return rows


def _row(what: str, nodes: int, begin: float) -> Row:
    return {"name": f"{nodes:,} nodes {what}", "nodes": nodes, "seconds": time.monotonic() - begin}
