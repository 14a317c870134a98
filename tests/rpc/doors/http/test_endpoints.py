"""Every endpoint of the contract's table, with curl; the test says which. On the step clock, so nothing depends on time."""

from __future__ import annotations

import ast
import io
import json
import re
import resource
import subprocess
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.problems import ERROR_KINDS
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import HttpSettings
from tonnetz.daemon.tokens import TokenFile
from tonnetz.rpc.doors.http.door import HttpDoor
from tonnetz.rpc.doors.http.port import Port
from tonnetz.rpc.method_table import load_methods

from ...conftest import FakeSession
from .conftest import Web

GRAPH = {
    "version": 1,
    "name": "studio",
    "nodes": [
        {"id": "hum", "type": "tone", "config": {"frequency": 50}},
        {"id": "eq", "type": "equalizer"},
        {"id": "mix", "type": "mixer"},
        {"id": "drain", "type": "null_output"},
    ],
    "connections": [
        {"source": "hum.out", "target": "eq.in"},
        {"source": "eq.out", "target": "mix.in_1"},
        {"source": "mix.out", "target": "drain.in"},
    ],
}


@pytest.fixture(autouse=True)
def start_over(web: Web) -> None:
    with web.daemon.client() as client:
        client.call("graph.import", document=GRAPH)
        client.call("runtime.start")


