"""Runs the demo in the foreground: makes the sound, starts the daemon, says how to talk to it, ends both together.

`./dev run` calls it. All that it makes goes to the folder .demo in the present one.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import av

DEMO = Path(__file__).resolve().parent
TONNETZD = Path(sys.executable).with_name("tonnetzd")
STATE = Path(".demo")
CONFIGURATION = STATE / "tonnetz.yaml"
LOOP = STATE / "sounds" / "loop.wav"
RECORDINGS = STATE / "recordings"
ADDRESS = "127.0.0.1:8420"  # as the configuration has it
START_S = 20.0  # more than a slow machine needs to start the daemon

INTRODUCTION = """\
Tonnetz plays a loop through equalizer and compressor, mixes a soft tone to it and records the sum, while you edit it.

  plays     {loop}
  records   {recording}

From another terminal, in this folder:

  ./dev tonnetz show                          what is connected to what
  ./dev tonnetz set eq bands.1.gain_db=12     change it while it plays
  ./dev tonnetz watch                         see every change as it happens

In a browser: http://{address}/

Ctrl-C ends it and completes the file.
"""


def main() -> int:
    if not LOOP.exists() or LOOP.stat().st_mtime < (DEMO / "make_sound.py").stat().st_mtime:
        subprocess.run([sys.executable, DEMO / "make_sound.py", LOOP], check=True)
    address = free_address()
    CONFIGURATION.write_text((DEMO / "tonnetz.yaml").read_text().replace(ADDRESS, address))
    shutil.rmtree(STATE / "state", ignore_errors=True)  # each demo begins with the configuration's graph
    RECORDINGS.mkdir(parents=True, exist_ok=True)
    earlier = set(RECORDINGS.iterdir())

    # In a process group of its own the daemon hears of Ctrl-C once, from here, whoever sent it.
    daemon = subprocess.Popen([TONNETZD, "--config", CONFIGURATION], process_group=0)

    def end(*_: object) -> None:
        daemon.terminate()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)

    recording = first_recording(daemon, earlier)
    if recording is not None:
        print(INTRODUCTION.format(loop=LOOP, recording=recording, address=address), flush=True)
    status = daemon.wait()
    if recording is not None:
        print(f"{recording}: {length(recording)}")
    return status


def free_address() -> str:
    """Where HTTP listens: at the usual port, or at another where that is taken. TONNETZ_DEMO_PORT=0: any that is
    free."""
    usual = int(os.environ.get("TONNETZ_DEMO_PORT", ADDRESS.rpartition(":")[2]))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", usual))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def first_recording(daemon: subprocess.Popen[bytes], earlier: set[Path]) -> Path | None:
    """The file that the daemon begins; None if the daemon ends without one, or takes too long."""
    deadline = time.monotonic() + START_S
    while daemon.poll() is None and time.monotonic() < deadline:
        new = sorted(set(RECORDINGS.iterdir()) - earlier)
        if new:
            return new[0]
        time.sleep(0.05)
    return None


def length(recording: Path) -> str:
    """`12.3 s, 2.4 MB`, as a player would see it."""
    with av.open(str(recording)) as file:
        stream = file.streams.audio[0]
        seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    return f"{seconds:.1f} s, {recording.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
