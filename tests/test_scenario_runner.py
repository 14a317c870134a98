"""The scenario runner itself: each kind of expectation is disappointed by what is not so. What can't fail proves nothing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tonnetz.daemon.history import Entry, History

from .recordings import Recording
from .scenarios.expectations import KINDS, check
from .scenarios.performance import Performance, differences, play
from .scenarios.scenario import parse

BASE: dict[str, Any] = {
    "title": "A tone that becomes twice as loud",
    "sounds": {"count.wav": {"frames": 9600, "samples": ["n / 65536"]}},
    "graph": {
        "nodes": [
            {"id": "player", "type": "file_player", "config": {"path": "count.wav", "channels": 1}},
            {"id": "tone", "type": "tone", "config": {"frequency": 1000, "level_db": -20, "channels": 1}},
            {"id": "level", "type": "gain", "config": {}},
            {"id": "count", "type": "file_writer", "config": {"path": "a", "subtype": "float", "channels": 1}},
            {"id": "heard", "type": "file_writer", "config": {"path": "b", "subtype": "float", "channels": 1}},
        ],
        "connections": [
            {"source": "player.out", "target": "count.in"},
            {"source": "tone.out", "target": "level.in"},
            {"source": "level.out", "target": "heard.in"},
        ],
    },
    "frames": 15360,
    "transactions": [
        {
            "at_frame": 5120,
            "fade_ms": 5,
            "edits": [
                {"configure_node": {"id": "level", "config": {"gain_db": 6}}},
                {"add_node": {"type": "mixer"}},
            ],
            "ids": ["mixer_1"],
            "events": ["parameter_changed", "node_added", "transaction_applied"],
        },
        {
            "at_frame": 7680,
            "edits": [{"replace_node": {"id": "mixer_1", "type": "gain"}}, {"remove_node": {"id": "level"}}],
            "state_carried": {"mixer_1": False},
            "warnings": [],
        },
        {
            "at_frame": 10240,
            "edits": [{"remove_node": {"id": "nobody", "strategy": "bridge"}}, {"remove_node": {"id": "nothing"}}],
            "refused": {
                "name": "not_found",
                "problems": [
                    {"kind": "unknown_node", "where": "edits[0].id", "says": ["nobody"], "data": {"node": "nobody"}},
                    {"kind": "unknown_node", "where": "edits[1].id"},
                ],
            },
        },
        {
            "at_frame": 10240,
            "edits": [{"remove_node": {"id": "player", "strategy": "bridge"}}],
            "warnings": ["no input and output"],
        },
    ],
    "expect": [
        {"level": {"recording": "heard", "to": 4800, "peak_db": -20, "rms_db": -23.01}},
        {"frequency": {"recording": "heard", "to": 4800, "hz": 1000}},
        {"silence": {"recording": "heard", "from": 8640}},
        {"samples": {"recording": "count", "to": 9600, "equal": "n / 65536"}},
        {"samples": {"recording": "count", "to": 9600, "equal": 'sound("count.wav")[0][n]', "tolerance": 1e-9}},
        {"largest_step": {"recording": "heard", "at_most": 0.03}},
        {"click": {"recording": "heard", "at_least": 0.02}},
        {"extent": {"recording": "count", "from": 0, "to": 15360, "channels": 1}},
        {"nothing": {"recording": "tone"}},
        {"logged": {"messages": []}},
    ],
}

# What is changed in the above (a path, and what stands there instead), and what the disappointment says.
WRONG: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("expect", 0, "level", "peak_db"), -20.1, r"expect\[0\].*peak is \[-20"),
    (("expect", 0, "level", "rms_db"), -23.1, r"expect\[0\].*rms is \[-23.01"),
    (("expect", 0, "level", "to"), 6400, r"expect\[0\].*peak is \[-14"),
    (("expect", 0, "level", "to"), 15361, r"has recorded the frames 0–15360"),
    (("expect", 0, "level", "recording"), "tone", r"tone has recorded nothing"),
    (("expect", 1, "frequency", "hz"), 1002, r"expect\[1\].*it is \[1000"),
    (("expect", 2, "silence", "from"), 8600, r"expect\[2\].*40 frames are not silent, the first is 8600|not silent"),
    (("expect", 3, "samples", "equal"), "n / 65537", r"expect\[3\].*frames are off"),
    (
        ("expect", 3, "samples", "equal"),
        "where(n == 77, 1, n / 65536)",
        r"1 frames are off by up to 0.999, the first is 77",
    ),
    (
        ("expect", 3, "samples", "equal"),
        "where(n == 77, np.nan, n / 65536)",
        r"1 frames are off by up to nan, the first is 77",
    ),
    (("expect", 3, "samples", "equal"), ["n / 65536", "0"], r"there are 1 channels"),
    (("expect", 4, "samples", "equal"), 'sound("count.wav")[0][n] + 1e-6', r"expect\[4\].*9600 frames are off"),
    (("expect", 5, "largest_step", "at_most"), 0.02, r"expect\[5\].*it goes 0.02"),
    (("expect", 6, "click", "at_least"), 0.2, r"expect\[6\].*its largest step is 0.02"),
    (("expect", 7, "extent", "to"), 15359, r"expect\[7\].*it holds the frames 0–15360, in 1 channels and 1 files"),
    (("expect", 7, "extent", "from"), 256, r"expect\[7\].*it holds the frames 0–15360"),
    (("expect", 7, "extent", "channels"), 2, r"in 1 channels"),
    (("expect", 7, "extent", "files"), 2, r"and 1 files"),
    (("expect", 8, "nothing", "recording"), "heard", r"expect\[8\].*it has recorded heard"),
    (("expect", 9, "logged", "messages"), ["NaN"], r"expect\[9\].*logged was \[\]"),
    (("transactions", 0, "ids"), ["mixer_2"], r"transactions\[0\]: ids \['mixer_1'\]"),
    (("transactions", 0, "events"), ["node_added", "parameter_changed", "transaction_applied"], r"\[0\]: events"),
    (("transactions", 0, "events"), ["parameter_changed", "node_added"], r"\[0\]: events"),
    (("transactions", 1, "state_carried"), {"mixer_1": True}, r"\[1\]: state_carried \{'mixer_1': False\}"),
    (("transactions", 1, "state_carried"), {}, r"\[1\]: state_carried \{'mixer_1': False\}"),
    (("transactions", 1, "warnings"), ["something"], r"\[1\]: warnings \[\]"),
    (("transactions", 3, "warnings"), [], r"\[3\]: warnings \['player has no"),
    (("transactions", 3, "warnings"), ["something else"], r"\[3\]: warnings \['player has no"),
    (("transactions", 1, "refused"), {"name": "not_found"}, r"\[1\]: it was accepted"),
    (("transactions", 2, "refused"), None, r"\[2\]: it was refused: edits\[0\].id"),
    (("transactions", 2, "refused", "name"), "conflict", r"\[2\]: refused as not_found instead of conflict"),
    (("transactions", 2, "refused", "problems", 1), None, r"\[2\]: problems"),
    (("transactions", 2, "refused", "problems", 0, "kind"), "unknown_port", r"\[2\]: problems"),
    (("transactions", 2, "refused", "problems", 0, "where"), "edits[0]", r"\[2\]: problems"),
    (("transactions", 2, "refused", "problems", 0, "says"), ["somebody"], r"does not say 'somebody'"),
    (("transactions", 2, "refused", "problems", 0, "data"), {"node": "some"}, r"has the data \{'node': 'nobody'\}"),
]


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """BASE with another value at a path; None: without what is there."""
    data = copy.deepcopy(BASE)
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return data


async def test_what_is_so_is_no_disappointment(tmp_path: Path) -> None:
    check(await play(parse(BASE), tmp_path))


@pytest.mark.parametrize(("path", "value", "told"), WRONG, ids=[".".join(map(str, path)) for path, _, _ in WRONG])
async def test_what_is_not_so_is_a_disappointment(
    path: tuple[str | int, ...], value: Any, told: str, tmp_path: Path
) -> None:
    performance = await play(parse(changed(path, value)), tmp_path)
    with pytest.raises(AssertionError, match=told):
        check(performance)


def test_every_kind_of_expectation_is_disappointed_here() -> None:
    tried = {kind for entry in BASE["expect"] for kind in entry}
    assert tried == {path[2] for path, _, _ in WRONG if path[0] == "expect"} == set(KINDS)
    settable = {name for path, _, _ in WRONG if path[0] == "transactions" for name in path[2:3]}
    assert settable == {"ids", "events", "state_carried", "warnings", "refused"}


@pytest.mark.parametrize(
    "path",
    [
        ("expectations",),
        ("transactions", 0, "at"),
        ("transactions", 2, "refused", "problem"),
        ("sounds", "count.wav", "sample"),
        ("expect", 0, "level", "pek_db"),
    ],
)
async def test_a_misspelt_key_is_an_error(path: tuple[str | int, ...], tmp_path: Path) -> None:
    with pytest.raises(msgspec.ValidationError, match=str(path[-1])):
        check(await play(parse(changed(path, [])), tmp_path))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("frames",), 15361),
        (("transactions", 0, "at_frame"), 5121),
        (("transactions", 0, "at_frame"), 10240),
        (("frames",), 7680),
        (("transactions", 0, "at_frame"), -256),
    ],
)
def test_moments_that_make_no_sense_are_errors(path: tuple[str | int, ...], value: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        parse(changed(path, value))


def test_a_scenario_that_expects_nothing_is_an_error() -> None:
    data = {**BASE, "expect": [], "transactions": []}
    with pytest.raises(msgspec.ValidationError, match="must expect something"):
        parse(data)


async def test_an_inverse_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forgetful(history: History, entry: Entry) -> None:
        add(history, msgspec.structs.replace(entry, inverse=entry.inverse[:-1]))

    add = History.add
    monkeypatch.setattr(History, "add", forgetful)
    with pytest.raises(AssertionError, match="undoing .* gives another graph"):
        await play(parse(BASE), tmp_path, "undone")


def test_recordings_that_differ_are_found() -> None:
    def performance(**recordings: tuple[int, list[float]]) -> Performance:
        made = {
            node_id: [Recording(Path(node_id), begin, np.array([samples], np.float32))]
            for node_id, (begin, samples) in recordings.items()
        }
        return Performance(parse(BASE), recordings=made)

    one = performance(a=(256, [0, 1, 2]))
    assert differences(one, performance(a=(256, [0, 1, 2]))) == []
    assert differences(one, performance(a=(256, [0, 1, 2.000001]))) == ["a: 1 frames differ, the first at 258"]
    assert differences(one, performance(a=(256, [0, 1]))) == ["a: frames 256–259 and 256–258"]
    assert differences(one, performance(a=(0, [0, 1, 2]))) == ["a: frames 256–259 and 0–3"]
    assert differences(one, performance(b=(256, [0, 1, 2]))) == ["recordings of ['a'] and of ['b']"]


def test_files_with_a_gap_between_them_are_not_joined() -> None:
    def pieces(second: int) -> Performance:
        samples = np.ones((1, 10), np.float32)
        files = [Recording(Path("a.wav"), 0, samples), Recording(Path("a_2.wav"), second, samples)]
        return Performance(parse(BASE), recordings={"a": files})

    assert pieces(10).recording("a").end == 20
    for second in (9, 11):
        with pytest.raises(AssertionError, match="a_2.wav does not begin where a.wav ends"):
            pieces(second).recording("a")
