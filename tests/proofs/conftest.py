"""What several proofs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .tonnetzd import Daemon


@pytest.fixture
def daemon(folder: Path) -> Iterator[Daemon]:
    made = Daemon(folder)
    yield made
    made.close()
