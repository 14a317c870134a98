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
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tonnetz.rpc.client import Client, NotReached

from . import nursery
from .tonnetzd import Daemon

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


def edit_on(client: Client, name: str, done: dict[str, int]) -> None:
    """One client: counts up in two places at once until nobody answers any more."""
    number = done[name]
    while True:
        number += 1
        edits = [
            {"configure_node": {"id": name, "config": {"gain_db": -number / 100}}},
            {"rename_node": {"id": name, "label": str(number)}},
        ]
        try:
            client.call("graph.apply", edits=edits)
        except NotReached:
            return
        done[name] = number


def test_so_it_is_with_a_daemon_that_plays(daemon: Daemon) -> None:
    """Over its socket, on the machine's timer, with players and recorders at work."""
    names = [f"level_{number}" for number in range(4)]
    done = dict.fromkeys(names, 0)
    for turn in range(max(3, KILLS // 10)):
        client = daemon.start()
        if turn == 0:
            client.call("graph.apply", edits=[{"add_node": {"id": name, "type": "gain"}} for name in names])
        nodes = {node["id"]: node for node in client.call("graph.get")["nodes"]}
        assert len(nodes) == 6 + len(names)
        for name in names:
            number = int(nodes[name]["label"] or 0)
            assert nodes[name]["config"]["gain_db"] == pytest.approx(-number / 100)
            assert done[name] <= number <= done[name] + 1
            done[name] = number
        threads = [threading.Thread(target=edit_on, args=(daemon.client(), name, done)) for name in names]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        daemon.end(signal.SIGKILL)
        for thread in threads:
            thread.join()
    assert min(done.values()) > 20
