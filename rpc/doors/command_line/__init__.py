"""The `tonnetz` command: every method that has a shell form, and a few commands that are more than one method.

It starts in well under 150 ms, as it imports neither asyncio nor numpy nor YAML unless a command needs them.
"""


def main() -> None:
    """Run one command and end the process. Exit status: 0 done, 1 refused, 2 usage, 3 daemon not reached."""
    from .program import run

    raise SystemExit(run())
