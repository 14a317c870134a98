"""The node types: what they can be told, what they refuse before anything has changed, and what takes a new endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tonnetz.daemon.endpoints.file_reading import FileReading
from tonnetz.daemon.endpoints.file_recording import FileRecording, RecordingSettings
from tonnetz.daemon.endpoints.passage import ReadingSettings
from tonnetz.daemon.graph.config import complete
from tonnetz.daemon.graph.spec import NodeSpec
from tonnetz.daemon.node_types import file_player, file_writer

from .bench import Place, config_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def reader(**given: Any) -> dict[str, Any]:
    return config_of(file_player.SPEC, {"path": "a.wav", **given})


def writer(**given: Any) -> dict[str, Any]:
    return config_of(file_writer.SPEC, given)


def test_the_parameters_are_those_of_the_contract() -> None:
    assert [parameter.name for parameter in file_player.SPEC.parameters] == [
        "path",
        "loop",
        "gain_db",
        "start_s",
        "end_s",
        "on_end",
        "position_s",
        "buffer_ms",
        "channels",
    ]
    assert [parameter.name for parameter in file_writer.SPEC.parameters] == [
        "path",
        "format",
        "subtype",
        "bitrate_kbps",
        "segment_s",
        "retention",
        "buffer_ms",
        "channels",
    ]


@pytest.mark.parametrize("spec", [file_player.SPEC, file_writer.SPEC], ids=lambda spec: spec.type)
def test_only_what_the_core_has_goes_to_the_core(spec: NodeSpec) -> None:
    core = [parameter.name for parameter in spec.parameters if parameter.core]
    assert core == (["gain_db"] if spec.type == "file_player" else [])
    assert all(parameter.help.endswith(".") for parameter in spec.parameters)
    assert [port.channels_parameter for port in spec.ports] == ["channels"]
    assert [parameter.name for parameter in spec.parameters if parameter.structure] == ["channels"]


def test_a_player_needs_a_path() -> None:
    _, problems = complete(file_player.SPEC, {})
    assert [(problem.kind, problem.where) for problem in problems] == [("missing", "config.path")]


def test_a_recorder_needs_nothing() -> None:
    assert writer()["path"] == "%Y-%m-%d/%H-%M-%S"


def test_endpoints_are_made(place: Place) -> None:
    player = file_player.open_endpoint("a", reader(), place.surroundings)
    recorder = file_writer.open_endpoint("b", writer(), place.surroundings)
    assert isinstance(player, FileReading)
    assert isinstance(recorder, FileRecording)
    assert (player.ring.channels, recorder.ring.channels) == (2, 2)
    assert player.ring.capacity >= 48000
    assert recorder.ring.capacity >= 4 * 48000


@pytest.mark.parametrize("path", ["../a.wav", "/etc/passwd"])
def test_paths_out_of_the_roots_are_forbidden(place: Place, path: str) -> None:
    for problems in (
        file_player.check(reader(path=path), place.surroundings.media),
        file_writer.check(writer(path=path), place.surroundings.media),
    ):
        assert [(problem.kind, problem.where) for problem in problems] == [("forbidden", "config.path")]


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        ({"path": " "}, "config.path", "path names no file"),
        ({"start_s": 2, "end_s": 2}, "config.end_s", "end_s (2 s) must lie behind start_s (2 s)"),
        ({"start_s": 3, "end_s": 2.5}, "config.end_s", "Give a later one, or null for the end of the file."),
    ],
)
def test_a_player_without_a_passage(place: Place, given: dict[str, Any], where: str, message: str) -> None:
    problems = file_player.check(reader(**given), place.surroundings.media)
    assert [problem.where for problem in problems] == [where]
    assert message in problems[0].message


@pytest.mark.parametrize(
    ("given", "wheres", "message"),
    [
        ({"path": "take.mp3"}, ["config.path"], "path ends in .mp3, but format is wav"),
        ({"path": "%K"}, ["config.path"], "'%K', which is no date or time"),
        ({"format": "flac", "subtype": "float"}, ["config.subtype"], "flac holds whole numbers only"),
        ({"format": "mp3", "channels": 6}, ["config.channels"], "mp3 takes at most 2 channels"),
        ({"format": "opus", "channels": 9}, ["config.channels"], "opus takes at most 8 channels"),
        (
            {"format": "flac", "subtype": "float", "channels": 12, "path": "a.wav"},
            ["config.path", "config.subtype", "config.channels"],
            "path ends in .wav, but format is flac",
        ),
    ],
)
def test_a_recorder_that_could_not_record(place: Place, given: dict[str, Any], wheres: list[str], message: str) -> None:
    problems = file_writer.check(writer(**given), place.surroundings.media)
    assert [problem.where for problem in problems] == wheres
    assert message in problems[0].message


def test_what_takes_a_new_player() -> None:
    old = reader(position_s=1)
    assert file_player.restart_needed(old, reader(position_s=1, path="b.wav"))
    assert file_player.restart_needed(old, reader(position_s=2))
    assert file_player.restart_needed(old, reader())
    live = {"loop": True, "gain_db": -3, "start_s": 1, "end_s": 3, "on_end": "hold"}
    assert not file_player.restart_needed(old, reader(position_s=1, **live))


def test_a_recorder_changes_over_by_itself() -> None:
    live = {"path": "b/%F", "format": "mp3", "bitrate_kbps": 64, "segment_s": 3, "retention": 1, "subtype": "pcm_16"}
    assert not file_writer.restart_needed(writer(), writer(**live))


def test_settings_are_taken_from_the_whole_configuration() -> None:
    names = {parameter.name for parameter in file_player.SPEC.parameters}
    assert set(ReadingSettings.__struct_fields__) == names - {"gain_db", "channels"}
    names = {parameter.name for parameter in file_writer.SPEC.parameters}
    assert set(RecordingSettings.__struct_fields__) == names - {"channels"}
