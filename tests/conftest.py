"""What all tests share."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from .alsa.virtual_card import VirtualCard

# A busy machine may pause anything for long; what counts is what a test finds, not how fast one example ran.
hypothesis.settings.register_profile("tonnetz", deadline=None, max_examples=60)
hypothesis.settings.load_profile("tonnetz")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder that holds daemon/, rpc/ and csrc/."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket's path."""
    made = Path(tempfile.mkdtemp(prefix="tn-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def core_recipe(checkout: Path) -> ModuleType:
    """csrc/build_core.py: flags and sources of the core, for tests that compile some of it themselves."""
    spec = importlib.util.spec_from_file_location("build_core", checkout / "csrc" / "build_core.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_core"] = module  # under this name stub_core.py imports it too
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., VirtualCard]]:
    """Makes virtual sound cards, `make_card(name, ppm=200, ...)`: this process and those it starts find them by `card.device`."""
    cards: list[VirtualCard] = []

    def make(name: str = "card", **options: Any) -> VirtualCard:
        cards.append(VirtualCard(tmp_path, name, **options))
        for variable, value in cards[-1].environment.items():
            monkeypatch.setenv(variable, value)
        return cards[-1]

    yield make
    for card in cards:
        card.close()
