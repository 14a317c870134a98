"""Sound servers that many machines have between programs and card, started for a test in a folder of its own and ended after it.

Both play into nothing at the pace of the machine's clock, and give back what was played: JACK by its loopback driver,
PulseAudio as the monitor of a null sink. Neither needs hardware, a session or real-time rights. Let a process of its own
be their client: their libraries change the one that they are loaded into (JACK's blocks SIGPIPE in the thread that opens).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

COUNTER = itertools.count()


@dataclass(frozen=True)
class SoundServer:
    """A running server: the names of its devices for libasound, and the environment in which they mean that."""

    playback: str
    capture: str
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] = field(repr=False)


@contextlib.contextmanager
def jack(folder: Path) -> Iterator[SoundServer]:
    """jackd without hardware, two channels at 48 kHz in periods of 1024 float frames, which are all that it takes."""
    name = f"tonnetz_{os.getpid()}_{next(COUNTER)}"  # two servers of a name would be one
    environment = {
        "JACK_DEFAULT_SERVER": name,  # the only way to tell ALSA's plugin which server
        "JACK_NO_START_SERVER": "1",
        "JACK_NO_AUDIO_RESERVATION": "1",  # which would need a D-Bus session
        **configuration(
            folder,
            'pcm.loop_out { type jack name "player" playback_ports { 0 loopback:playback_1 1 loopback:playback_2 } }\n'
            'pcm.loop_in { type jack name "recorder" capture_ports { 0 loopback:capture_1 1 loopback:capture_2 } }\n',
        ),
    }
    dummy = ["-d", "dummy", "-r", "48000", "-p", "1024", "-C", "2", "-P", "2"]

    def answers() -> bool:
        asked = subprocess.run(["jack_lsp"], env=os.environ | environment, capture_output=True, check=False)
        return b"loopback:capture_2" in asked.stdout

    try:
        # No real-time scheduling, the loopback, and few ports: memory for all that there could be is more than some
        # containers share.
        command = ["jackd", "-n", name, "-r", "-L", "2", "-p", "16", *dummy]
        with running(command, folder, environment, answers) as process:
            yield SoundServer("loop_out", "loop_in", environment, process)
    finally:
        for left in Path("/dev/shm").glob(f"jack*_{name}_*"):  # by a server that had to be killed
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def pulseaudio(folder: Path) -> Iterator[SoundServer]:
    """PulseAudio with one null sink, two channels at 48 kHz; it takes any format and rate."""
    socket = folder / "native"
    script = folder / "pulse.pa"
    script.write_text(
        f".fail\nload-module module-native-protocol-unix auth-anonymous=1 socket={socket}\n"
        # norewinds: otherwise a stream begins up to two seconds late
        "load-module module-null-sink sink_name=loop norewinds=1 rate=48000 channels=2 format=float32le\n"
    )
    environment = configuration(
        folder,
        f'pcm.loop_out {{ type pulse server "unix:{socket}" device loop }}\n'
        f'pcm.loop_in {{ type pulse server "unix:{socket}" device loop.monitor }}\n'
        f'ctl.loop {{ type pulse server "unix:{socket}" sink loop source loop.monitor }}\n',
    )
    own = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(folder)}
    options = (
        f"-n -F {script} --daemonize=no --exit-idle-time=-1 --disallow-exit=1 --use-pid-file=no --realtime=no "
        "--high-priority=no --log-target=stderr --log-level=error"
    )
    with running(["pulseaudio", *options.split()], folder, own, socket.is_socket) as process:
        yield SoundServer("loop_out", "loop_in", environment | own, process)


def configuration(folder: Path, definitions: str) -> dict[str, str]:
    """An asound.conf that knows these devices besides the system's own, and the variable that points there."""
    path = folder / "asound.conf"
    path.write_text(f"</usr/share/alsa/alsa.conf>\n{definitions}")
    return {"ALSA_CONFIG_PATH": str(path)}


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, environment: Mapping[str, str], answers: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that has begun to answer; ended, and waited for, afterwards."""
    log = folder / f"{command[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | environment, cwd=folder
        )
    try:
        end = time.monotonic() + 30
        while not answers():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not come up:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
