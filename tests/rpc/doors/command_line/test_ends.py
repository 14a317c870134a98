"""rpc/doors/command_line/ends.py: a node's name is enough where only one port can be meant."""

from __future__ import annotations

from typing import Any

import click
import pytest

from tonnetz.daemon.problems import Refusal
from tonnetz.rpc.doors.command_line.ends import between, pairs


def node(name: str, kind: str, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    ports = [{"name": port, "direction": "input"} for port in inputs]
    return {"id": name, "type": kind, "ports": ports + [{"name": port, "direction": "output"} for port in outputs]}


GRAPH: dict[str, Any] = {
    "nodes": [
        node("mic", "tone", [], ["out"]),
        node("comp", "compressor", ["in", "sidechain"], ["out", "gain_reduction_db"]),
        node("mix", "mixer", ["in_1", "in_2"], ["out"]),
        node("rec", "file_writer", ["in"], []),
        node("lfo", "lfo", [], ["value"]),
    ],
    "connections": [
        {"id": "mic.out:mix.in_1", "source": "mic.out", "target": "mix.in_1"},
        {"id": "comp.out:mix.in_1", "source": "comp.out", "target": "mix.in_1"},
        {"id": "comp.gain_reduction_db:rec.in", "source": "comp.gain_reduction_db", "target": "rec.in"},
        {"id": "comp.out:rec.in", "source": "comp.out", "target": "rec.in"},
    ],
}


@pytest.mark.parametrize(
    ("chain", "connections"),
    [
        ("mic rec", [("mic.out", "rec.in")]),
        ("mic comp mix.in_2", [("mic.out", "comp.in"), ("comp.out", "mix.in_2")]),
        ("mic mix.in_1 rec", [("mic.out", "mix.in_1"), ("mix.out", "rec.in")]),
        ("mic comp.sidechain", [("mic.out", "comp.sidechain")]),
        ("comp.gain_reduction_db rec", [("comp.gain_reduction_db", "rec.in")]),
        ("lfo rec", [("lfo.value", "rec.in")]),
    ],
)
def test_chains(chain: str, connections: list[tuple[str, str]]) -> None:
    assert pairs(GRAPH, chain.split()) == connections


@pytest.mark.parametrize(
    ("chain", "complaint"),
    [
        ("mic mixx.in_1", "There is no node 'mixx'. Did you mean 'mix'?"),
        ("mic mix.in_3", r"There is no input 'mix\.in_3'. Did you mean 'mix\.in_[12]'"),
        ("rec mic", "rec, of type file_writer, has no output"),
        ("mic lfo", "lfo, of type lfo, has no input"),
    ],
)
def test_what_is_not_there_is_refused(chain: str, complaint: str) -> None:
    with pytest.raises(Refusal, match=complaint):
        pairs(GRAPH, chain.split())


def test_a_node_that_may_mean_several_ports_is_no_command() -> None:
    with pytest.raises(click.UsageError, match=r"mix has 2 inputs; say which, such as mix\.in_2"):
        pairs(GRAPH, ["mic", "mix"])


def test_what_connects_two_ends() -> None:
    assert between(GRAPH, "comp", "rec") == ["comp.gain_reduction_db:rec.in", "comp.out:rec.in"]
    assert between(GRAPH, "comp.out", "rec") == ["comp.out:rec.in"]
    with pytest.raises(Refusal, match="Nothing connects mic to rec; `tonnetz show` lists"):
        between(GRAPH, "mic", "rec")
