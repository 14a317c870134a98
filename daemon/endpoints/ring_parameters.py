"""The parameters of every node whose sound goes through a ring: its channels, and the level it is heard at."""

from __future__ import annotations

from ..graph.spec import ParameterSpec


def gain_parameter(help: str) -> ParameterSpec:
    """`gain_db`, which the core applies (csrc/ring_gain.h)."""
    return ParameterSpec(
        name="gain_db", kind="float", unit="dB", default=0.0, minimum=-60, maximum=24, step=0.1, help=help
    )


def channels_parameter(help: str) -> ParameterSpec:
    """`channels`: of the node's port, and of what is outside."""
    return ParameterSpec(
        name="channels", kind="int", default=2, minimum=1, maximum=64, structure=True, core=False, help=help
    )