def error(answer: Any, status: int, name: str) -> dict[str, Any]:
    """The error in an answer, which has to be in the one shape that there is."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    (told,) = answer.json.values()
    assert set(told) == {"code", "name", "message", "data"}
    assert told["name"] == name == told["data"]["name"] and told["code"] == ERROR_KINDS[name].code
    found: dict[str, Any] = told
    return found


def tag(web: Web) -> str:
    return web.curl("GET", "/api/graph").headers["etag"]


def ids(web: Web) -> list[str]:
    return [node["id"] for node in web.curl("GET", "/api/graph").json["nodes"]]


# ---- The graph -------------------------------------------------------------------------------------------------------


def test_get_api_graph(web: Web) -> None:
    answer = web.curl("GET", "/api/graph")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == f'"{answer.json["revision"]}"'
    assert [node["id"] for node in answer.json["nodes"]] == ["hum", "eq", "mix", "drain"]
    again = web.curl("GET", "/api/graph", None, "-H", f"If-None-Match: {answer.headers['etag']}")
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", answer.headers["etag"])


def test_put_api_graph(web: Web) -> None:
    before = tag(web)
    wanted = {"version": 1, "name": "small", "nodes": [{"id": "hum", "type": "tone"}]}
    answer = web.curl("PUT", "/api/graph?fade_ms=0&label=Less", wanted, "-H", f"If-Match: {before}")
    assert answer.status == 200 and answer.headers["etag"] == f'"{answer.json["revision"]}"' == tag(web)
    assert ids(web) == ["hum"]
    refused = web.curl("PUT", "/api/graph", wanted, "-H", f"If-Match: {before}")
    assert error(refused, 409, "conflict")["data"]["revision"] == answer.json["revision"]
    assert ids(web) == ["hum"] and tag(web) == answer.headers["etag"]
    for odd in ("x", '"x"', 'W/"1"', '"1", "2"'):
        error(web.curl("PUT", "/api/graph", wanted, "-H", f"If-Match: {odd}"), 400, "invalid_request")
    assert web.curl("PUT", "/api/graph", wanted, "-H", "If-Match: *").status == 200
    bare = tag(web).strip('"')
    assert web.curl("PUT", "/api/graph", wanted, "-H", f"If-Match: {bare}").status == 200


def test_put_without_a_body_takes_nothing_away(web: Web) -> None:
    """Contract, HTTP: `PUT /api/graph` is the whole graph. A body forgotten is not an empty graph."""
    before = web.curl("GET", "/api/graph").json
    for path, name in (("/api/graph", "document"), ("/api/graph/nodes/eq/state", "state")):
        (problem,) = error(web.curl("PUT", path), 400, "invalid_params")["data"]["problems"]
        assert (problem["kind"], problem["where"]) == ("missing_parameter", name) and "body" in problem["message"]
    assert web.curl("GET", "/api/graph").json["revision"] == before["revision"]


def test_a_body_where_none_is_read_is_refused(web: Web) -> None:
    """Contract, HTTP: `DELETE /api/graph/nodes/{id}` has its strategy in the query; in a body it would be lost."""
    before = tag(web)
    refused = web.curl("DELETE", "/api/graph/nodes/eq", {"strategy": "bridge"})
    assert "query" in error(refused, 400, "invalid_request")["message"]
    error(web.curl("GET", "/api/history", {"limit": 1}), 400, "invalid_request")
    assert tag(web) == before and "eq" in ids(web)


def test_post_api_graph_nodes(web: Web) -> None:
    answer = web.curl("POST", "/api/graph/nodes", {"type": "gain", "config": {"gain_db": -3}})
    assert answer.status == 200 and answer.json["ids"] == ["gain_1"]
    problems = error(web.curl("POST", "/api/graph/nodes", {"type": "gian"}), 422, "invalid_graph")["data"]["problems"]
    assert "gain" in problems[0]["message"]


def test_patch_and_delete_api_graph_nodes_id(web: Web) -> None:
    assert web.curl("PATCH", "/api/graph/nodes/hum", {"config": {"frequency": 60}}).status == 200
    refused = web.curl("PATCH", "/api/graph/nodes/hum", {"config": {"frequenzy": 1, "level_db": 99}})
    places = [problem["where"] for problem in error(refused, 422, "invalid_config")["data"]["problems"]]
    assert sorted(places) == ["config.frequenzy", "config.level_db"]
    answer = web.curl("DELETE", "/api/graph/nodes/eq?strategy=bridge&fade_ms=5")
    assert answer.status == 200 and "eq" not in ids(web)
    error(web.curl("DELETE", "/api/graph/nodes/eq"), 404, "not_found")


def test_post_api_graph_nodes_id_replace(web: Web) -> None:
    assert web.curl("POST", "/api/graph/nodes/eq/replace", {"type": "gain"}).status == 200
    graph = web.curl("GET", "/api/graph").json
    assert next(node for node in graph["nodes"] if node["id"] == "eq")["type"] == "gain"
    assert len(graph["connections"]) == 3


def test_post_and_delete_api_graph_connections(web: Web) -> None:
    answer = web.curl("POST", "/api/graph/connections", {"source": "hum.out", "target": "mix.in_2"})
    assert answer.json["ids"] == ["hum.out:mix.in_2"]
    assert web.curl("DELETE", "/api/graph/connections/hum.out:mix.in_2").status == 200
    looped = web.curl("POST", "/api/graph/connections", {"source": "mix.out", "target": "eq.in"})
    (problem,) = error(looped, 422, "invalid_graph")["data"]["problems"]
    assert problem["kind"] == "cycle" and set(problem["data"]["path"]) == {"eq", "mix"}


def test_post_api_graph_transactions(web: Web) -> None:
    edits = [{"add_node": {"id": "wah", "type": "equalizer"}}, {"connect": {"source": "hum.out", "target": "wah.in"}}]
    answer = web.curl("POST", "/api/graph/transactions", {"edits": edits, "label": "A wah"})
    assert answer.json["ids"] == ["wah", "hum.out:wah.in"] and answer.json["frame"] % 256 == 0
    before = tag(web)
    bad = [{"add_node": {"type": "gian"}}, {"connect": {"source": "nobody.out", "target": "wah.in"}}]
    problems = error(web.curl("POST", "/api/graph/transactions", {"edits": bad}), 422, "invalid_graph")["data"][
        "problems"
    ]
    assert [problem["where"].partition(".")[0] for problem in problems] == ["edits[0]", "edits[1]"]
    stale = web.curl("POST", "/api/graph/transactions", {"edits": edits}, "-H", 'If-Match: "0"')
    error(stale, 409, "conflict")
    assert tag(web) == before


def test_post_api_graph_validate(web: Web) -> None:
    assert web.curl("POST", "/api/graph/validate", {"document": GRAPH}).json["valid"] is True
    answer = web.curl("POST", "/api/graph/validate", {"edits": [{"remove_node": {"id": "nobody"}}]})
    assert answer.status == 200 and answer.json["valid"] is False


def test_get_api_graph_export_and_diff(web: Web) -> None:
    before = web.curl("GET", "/api/graph").json["revision"]
    web.curl("PATCH", "/api/graph/nodes/hum", {"config": {"frequency": 62}})
    assert b"frequency: 62" in web.curl("GET", "/api/graph/export").body
    (change,) = web.curl("GET", f"/api/graph/diff?base={before}").json["changes"]
    assert (change["place"], change["before"], change["after"]) == ("hum.frequency", 50, 62)


def test_names_places_and_ways_around(web: Web) -> None:
    web.curl("POST", "/api/graph/rename", {"name": "attic"})
    web.curl("POST", "/api/graph/nodes/eq/move", {"x": 1, "y": 2})
    web.curl("POST", "/api/graph/nodes/eq/bypass")
    web.curl("POST", "/api/graph/nodes/eq/rename", {"label": "Bright"})
    graph = web.curl("GET", "/api/graph").json
    eq = next(node for node in graph["nodes"] if node["id"] == "eq")
    assert (graph["name"], eq["label"], eq["state"]) == ("attic", "Bright", "bypassed")
    assert eq["position"] == {"x": 1, "y": 2} and len(graph["connections"]) == 3


def test_post_api_graph_clone(web: Web) -> None:
    answer = web.curl("POST", "/api/graph/clone", {"nodes": ["eq"], "wiring": "inputs"})
    assert answer.status == 200 and answer.json["ids"][0] in ids(web)


# ---- Node types ------------------------------------------------------------------------------------------------------


def test_get_api_nodes_templates(web: Web) -> None:
    assert "equalizer" in [template["type"] for template in web.curl("GET", "/api/nodes/templates").json]


def test_get_api_nodes_type_schema(web: Web) -> None:
    assert "gain_db" in web.curl("GET", "/api/nodes/gain/schema").json["properties"]
    error(web.curl("GET", "/api/nodes/gian/schema"), 404, "not_found")


def test_post_api_nodes_type_test(web: Web) -> None:
    assert web.curl("POST", "/api/nodes/gain/test", {"config": {"gain_db": -3}}).json["ok"] is True
    answer = web.curl("POST", "/api/nodes/file_player/test", {"config": {"path": "nothing.wav"}})
    assert answer.status == 200 and answer.json["ok"] is False


def test_api_graph_nodes_id_state(web: Web) -> None:
    web.curl("POST", "/api/runtime/step", {"blocks": 8})
    state = web.curl("GET", "/api/graph/nodes/eq/state").json["state"]
    put = web.curl("PUT", "/api/graph/nodes/eq/state", state)
    assert state["type"] == "equalizer" and put.status == 200, put.body


def test_api_templates(web: Web) -> None:
    made = web.curl("POST", "/api/templates", {"name": "Strip", "nodes": ["eq", "mix"], "replace": True})
    assert made.status == 204
    assert [one["name"] for one in web.curl("GET", "/api/templates").json] == ["Strip"]
    assert len(web.curl("POST", "/api/templates/Strip/insert", {}).json["ids"]) >= 2
    assert web.curl("DELETE", "/api/templates/Strip").status == 204
    assert web.curl("GET", "/api/templates").json == []


# ---- The engine ------------------------------------------------------------------------------------------------------


def test_post_api_runtime_start_stop_pause_step(web: Web) -> None:
    assert web.curl("POST", "/api/runtime/stop").json["state"] == "stopped"
    assert web.curl("POST", "/api/runtime/start").json["state"] == "running"
    paused = web.curl("POST", "/api/runtime/pause")
    assert paused.status == 200 and paused.json["state"] == "paused"
    before = paused.json["frame"]
    assert web.curl("POST", "/api/runtime/step", {"blocks": 7}).json["frame"] == before + 7 * 256
    for odd in (0, 1.5, "1", True):
        error(web.curl("POST", "/api/runtime/step", {"blocks": odd}), 400, "invalid_params")
    assert web.curl("POST", "/api/runtime/step", {"blocks": 1.0}).status == 200


def test_get_api_runtime_status_and_performance(web: Web) -> None:
    web.curl("POST", "/api/runtime/step", {"blocks": 32})
    status = web.curl("GET", "/api/runtime/status").json
    assert status["state"] == "running" and status["nodes"] == 4
    performance = web.curl("GET", "/api/runtime/performance").json
    cost = performance["nodes"]["eq"]
    assert 0 < cost["minimum_ns"] <= cost["average_ns"] <= cost["maximum_ns"] and cost["wait_ns"] > 0
    assert cost["load"] == pytest.approx(cost["average_ns"] / (256e9 / 48000))
    assert performance["incidents"] == []


def test_get_api_runtime_meters(web: Web) -> None:
    web.curl("GET", "/api/runtime/meters")
    web.curl("POST", "/api/runtime/step", {"blocks": 8})
    levels = web.curl("GET", "/api/runtime/meters?nodes=hum&nodes=mix").json
    assert set(levels) == {"hum", "mix"} and levels["hum"]["peak_db"] == [-20.0, -20.0]


# ---- Looking in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["hum.out", "eq.in", "hum.out:eq.in"])
def test_get_api_debug_buffers_id(web: Web, id: str) -> None:
    web.curl("GET", f"/api/debug/buffers/{id}?seconds=0.001")
    web.curl("POST", "/api/runtime/step", {"blocks": 8})
    told = web.curl("GET", f"/api/debug/buffers/{id}?seconds=0.01").json
    samples = np.array(told["samples"])
    expected = 0.1 * np.sin(2 * np.pi * 50 / 48000 * (told["frame"] + np.arange(480)))
    assert samples.shape == (2, 480) and told["sample_rate"] == 48000
    assert np.abs(samples[0]).max() <= 0.1 and np.corrcoef(samples[0], samples[1])[0, 1] > 0.999
    assert np.abs(np.diff(samples, n=2) + (2 * np.pi * 50 / 48000) ** 2 * samples[:, 1:-1]).max() < 1e-6, expected


@pytest.mark.parametrize("format", ["npy", "wav"])
def test_get_api_debug_buffers_id_as_a_file(web: Web, format: str) -> None:
    web.curl("GET", "/api/debug/buffers/hum.out?seconds=0.001")
    web.curl("POST", "/api/runtime/step", {"blocks": 20})
    told = web.curl("GET", "/api/debug/buffers/hum.out?seconds=0.1").json
    answer = web.curl("GET", f"/api/debug/buffers/hum.out?seconds=0.1&format={format}")
    assert answer.headers["content-type"] == {"npy": "application/x-npy", "wav": "audio/wav"}[format]
    assert re.search(rf'filename="hum-out-\d+\.{format}"', answer.headers["content-disposition"])
    if format == "npy":
        samples = np.load(io.BytesIO(answer.body))
    else:
        sound, rate = soundfile.read(io.BytesIO(answer.body), dtype="float32")
        samples = sound.T
        assert rate == 48000
    assert samples.dtype == np.float32 and samples.shape == (2, 4800)
    np.testing.assert_allclose(samples, told["samples"], atol=1e-7)


def test_buffers_of_what_is_not_there(web: Web) -> None:
    error(web.curl("GET", "/api/debug/buffers/nobody.out"), 404, "not_found")
    error(web.curl("GET", "/api/debug/buffers/hum.in"), 404, "not_found")
    error(web.curl("GET", "/api/debug/buffers/hum.out:mix.in_2"), 404, "not_found")
    error(web.curl("GET", "/api/debug/buffers/hum"), 400, "invalid_params")
    error(web.curl("GET", "/api/debug/buffers/hum.out?seconds=5"), 400, "invalid_params")


def test_post_api_debug_inject_node(web: Web) -> None:
    web.curl("GET", "/api/debug/buffers/eq.in?seconds=0.001")
    web.curl("PATCH", "/api/graph/nodes/hum", {"config": {"wave": "silence"}})
    web.curl("POST", "/api/runtime/step", {"blocks": 20})
    body = {"signal": "samples", "samples": [[0.5] * 4800], "duration_s": 0.1}
    answer = web.curl("POST", "/api/debug/inject/eq", body)
    assert answer.json["port"] == "eq.in" and answer.json["frames"] == 4800
    web.curl("POST", "/api/runtime/step", {"blocks": 30})
    told = web.curl("GET", "/api/debug/buffers/eq.in?seconds=0.2").json
    heard = np.array(told["samples"])[0][answer.json["frame"] - told["frame"] :]
    assert np.abs(heard[300:4000] - 0.5).max() < 1e-6 and np.abs(heard[4800:]).max() == 0
    assert 0 < heard[0] < 0.001 and (np.diff(heard[:240]) > 0).all(), "it fades in"
    error(web.curl("POST", "/api/debug/inject/hum", {}), 404, "not_found")
    error(web.curl("POST", "/api/debug/inject/eq", {"signal": "samples"}), 400, "invalid_params")
    forgotten = error(web.curl("POST", "/api/debug/inject/eq", {"samples": [[0.5]]}), 400, "invalid_params")
    assert forgotten["data"]["problems"][0]["where"] == "samples", "a tone would have been played instead"
    error(
        web.curl("POST", "/api/debug/inject/eq", {"signal": "samples", "samples": [[1], [1], [1]]}),
        400,
        "invalid_params",
    )


@pytest.mark.parametrize("signal", ["tone", "noise", "impulse"])
def test_post_api_debug_inject_node_signals(web: Web, signal: str) -> None:
    web.curl("GET", "/api/debug/buffers/drain.in?seconds=0.001")
    web.curl("PATCH", "/api/graph/nodes/hum", {"config": {"wave": "silence"}})
    web.curl("POST", "/api/runtime/step", {"blocks": 20})
    body = {"signal": signal, "port": "in", "level_db": -6, "frequency": 1000, "duration_s": 0.1}
    frame = web.curl("POST", "/api/debug/inject/drain", body).json["frame"]
    web.curl("POST", "/api/runtime/step", {"blocks": 30})
    told = web.curl("GET", "/api/debug/buffers/drain.in?seconds=0.2").json
    heard = np.array(told["samples"])[1][frame - told["frame"] :][:4800]
    assert 0.45 < np.abs(heard).max() < 0.502
    if signal == "tone":
        assert np.abs(np.fft.rfft(heard)).argmax() == 100
    elif signal == "impulse":
        assert np.count_nonzero(heard) == 1


def test_get_api_debug_trace_node(web: Web) -> None:
    error(web.curl("GET", "/api/debug/trace/nobody"), 404, "not_found")
    nothing = web.curl("GET", "/api/debug/trace/eq?blocks=3").json
    assert nothing["blocks"] == [] and not nothing["complete"], "on the step clock none comes by itself"


# ---- History, snapshots, devices -------------------------------------------------------------------------------------


def test_api_history(web: Web) -> None:
    web.curl("PATCH", "/api/graph/nodes/hum", {"config": {"frequency": 61}})
    assert web.curl("GET", "/api/history?limit=2&details=true").json[0]["author"] == "local"
    assert web.curl("POST", "/api/history/undo").status == 200
    assert web.curl("POST", "/api/history/redo", {"fade_ms": 0}).status == 200
    node = next(node for node in web.curl("GET", "/api/graph").json["nodes"] if node["id"] == "hum")
    assert node["config"]["frequency"] == 61


def test_post_api_history_revert(web: Web) -> None:
    before = web.curl("GET", "/api/graph").json["revision"]
    web.curl("DELETE", "/api/graph/nodes/eq")
    assert web.curl("POST", "/api/history/revert", {"revision": before}).status == 200
    assert "eq" in ids(web)


def test_api_schedule(web: Web) -> None:
    late = {
        "edits": [{"remove_node": {"id": "eq"}}],
        "at": web.curl("GET", "/api/runtime/status").json["frame"] + 1_000_000,
    }
    waiting = subprocess.Popen(
        ["curl", "-sS", "-w", "%{http_code}", "--json", json.dumps(late), f"{web.base}/api/graph/transactions"],
        stdout=subprocess.PIPE,
    )
    while not (scheduled := web.curl("GET", "/api/schedule").json):
        time.sleep(0.02)
    assert web.curl("DELETE", f"/api/schedule/{scheduled[0]['id']}").status in (200, 204)
    assert waiting.communicate(timeout=30)[0].endswith(b"}409") and web.curl("GET", "/api/schedule").json == []


def test_api_snapshots(web: Web) -> None:
    assert web.curl("POST", "/api/snapshots", {"name": "Before noon", "replace": True}).status == 200
    assert web.curl("GET", "/api/snapshots").json[0]["name"] == "Before noon"
    assert web.curl("POST", "/api/snapshots/Before%20noon/load", {"fade_ms": 0}).status == 200
    answer = web.curl("DELETE", "/api/snapshots/Before%20noon")
    assert (answer.status, answer.body) == (204, b"")
    error(web.curl("DELETE", "/api/snapshots/Before%20noon"), 404, "not_found")


def test_api_devices(web: Web) -> None:
    answer = web.curl("GET", "/api/devices")
    assert answer.status == 200 and "devices" in answer.json
    assert web.curl("POST", "/api/devices/probe", {"device": "hw:99"}).status in (404, 503)
    assert web.curl("POST", "/api/devices/mixer", {"device": "hw:99"}).status in (404, 503)
    assert web.curl("GET", "/api/presence").json == []


# ---- The daemon ------------------------------------------------------------------------------------------------------


def test_get_healthz(web: Web) -> None:
    well = {"status": "ok", "state": "running", "nodes_in_trouble": 0, "storage": "ok"}
    assert web.curl("GET", "/healthz").json == well
    web.curl("POST", "/api/graph/nodes", {"type": "file_player", "id": "gone", "config": {"path": "nothing.wav"}})
    while web.curl("GET", "/api/graph").json["nodes"][-1]["state"] == "starting":
        pass
    troubled = web.curl("GET", "/healthz")
    assert troubled.status == 200 and troubled.json == {**well, "status": "degraded", "nodes_in_trouble": 1}
    assert b"nothing.wav" not in troubled.body, "nobody need know"
    assert "nothing.wav" in web.curl("GET", "/api/system/health").json["nodes"][0]["message"]
    web.curl("POST", "/api/runtime/stop")
    assert web.curl("GET", "/healthz").json == {**well, "state": "stopped"}, "no node is to run"


def test_get_healthz_and_metrics_while_nothing_can_be_stored(web: Web) -> None:
    """No file may grow beyond 4 KiB, less than a page of the journal: the disk is full, as far as the storage can tell."""
    assert b"\ntonnetz_storage_refusing 0\n" in web.curl("GET", "/metrics").body
    before = resource.prlimit(web.daemon.process.pid, resource.RLIMIT_FSIZE, (4096, -1))
    try:
        refused = web.curl("POST", "/api/graph/nodes", {"type": "gain"})
        assert error(refused, 503, "unavailable")
        told = web.curl("GET", "/healthz").json
        assert told == {"status": "degraded", "state": "running", "nodes_in_trouble": 0, "storage": "refusing"}
        assert b"\ntonnetz_storage_refusing 1\n" in web.curl("GET", "/metrics").body
        assert web.curl("GET", "/api/system/health").json["storage"]["message"]
    finally:
        resource.prlimit(web.daemon.process.pid, resource.RLIMIT_FSIZE, before)
    while web.curl("GET", "/healthz").json["status"] != "ok":
        time.sleep(0.05)
    assert web.curl("POST", "/api/graph/nodes", {"type": "gain"}).status == 200


def test_get_openapi_json(web: Web) -> None:
    document = web.curl("GET", "/openapi.json").json
    assert document["openapi"].startswith("3.1") and "/api/graph" in document["paths"]
    assert web.curl("GET", "/openrpc.json").json["openrpc"].startswith("1.3")


def test_get_pages(web: Web) -> None:
    pages = {
        "html": [web.curl("GET", "/"), web.curl("GET", "/api")],
        "javascript": [web.curl("GET", "/assets/api.js")],
        "css": [web.curl("GET", "/assets/pages.css")],
    }
    for kind, answers in pages.items():
        for answer in answers:
            assert answer.status == 200 and kind in answer.headers["content-type"]
            rest = re.sub(rb'href="/|JSON-RPC over HTTP|HTTP', b"", answer.body)
            assert b"http" not in rest, "nothing is fetched from elsewhere"


def test_api_system(web: Web) -> None:
    assert web.curl("GET", "/api/system/version").json["api"] == 1
    about = web.curl("GET", "/api/system").json
    assert about["block_frames"] == 256 and "graph.apply" in about["methods"]
    assert web.curl("GET", "/api/system/health").json["status"] == "ok"
    told = error(web.curl("POST", "/api/system/reload"), 403, "forbidden")
    assert "admin" in told["message"], "without a token nobody is more than an operator"


def test_post_api_tickets(web: Web) -> None:
    given = web.curl("POST", "/api/tickets").json
    assert web.curl("GET", f"/api/graph?ticket={given['ticket']}").status == 200


def test_post_api_rpc(web: Web) -> None:
    one = {"jsonrpc": "2.0", "id": 1, "method": "system.version"}
    assert web.curl("POST", "/api/rpc", one).json["result"]["api"] == 1
    assert [answer["id"] for answer in web.curl("POST", "/api/rpc", [one, {**one, "id": 2}]).json] == [1, 2]
    assert web.curl("POST", "/api/rpc", {"jsonrpc": "2.0", "method": "system.version"}).status == 204
    assert web.curl("POST", "/api/rpc", b"{").json["error"]["code"] == -32700
    waiting = web.curl("POST", "/api/rpc", {**one, "method": "events.subscribe"}).json
    assert waiting["error"]["data"]["name"] == "unavailable"


# ---- What can't be ---------------------------------------------------------------------------------------------------


def test_errors_have_one_shape(web: Web) -> None:
    error(web.curl("GET", "/api/nothing"), 404, "not_found")
    refused = web.curl("PUT", "/api/runtime/status", {})
    error(refused, 405, "method_not_found")
    assert set(refused.headers["allow"].split(",")) == {"GET", "HEAD"}
    error(web.curl("POST", "/api/graph/nodes", b'{"type": NaN}'), 400, "parse_error")
    error(web.curl("POST", "/api/graph/nodes", b'{"type": 1e999}'), 400, "parse_error")
    error(web.curl("POST", "/api/graph/nodes", [1]), 400, "invalid_params")
    deep = b'{"type": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    error(web.curl("POST", "/api/graph/nodes", deep), 400, "invalid_request")
    (problem,) = error(web.curl("GET", "/api/history?limt=3"), 400, "invalid_params")["data"]["problems"]
    assert problem["kind"] == "unknown_parameter" and "limit" in problem["message"]
    error(web.curl("GET", "/api/history?limit=1&limit=2"), 400, "invalid_params")
    error(web.curl("PATCH", "/api/graph/nodes/hum", {"id": "eq", "config": {}}), 400, "invalid_params")


def test_a_body_that_is_too_large(web: Web) -> None:
    body = json.dumps({"edits": ["x" * (9 << 20)]}).encode()
    refused = web.curl("POST", "/api/graph/transactions", body)
    message = error(refused, 413, "invalid_request")["message"]
    assert "8388608" in message and not message.endswith("..")


# ---- What has no end -------------------------------------------------------------------------------------------------

UPGRADE = (
    "-HConnection: Upgrade",
    "-HUpgrade: websocket",
    "-HSec-WebSocket-Version: 13",
    "-HSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def test_ws_api_ws_graph(web: Web) -> None:
    with web.curl_stream("GET", "/api/ws/graph", *UPGRADE) as events:
        assert events.status == 101
        web.curl("PATCH", "/api/graph/nodes/hum", {"config": {"frequency": 63}})
        assert b'"param":"frequency","value":63' in events.until(b'"transaction_applied"')


def test_ws_api_ws_monitoring(web: Web) -> None:
    with web.curl_stream("GET", "/api/ws/monitoring?rate=60&nodes=hum", *UPGRADE) as figures:
        assert figures.status == 101
        for _ in range(3):
            assert b'"hum"' in figures.until(b'"type":"figures"') + figures.until(b'"peak_db"')


def test_get_api_listen_node_port(live: Web) -> None:
    with live.curl_stream("GET", "/api/listen/hum/out.wav") as sound:
        assert sound.status == 200 and "audio/wav" in sound.head
        assert sound.until(b"data").startswith(b"RIFF") or b"RIFF" in sound.head
    with live.curl_stream("GET", "/api/ws/listen/hum/out", *UPGRADE) as samples:
        assert samples.status == 101
        assert b'"port":"hum.out"' in samples.until(b'"channels"')


def test_every_endpoint_is_asked_for_by_curl(web: Web, tmp_path: Path) -> None:
    """Each route of the door stands, with its verb, in a call of curl in one of these files; words in braces may be
    anything there, all else has to be written out."""
    asked: set[tuple[str, str]] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("curl", "curl_stream"):
                verb, path = call.args[:2]
                if isinstance(verb, ast.Constant):
                    asked.add((verb.value, written(path).partition("?")[0]))
    door = HttpDoor(cast("Session", FakeSession()), load_methods(), Port(HttpSettings(), TokenFile(tmp_path)))
    routes = {(route.method, route.resource.canonical) for route in door.router.routes() if route.resource}
    missing = [
        f"{verb} {path}"
        for verb, path in routes
        if verb != "HEAD" and not any(verb == one and re.fullmatch(pattern_of(path), place) for one, place in asked)
    ]
    assert len(routes) > 60 and missing == []


def written(path: ast.expr) -> str:
    """The path of a call as far as it is written out."""
    parts = path.values if isinstance(path, ast.JoinedStr) else [path]
    return "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in parts)


def pattern_of(route: str) -> str:
    return re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route))
