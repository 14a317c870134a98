#!/bin/sh
# Edits the running demo over HTTP, with curl alone: reads the graph and its ETag, changes it if nobody else has, looks at what
# a port gives out, and undoes it.
#
#     sh examples/13_http.sh [http://127.0.0.1:8420]
set -eu
url=${1:-http://127.0.0.1:8420}

json() { # json VERB PATH BODY [OPTION]…
	verb=$1 path=$2 body=$3
	shift 3
	curl -sSf -X "$verb" -H 'Content-Type: application/json' -d "$body" "$@" "$url$path"
	echo
}

etag=$(curl -sSf -D - -o /dev/null "$url/api/graph" | sed -n 's/^[Ee][Tt]ag: //p' | tr -d '\r')
echo "The graph is at revision $etag."

json PATCH /api/graph/nodes/eq '{"config": {"bands": {"1": {"gain_db": 6}}}}' -H "If-Match: $etag"
json POST /api/debug/inject/mix '{"signal": "tone", "port": "in_1", "frequency": 440, "level_db": -30, "duration_s": 0.2}'

curl -sSf -o heard.wav "$url/api/debug/buffers/mix.out?seconds=0.5&format=wav"
echo "Half a second of mix.out: $(wc -c <heard.wav) bytes in heard.wav."
rm heard.wav

json POST /api/history/undo '{}'
