"""/metrics is what Prometheus reads: checked with its own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from .conftest import Web


def test_prometheus_reads_it(web: Web) -> None:
    with web.daemon.client() as client:
        client.call("runtime.step", blocks=64)
        client.call("graph.add_node", type="file_player", id="player", config={"path": "nothing.wav"})
        status = client.call("runtime.status")
    answer = web.curl("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert all(name.startswith("tonnetz_") and family.documentation for name, family in families.items())

    def value(name: str, **labels: str) -> float:
        family = families[name.removesuffix("_total")]
        return next(sample.value for sample in family.samples if sample.name == name and sample.labels == labels)

    assert value("tonnetz_engine_state", state="running") == 1 and value("tonnetz_engine_state", state="paused") == 0
    assert value("tonnetz_engine_blocks_total") * 256 == value("tonnetz_engine_frames_total") == status["frame"]
    assert value("tonnetz_graph_revision") == status["revision"] and value("tonnetz_graph_nodes") == 5
    assert 0 < value("tonnetz_node_busy_seconds", node="eq") <= value("tonnetz_node_busy_maximum_seconds", node="eq")
    assert [sample.labels["node"] for sample in families["tonnetz_node_trouble"].samples] == ["player"]
    assert families["tonnetz_engine_wake_lateness_seconds"].type == "histogram"
    with web.daemon.client() as client:
        client.call("runtime.stop")
    lines = web.curl("GET", "/metrics").body.decode().splitlines()
    assert 'tonnetz_engine_state{state="stopped"} 1' in lines
    assert [line for line in lines if line.startswith("tonnetz_node_trouble")] == [], "no node is to run"


def test_lateness_is_a_histogram(live: Web) -> None:
    text = live.curl("GET", "/metrics").body.decode()
    (family,) = [f for f in text_string_to_metric_families(text) if f.name == "tonnetz_engine_wake_lateness_seconds"]
    buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
    assert [bucket.value for bucket in buckets] == sorted(bucket.value for bucket in buckets)
    assert buckets[-1].labels["le"] == "+Inf" and buckets[-1].value > 0
    limits = [float(bucket.labels["le"]) for bucket in buckets]
    assert limits == sorted(limits)
