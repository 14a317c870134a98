"""The channel map against a matrix product."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rig import Edit, gently, noise, render

FRAMES = 2048


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 2), (2, 6), (7, 3), (64, 64)])
def test_it_is_a_matrix(rows: int, columns: int) -> None:
    random = np.random.default_rng(rows)
    gains = random.uniform(-40, 12, (rows, columns))
    off = random.random((rows, columns)) < 0.3
    matrix = [[None if off[i, j] else float(gains[i, j]) for j in range(columns)] for i in range(rows)]
    sound = noise(FRAMES, columns)
    out = render("channel_map", {"in_channels": columns, "out_channels": rows, "matrix_db": matrix}, {"in": sound})[
        "out"
    ]
    factors = np.where(off, 0.0, 10 ** (gains / 20))
    assert np.abs(out - factors @ sound.astype(np.float64)).max() < 1e-6 * columns


@pytest.mark.parametrize(
    ("columns", "rows", "expected"),
    [
        (2, 2, [[1, 0], [0, 1]]),
        (1, 2, [[1], [1]]),
        (2, 1, [[0.5, 0.5]]),
        (2, 5, [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]),
        (5, 2, [[1 / 3, 0, 1 / 3, 0, 1 / 3], [0, 0.5, 0, 0.5, 0]]),
    ],
)
def test_without_a_matrix_channels_go_straight_through(columns: int, rows: int, expected: list[list[float]]) -> None:
    sound = noise(FRAMES, columns)
    out = render("channel_map", {"in_channels": columns, "out_channels": rows}, {"in": sound})["out"]
    assert np.abs(out - np.array(expected) @ sound.astype(np.float64)).max() < 1e-7


def test_cells_glide() -> None:
    sound = np.stack([np.full(FRAMES, 0.5), np.full(FRAMES, -0.25)]).astype(np.float32)
    swap = {"matrix_db": [[None, 0.0], [0.0, None]]}
    out = render("channel_map", {}, {"in": sound}, edits=[Edit(256, swap)])["out"]
    assert out[:, 255].tolist() == [0.5, -0.25] and out[:, -1].tolist() == [-0.25, 0.5]
    way = gently(np.arange(1, 961) / 960)
    assert np.abs(out[0, 256 : 256 + 960] - (0.5 - 0.75 * way)).max() < 1e-6


def test_null_brings_the_own_matrix_back() -> None:
    sound = noise(FRAMES, 2)
    edits = [Edit(1024, {"matrix_db": [[-6.0, None], [None, -6.0]]}, 0), Edit(1280, {"matrix_db": None}, 0)]
    out = render("channel_map", {}, {"in": sound}, edits=edits)["out"]
    assert np.array_equal(out[:, 1280:], sound[:, 1280:])
