"""Problems found so far. All are wanted, but not all of a million: whoever sends those has one mistake to find, and
looking for near words for each would hold up everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..problems import Problem

MOST = 100  # more than anybody mends before asking again


class Enough(Exception):
    """There are `MOST` problems, and one more."""


class Findings(list[Problem]):
    """A list of problems that raises `Enough` instead of growing beyond `MOST`."""

    def append(self, problem: Problem) -> None:
        if len(self) >= MOST:
            raise Enough
        super().append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.append(problem)

    def __iadd__(self, problems: Iterable[Problem]) -> Findings:  # type: ignore[misc,override]
        self.extend(problems)
        return self


def told(problems: list[Problem]) -> list[Problem]:
    """The problems as a refusal lists them: where looking may have ended early, the last one says so."""
    if len(problems) < MOST:
        return problems
    return [*problems, Problem("more", f"There may be more: looking ended after {MOST} problems.")]
