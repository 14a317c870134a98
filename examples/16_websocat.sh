#!/bin/sh
# Talks to the running demo over WebSockets, with websocat: a question in JSON-RPC, the event of a change that curl makes, and
# levels as they are.
#
#     sh examples/16_websocat.sh [http://127.0.0.1:8420]
set -eu
url=${1:-http://127.0.0.1:8420}
sockets=ws${url#http}/api/ws

echo '{"jsonrpc": "2.0", "id": 1, "method": "runtime.status"}' | websocat -n1 "$sockets/graph?events=off"

# The change comes a second later, when somebody listens. -n1: nothing is said, and one message heard.
{
	sleep 1
	curl -sSf -o /dev/null -X PATCH -H 'Content-Type: application/json' -d '{"config": {"level_db": -21}}' "$url/api/graph/nodes/drone"
} &
websocat -n1 --text "$sockets/graph" </dev/null
wait

websocat -n --text "$sockets/monitoring?rate=10&nodes=drone" </dev/null 2>/dev/null | head -n 3
