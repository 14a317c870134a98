"""The same door without Tonnetz's library: one JSON text per line over a Unix socket, in any language.

With ./dev run going in another terminal:

    .venv/bin/python examples/12_plain_socket.py .demo/control.sock
"""

from __future__ import annotations

import json
import socket
import sys


def main() -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        stream = connection.makefile("rw", encoding="utf-8", newline="\n")

        # A batch: several calls in one line, answered in one line, done one after the other.
        calls = [
            {"jsonrpc": "2.0", "id": 1, "method": "graph.get"},
            {"jsonrpc": "2.0", "id": 2, "method": "runtime.status"},
        ]
        stream.write(json.dumps(calls) + "\n")
        stream.flush()
        graph, status = (answer["result"] for answer in json.loads(stream.readline()))

        for node in graph["nodes"]:
            print(f"{node['id']:12} {node['type']:12} {node['state']}")
        print(f"at frame {status['frame']}")


if __name__ == "__main__":
    main()
