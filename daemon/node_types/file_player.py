"""`file_player`: plays a sound file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..endpoints.endpoint import Endpoint, MediaRoots, Surroundings
from ..endpoints.file_reading import FileReading, examine
from ..endpoints.media_roots import forbidden
from ..endpoints.passage import ReadingSettings
from ..endpoints.ring_parameters import channels_parameter, gain_parameter
from ..endpoints.trial import Trial
from ..graph.spec import NodeSpec, ParameterSpec, PortSpec
from ..problems import Problem

_LONGEST_S = 864000.0  # ten days

SPEC = NodeSpec(
    type="file_player",
    category="source",
    core_type="ring_source",
    help=(
        "Plays a sound file: WAV, FLAC, MP3, Ogg (Vorbis, Opus, FLAC), AAC/M4A, AIFF, CAF, Matroska. "
        "Other sample rates are converted, mono is put on both sides of stereo, and stereo halved into mono. "
        "While the file is missing or can't be read the node is silent, says so in its state, and tries it again "
        "every second."
    ),
    parameters=(
        ParameterSpec(
            name="path",
            kind="text",
            core=False,
            help=(
                "The file, relative to one of the daemon's media.play_roots, or absolute below one of them. "
                "Another path starts the new file at start_s (at position_s if set) while the old one fades out."
            ),
        ),
        ParameterSpec(
            name="loop",
            kind="bool",
            default=False,
            core=False,
            help="At the end go on at start_s, without a gap. May change while it plays.",
        ),
        gain_parameter("Level of what is played."),
        ParameterSpec(
            name="start_s",
            kind="float",
            unit="s",
            default=0.0,
            minimum=0,
            maximum=_LONGEST_S,
            core=False,
            help="Where in the file playing begins, exact to the frame; also where a loop goes on.",
        ),
        ParameterSpec(
            name="end_s",
            kind="float",
            unit="s",
            optional=True,
            minimum=0,
            maximum=_LONGEST_S,
            core=False,
            help=(
                "Where in the file playing ends; null: at its end. "
                "A change while it plays holds for what is not read ahead yet (1 s)."
            ),
        ),
        ParameterSpec(
            name="on_end",
            kind="choice",
            default="stop",
            choices=("stop", "hold"),
            core=False,
            help=(
                "After the last frame: stop closes the file, the state is `ended`; hold keeps it open and silent, "
                "and goes on at start_s as soon as `loop` is switched on."
            ),
        ),
        ParameterSpec(
            name="position_s",
            kind="float",
            unit="s",
            optional=True,
            momentary=True,
            minimum=0,
            maximum=_LONGEST_S,
            core=False,
            help=(
                "Jump to this place in the file, with a cross-fade; also where the node begins when it is made. "
                "null: start_s. Where it is now stands in the node's detail."
            ),
        ),
        ParameterSpec(
            name="buffer_ms",
            kind="float",
            unit="ms",
            default=1500.0,
            minimum=100,
            maximum=30000,
            log_scale=True,
            core=False,
            help=(
                "How far it reads ahead: so long the disk may take, and so much is in memory. "
                "A change while it plays loses no frame; what has been read is played first."
            ),
        ),
        channels_parameter("Channels of `out`. Those of the file must be as many, or one of both 1 and the other 2."),
    ),
    ports=(
        PortSpec(
            name="out",
            direction="output",
            rule="parameter",
            channels_parameter="channels",
            help="The sound of the file.",
        ),
    ),
)


def check(config: Mapping[str, Any], media: MediaRoots) -> list[Problem]:
    """What is wrong with a complete configuration: no file named, an empty passage, a path out of media.play_roots."""
    problems = []
    if not config["path"].strip():
        problems.append(Problem("missing", "path names no file. Give one, such as 'jingle.wav'.", "config.path"))
    else:
        problems += forbidden(lambda: media.to_play(config["path"]))
    start, end = config["start_s"], config["end_s"]
    if end is not None and end <= start:
        order = f"end_s ({end:g} s) must lie behind start_s ({start:g} s)"
        message = f"{order}. Give a later one, or null for the end of the file."
        problems.append(Problem("out_of_range", message, "config.end_s", {"minimum": start}))
    return problems


def open_endpoint(node_id: str, config: Mapping[str, Any], surroundings: Surroundings) -> Endpoint:
    """A player for a complete configuration that was checked."""
    return FileReading(node_id, msgspec.convert(config, ReadingSettings), surroundings)


def restart_needed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether it takes another player: another file, or a jump."""
    return (old["path"], old["position_s"]) != (new["path"], new["position_s"])


async def test(config: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
    """Opens the file and decodes its beginning."""
    settings = msgspec.convert(config, ReadingSettings)
    return await trial.in_thread(lambda: examine(settings, config["channels"], trial.media))
