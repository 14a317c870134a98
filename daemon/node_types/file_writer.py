"""`file_writer`: records into sound files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..endpoints.encoding import most_channels
from ..endpoints.endpoint import Endpoint, MediaRoots, Surroundings
from ..endpoints.file_recording import FileRecording, RecordingSettings, rehearse
from ..endpoints.media_roots import forbidden
from ..endpoints.recording_path import RecordingPath, flaw_in_path
from ..endpoints.ring_parameters import channels_parameter
from ..endpoints.trial import Trial
from ..graph.spec import NodeSpec, ParameterSpec, PortSpec
from ..problems import Problem

SPEC = NodeSpec(
    type="file_writer",
    category="sink",
    core_type="ring_sink",
    help=(
        "Records into a sound file, or into one after the other without losing a frame between them. "
        "A file that is there already is never overwritten: the new one is called take_2.wav. "
        "A recording whose process is killed keeps all but its last moments (wav 0.2 s, the others up to 2 s), "
        "and WAV files beyond 4 GB become RF64. "
        "While the disk is full or fails, what comes is lost and counted, and a new file is tried again and again."
    ),
    parameters=(
        ParameterSpec(
            name="path",
            kind="text",
            default="%Y-%m-%d/%H-%M-%S",
            core=False,
            help=(
                "The file, relative to the daemon's media.record_root; folders are made. Fields such as %Y-%m-%d and "
                "%H-%M-%S stand for the local time at which the file begins. Without an ending it gets the format's "
                "own. Another path begins a new file at once, without losing a frame."
            ),
        ),
        ParameterSpec(
            name="format",
            kind="choice",
            default="wav",
            choices=("wav", "flac", "opus", "mp3", "aac"),
            core=False,
            help=(
                "wav and flac keep every sample. opus (.opus or .ogg), mp3 and aac (.m4a, or .aac, which does not tell "
                "its delay) are lossy; opus turns other rates into 48 kHz. flac, opus and aac take up to 8 channels, "
                "laid out as surround (the 4th of 6 or 8 is the narrow low-frequency one); mp3 takes 2."
            ),
        ),
        ParameterSpec(
            name="subtype",
            kind="choice",
            default="pcm_24",
            choices=("pcm_16", "pcm_24", "float"),
            core=False,
            help=(
                "Samples of wav (any of these) and flac (the first two). Rounded to the nearest, without dither, so "
                "that a 16-bit file passes through unchanged; what goes beyond full scale is clipped and counted, "
                "except in float."
            ),
        ),
        ParameterSpec(
            name="bitrate_kbps",
            kind="int",
            optional=True,
            minimum=8,
            maximum=512,
            core=False,
            help="Of opus, mp3 and aac, in kbit/s; null: 64 per channel for opus, 96 for mp3 and aac.",
        ),
        ParameterSpec(
            name="segment_s",
            kind="float",
            unit="s",
            default=0.0,
            minimum=0,
            maximum=864000,
            core=False,
            help="A new file after so long, exact to the frame, numbered where `path` has no fields; 0: one file.",
        ),
        ParameterSpec(
            name="retention",
            kind="float",
            optional=True,
            minimum=0.01,
            maximum=36500,
            core=False,
            help=(
                "Days for which recordings are kept; null: for ever. Whenever a file begins, older ones are deleted "
                "whose whole path could have come from `path`, and no others."
            ),
        ),
        ParameterSpec(
            name="buffer_ms",
            kind="float",
            unit="ms",
            default=4000.0,
            minimum=200,
            maximum=60000,
            log_scale=True,
            core=False,
            help=(
                "How much it may fall behind: so long the disk may take before frames are lost. "
                "A change while it records loses none."
            ),
        ),
        channels_parameter("Channels of `in` and of the file."),
    ),
    ports=(
        PortSpec(
            name="in",
            direction="input",
            rule="parameter",
            channels_parameter="channels",
            help="What is recorded.",
        ),
    ),
)


def check(config: Mapping[str, Any], media: MediaRoots) -> list[Problem]:
    """What is wrong with a complete configuration: what the format can't hold, a path out of media.record_root."""
    problems = []
    if flaw := flaw_in_path(config["path"], config["format"]):
        problems.append(Problem("wrong_type", flaw, "config.path"))
    else:
        problems += forbidden(RecordingPath(config["path"], config["format"], media).check)
    if config["format"] == "flac" and config["subtype"] == "float":
        message = "flac holds whole numbers only: choose pcm_16 or pcm_24 as subtype, or wav as format."
        problems.append(Problem("out_of_range", message, "config.subtype", {"choices": ["pcm_16", "pcm_24"]}))
    most = most_channels(config["format"])
    if most is not None and config["channels"] > most:
        message = f"{config['format']} takes at most {most} channels: set fewer, or choose wav as format."
        problems.append(Problem("out_of_range", message, "config.channels", {"maximum": most}))
    return problems


def open_endpoint(node_id: str, config: Mapping[str, Any], surroundings: Surroundings) -> Endpoint:
    """A recorder for a complete configuration that was checked."""
    return FileRecording(node_id, msgspec.convert(config, RecordingSettings), surroundings)


def restart_needed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:  # noqa: ARG001 - every node type is asked
    """Whether it takes another recorder: never. It changes over to another path or format by itself, at a frame."""
    return False


async def test(config: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
    """Records a moment of silence where the recording would go, and takes it away again."""
    settings = msgspec.convert(config, RecordingSettings)
    return await trial.in_thread(lambda: rehearse(settings, config["channels"], trial.sample_rate, trial.media))
