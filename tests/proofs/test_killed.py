"""Killed at any moment: no transaction that was answered is lost, and none is there by half.

Sessions edit as fast as they can, six at a time in each, and are killed (SIGKILL) at random moments, from their start on,
again and again over the same storage. Each transaction puts one number into five places; what a later session finds
has to agree with itself, and lie between what was answered and what was sent. `TONNETZ_KILLS=1000` does it more often.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import nursery

KILLS = int(os.environ.get("TONNETZ_KILLS", "30"))
LONGEST_S = 0.15  # after its birth, of every second session; of the others, after it has begun to work


class Nursery:
    """tests/proofs/nursery.py as a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.proofs.nursery"]
        checkout = Path(__file__).resolve().parents[2]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=checkout, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def life(self, folder: Path, seed: int, seconds: float, since: str) -> list[list[str]]:
        """What a session says until it is killed, so many seconds after this word."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{folder} {seed}\n")
        said: list[list[str]] = []
        pid = 0
        while True:
            kind, _, words = self.process.stdout.readline().strip().partition(" ")
            if kind == "ended":
                assert int(words) == signal.SIGKILL, "it ended by itself"
                return said
            if kind == "pid":
                pid = int(words)
            else:
                said.append([kind, *([words] if kind == "graph" else words.split())])
            if kind == since:  # a clock of its own, so that it strikes wherever the session is
                threading.Timer(seconds, os.kill, (pid, signal.SIGKILL)).start()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def nest() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.end()


class Ledger:
    """What was sent and answered in all lives so far."""

    def __init__(self) -> None:
        self.sent: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        self.revision = 0

    def add(self, said: list[list[str]]) -> None:
        for kind, *words in said:
            if kind == "sent":
                worker, number = map(int, words)
                self.sent[worker] = max(self.sent[worker], number)
            elif kind == "done":
                worker, number, revision = map(int, words)
                self.answered[worker] = max(self.answered[worker], number)
                self.revision = max(self.revision, revision)

    def compare(self, found: dict[str, Any]) -> None:
        assert found["revision"] >= self.revision, "an answered revision is lost"
        for worker in range(nursery.WORKERS):
            (label, level), also, extras = found[str(worker)]
            assert [label, level] == also, f"half a transaction of worker {worker}: {found[str(worker)]}"
            number = int(label or 0)
            assert level == (-(number % 100) / 2 if label else 0.0)
            assert self.answered[worker] <= number <= self.sent[worker], f"worker {worker} is at {number}"
            last = number - number % 5
            assert extras == ([f"extra_{worker}_{last}"] if last else []), f"half a transaction of worker {worker}"
            self.sent[worker] = number  # what was sent beyond that is gone for good


@pytest.mark.timeout(60 + KILLS)
def test_nothing_answered_is_lost_and_nothing_is_kept_by_half(nest: Nursery, tmp_path: Path) -> None:
    chance = random.Random(5)
    ledger = Ledger()
    began = 0
    for seed in range(KILLS):
        said = nest.life(tmp_path, seed, chance.uniform(0, LONGEST_S), "graph" if seed % 2 else "pid")
        for graph in (words[1] for words in said if words[0] == "graph"):
            ledger.compare(json.loads(graph))
            began += 1
        ledger.add(said)
    assert began >= KILLS / 2 and sum(ledger.answered.values()) > 10 * KILLS, "too little was done to prove anything"
    assert not list(tmp_path.glob("damaged-*"))
    print(f"{KILLS} kills, {began} sessions had begun, {sum(ledger.answered.values())} transactions were answered")  # noqa: T201
