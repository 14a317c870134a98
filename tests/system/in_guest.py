"""What is done in the guest, as root, with a fresh installation of the wheel: run by the Python that has it.

Each function is one test, in this order; what it prints is shown when it fails. `test_in_guest.py` reads the results.
Times here are the guest's own: a machine of 1 GHz on which nothing else runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CHECKS: list[Callable[[], None]] = []
BIN = Path("/opt/tonnetz/bin")
CONFIGURATION = Path("/etc/tonnetz/tonnetz.yaml")
SOCKET = "/run/tonnetz/control.sock"
NAME, ROOT = "org.tonnetz.Tonnetz1", "/org/tonnetz/Tonnetz1"
RATE = 48_000
RECORDED_S = 60
PAUSE_S = 0.02  # between transactions: what the guest sleeps costs the host nothing
HELD_PAUSE_S = 0.5  # between looks at what takes ten seconds: a look is a process, a sleep costs the host nothing
# A tone to the loopback, on a branch that the storm does not touch, and an echo whose memory outlives a restart.
GRAPH = """
engine: {block_frames: 256}
doors:
  socket: {group: audio}
  http: false
  dbus: {bus: system}
graph:
  nodes:
    - {id: tone, type: tone, config: {frequency: 1000, level_db: -6, channels: 2}}
    - {id: out, type: alsa_output, config: {device: "hw:Loopback,0,0", format: f32}}
    - {id: second, type: tone, config: {frequency: 300, level_db: -20}}
    - {id: desk, type: mixer, config: {inputs: [{}, {}, {}]}}
    - {id: nowhere, type: null_output}
  connections:
    - {source: tone.out, target: out.in}
    - {source: second.out, target: desk.in_1}
    - {source: desk.out, target: nowhere.in}
"""


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS.append(function)
    return function


# ---- Tools -----------------------------------------------------------------------------------------------------------


def run(*words: str, user: str | None = None, group: str | None = None, fails: bool = False) -> str:
    """What a command prints; it has to go well, or to fail."""
    outcome = subprocess.run(
        words, capture_output=True, text=True, check=False, user=user, group=group, extra_groups=[] if user else None
    )
    said = outcome.stdout + outcome.stderr
    assert (outcome.returncode != 0) == fails, f"{' '.join(words)}: status {outcome.returncode}\n{said}"
    return said


def show(prop: str) -> str:
    return run("systemctl", "show", "--value", "-p", prop, "tonnetz.service").strip()


def client() -> Any:
    from tonnetz.rpc.client import Client

    return Client(SOCKET, 120)


def ask(method: str, **params: Any) -> Any:
    with client() as connected:
        return connected.call(method, **params)


def until(condition: Callable[[], Any], seconds: float, what: str, pause_s: float = 0.05) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, (
            f"not within {seconds:g} s: {what}\n{run('journalctl', '-u', 'tonnetz', '-n', '30')}"
        )
        time.sleep(pause_s)
    return found


def state(node: str) -> str:
    return next(one["state"] for one in ask("graph.get")["nodes"] if one["id"] == node)


def sounds() -> bool:
    """Whether the engine runs and the card takes its sound."""
    now = ask("runtime.status")
    return now["state"] == "running" and not now["not_running"] and now["frame"] > 0


def pid() -> int:
    return int(show("MainPID"))


def journal(*words: str) -> str:
    return run("journalctl", "-u", "tonnetz.service", "--no-pager", *words)


# ---- Tests -----------------------------------------------------------------------------------------------------------


@check
def it_installs_itself_as_a_service() -> None:
    (wheel,) = Path().glob("tonnetz-*.whl")
    run(str(BIN / "pip"), "install", "--no-deps", "--no-index", str(wheel))
    print(run(str(BIN / "tonnetzd"), "install-units"))
    run("systemd-sysusers")
    run("systemd-tmpfiles", "--create", "tonnetz.conf")
    run("systemctl", "daemon-reload")
    run("systemctl", "reload", "dbus")
    assert "audio" in run("id", "-nG", "tonnetz").split()
    CONFIGURATION.write_text(GRAPH)
    assert "is fine" in run(str(BIN / "tonnetzd"), "--check", "--config", str(CONFIGURATION))


@check
def the_service_is_hardened() -> None:
    said = run("systemd-analyze", "security", "--no-pager", "tonnetz.service")
    found = re.search(r"Overall exposure level for tonnetz.service: ([\d.]+)", said)
    assert found is not None and float(found[1]) <= 2.0, said
    print("exposure", found[1])


@check
def whoever_writes_to_the_socket_first_starts_it() -> None:
    run("systemctl", "enable", "tonnetz.service")
    run("systemctl", "start", "tonnetz.socket")
    assert run("systemctl", "is-active", "tonnetz.service", fails=True).strip() == "inactive"
    began = time.monotonic()
    assert ask("system.version")["api"] == 1
    until(lambda: show("ActiveState") == "active", 60, "active")
    print(f"answered and ready after {time.monotonic() - began:.2f} s of the guest")


@check
def it_is_ready_when_it_plays() -> None:
    assert re.match(r"5 nodes, 48000 Hz", show("StatusText")), show("StatusText")
    until(sounds, 20, "sound at the card")
    performance = ask("runtime.performance")
    assert performance["clock"] == "out", "the card is the clock"
    assert performance["realtime_priority"] == 70 and performance["memory_locked"], performance
    assert run("ps", "-o", "user=", "-p", str(pid())).strip() == "tonnetz"
    assert "rw" in Path(f"/proc/{pid()}/mounts").read_text()


@check
def the_journal_has_priorities_and_fields() -> None:
    entries = [json.loads(line) for line in journal("-o", "json").splitlines()]
    (ready,) = [entry for entry in entries if str(entry.get("MESSAGE", "")).startswith("ready: 5 nodes")]
    assert ready["PRIORITY"] == "6" and ready["LOGGER"] == "tonnetz" and ready["CODE_FUNC"], ready
    assert ready["_TRANSPORT"] == "journal" and ready["SYSLOG_IDENTIFIER"] == "tonnetzd"


@check
def the_socket_lets_members_of_audio_in_and_nobody_else() -> None:
    command = [str(BIN / "tonnetz"), "--socket", SOCKET, "call", "graph.rename_node", "id=desk", "label=Desk"]
    run(*command, user="nobody", group="audio")
    assert "no daemon" in run(*command, user="nobody", group="nogroup", fails=True).lower()
    denied = run(
        str(BIN / "tonnetz"), "--socket", SOCKET, "call", "system.reload", user="nobody", group="audio", fails=True
    )
    assert "needs the role admin" in denied


@check
def the_bus_lets_everybody_look_and_members_of_audio_work() -> None:
    node = f"{ROOT}/nodes/tone"
    for user in (None, "nobody"):
        assert "sine" in run("busctl", "get-property", NAME, node, f"{NAME}.Node", "Config", user=user)
    rename = ("busctl", "call", NAME, ROOT, f"{NAME}.Graph", "RenameNode", "ss", "desk", "Table")
    assert "Access denied" in run(*rename, user="nobody", group="nogroup", fails=True)
    assert "revision" in run(*rename, user="nobody", group="audio")
    own = ("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "su", NAME, "4")
    assert "denied" in run(*own, user="nobody", fails=True).lower()


@check
def a_call_on_the_bus_starts_it() -> None:
    run("systemctl", "stop", "tonnetz.socket", "tonnetz.service")
    assert show("ActiveState") == "inactive"
    assert "api" in run("busctl", "call", "--timeout=120", NAME, ROOT, f"{NAME}.System", "Version")
    assert show("ActiveState") == "active" and run("systemctl", "is-active", "tonnetz.socket").strip() == "active"
    until(sounds, 20, "sound at the card")


@check
def a_reload_takes_over_what_can_change_and_fails_with_a_mistake() -> None:
    CONFIGURATION.write_text(GRAPH.replace("frequency: 300", "frequency: 330").replace("256", "512"))
    run("systemctl", "reload", "tonnetz")
    assert "taken over: graph; after a restart: engine.block_frames" in show("StatusText"), show("StatusText")
    assert ask("graph.export").count("330") == 1
    revision = ask("runtime.status")["revision"]
    CONFIGURATION.write_text(GRAPH.replace("frequency: 300", "frequenzy: 1"))
    run("systemctl", "reload", "tonnetz", fails=True)
    assert "Did you mean 'frequency'" in journal("-n", "20")
    assert ask("runtime.status")["revision"] == revision and show("ActiveState") == "active"
    CONFIGURATION.write_text(GRAPH)
    run("systemctl", "reload", "tonnetz")


@check
def a_token_comes_with_the_service() -> None:
    """As docs/service.md says: a credential of systemd's, which no other process can read."""
    secret = "0123456789abcdef" * 4
    file, more = Path("/etc/tonnetz/desk.token"), Path("/etc/systemd/system/tonnetz.service.d/token.conf")
    file.touch(0o600)
    file.write_text(f"{secret}\n")
    more.parent.mkdir()
    more.write_text(f"[Service]\nLoadCredential=tonnetz.desk:{file}\n")
    token = "{name: desk, role: viewer, credential: tonnetz.desk}"
    CONFIGURATION.write_text(GRAPH.replace("http: false", f"http: {{require_token: true, tokens: [{token}]}}"))
    assert "is fine" in run(str(BIN / "tonnetzd"), "--check", "--config", str(CONFIGURATION))
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "tonnetz")
    status, told = over_http(secret)
    assert status == 200 and (told["caller"], told["role"]) == ("token:desk/tonnetz.desk", "viewer"), told
    assert over_http(secret[:-1])[0] == over_http(None)[0] == 401
    assert secret.encode() not in Path(f"/proc/{pid()}/environ").read_bytes()
    assert secret not in "".join(path.read_text(errors="replace") for path in Path("/var/lib/tonnetz").glob("*.json"))
    shutil.rmtree(more.parent)
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "tonnetz", fails=True)
    assert "There is no credential 'tonnetz.desk'" in journal("-n", "30")
    assert show("ActiveState") == "failed", "what is wrong in a configuration no restart puts right"
    CONFIGURATION.write_text(GRAPH)
    run("systemctl", "reset-failed", "tonnetz")
    run("systemctl", "restart", "tonnetz")
    until(sounds, 20, "sound at the card")


def over_http(token: str | None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request("http://127.0.0.1:8420/api/system", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@check
def a_card_that_is_pulled_out_delays_nobody_and_is_taken_up_again() -> None:
    driver = Path("/sys/bus/platform/drivers/snd_aloop")
    (driver / "unbind").write_text("snd_aloop.0")
    until(lambda: state("out") == "retrying", 30, "the node notices")
    frame = ask("runtime.status")["frame"]
    until(lambda: ask("runtime.status")["frame"] > frame + RATE // 2, 30, "the machine's timer has taken over")
    assert ask("runtime.status")["clock"] == "internal"
    assert "out is retrying" in journal("-n", "5", "TONNETZ_NODE=out")
    until(lambda: unloaded("snd_aloop"), 30, "the module can go, as nobody holds the card")
    run("modprobe", "snd-aloop")
    until(lambda: state("out") == "running", 60, "the card is back")
    until(lambda: ask("runtime.status")["clock"] == "out", 30, "and the clock again")
    assert "out is running again" in journal("-n", "5", "TONNETZ_NODE=out")


def unloaded(module: str) -> bool:
    return subprocess.run(["rmmod", module], capture_output=True, check=False).returncode == 0


@check
def killed_it_comes_back_with_all_that_it_acknowledged() -> None:
    restarts, victim = int(show("NRestarts")), pid()
    acknowledged = 0
    with client() as connected:
        for number in range(100):
            edit = {"configure_node": {"id": "second", "config": {"frequency": 200 + number}}}
            acknowledged = connected.call("graph.apply", edits=[edit])["revision"]
        os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: pid() not in (0, victim), 60, "another process")
    assert ask("runtime.status")["revision"] == acknowledged, "the socket waits for the next one"
    until(sounds, 60, "sound at the card")
    print(f"sounds again {time.monotonic() - began:.2f} s of the guest after the kill")
    second = next(one for one in ask("graph.get")["nodes"] if one["id"] == "second")
    assert second["config"]["frequency"] == 299
    assert int(show("NRestarts")) == restarts + 1


@check
def a_restart_goes_on_where_it_was() -> None:
    from tonnetz.rpc.client import Client

    edits = [
        {"add_node": {"id": "echo", "type": "delay", "config": {"time_ms": 900, "feedback": 0.99, "mix": 1}}},
        {"connect": {"source": "second.out", "target": "echo.in"}},
        {"connect": {"source": "echo.out", "target": "desk.in_2"}},
    ]
    ask("graph.apply", edits=edits)
    time.sleep(2)
    ask("graph.apply", edits=[{"configure_node": {"id": "second", "config": {"wave": "silence"}}}])
    run("systemctl", "restart", "tonnetz")
    until(sounds, 60, "sound at the card")
    with Client(SOCKET, 60) as connected:
        connected.call("runtime.meters", nodes=["echo"])
        time.sleep(1)
        (level,) = set(connected.call("runtime.meters", nodes=["echo"])["echo"]["peak_db"])
    assert level is not None and level > -40, f"the echo of what was played before the restart: {level} dB"
    ask("graph.remove_node", id="echo")


@check
def an_audio_thread_that_stands_still_is_ended_by_the_watchdog() -> None:
    victim, restarts = pid(), int(show("NRestarts"))
    thread = next(int(task.name) for task in Path(f"/proc/{victim}/task").iterdir() if is_audio(task))
    began = time.monotonic()
    with stopped(thread) as let_go_when_dead:
        until(lambda: let_go_when_dead() or pid() not in (0, victim), 60, "another process", HELD_PAUSE_S)
    print(f"ended and begun anew {time.monotonic() - began:.1f} s of the guest after its audio thread stood still")
    said = journal("-n", "60")
    assert "The audio thread has stood still for" in said and "Watchdog timeout" in said, said
    until(lambda: show("ActiveState") == "active", 60, "active")
    until(sounds, 60, "sound at the card")
    assert int(show("NRestarts")) == restarts + 1


@check
def an_event_loop_that_stands_still_is_ended_too() -> None:
    victim = pid()
    began = time.monotonic()
    with stopped(victim) as let_go_when_dead:
        until(lambda: let_go_when_dead() or pid() not in (0, victim), 60, "another process", HELD_PAUSE_S)
    print(f"ended and begun anew {time.monotonic() - began:.1f} s of the guest after its event loop stood still")
    until(lambda: show("ActiveState") == "active", 60, "active")
    until(sounds, 60, "sound at the card")


def is_audio(task: Path) -> bool:
    """By its name where it has one, and else: of those with real-time scheduling the one of the engine's own priority."""
    return (task / "comm").read_text().strip() == "tonnetz-audio" or os.sched_getparam(
        int(task.name)
    ).sched_priority == 70


@contextlib.contextmanager
def stopped(thread: int) -> Iterator[Callable[[], None]]:
    """Holds a single thread, as a debugger would; also in that a process is not gone before whoever holds a thread of it
    has taken note of the thread's death, which is what the function given does."""
    seize, interrupt, detach, wall = 0x4206, 0x4207, 17, 0x40000000  # <sys/ptrace.h>, <sys/wait.h>
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(seize, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    assert libc.ptrace(interrupt, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(thread, wall)

    def take_note() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(thread, wall | os.WNOHANG)

    try:
        yield take_note
    finally:
        libc.ptrace(detach, thread, None, None)


@check
def a_minute_through_the_loopback_has_no_gap_while_it_is_edited_without_pause() -> None:
    heard = Path("/var/heard.raw")
    seconds = str(RECORDED_S)
    command = ["arecord", "-q", "-D", "hw:Loopback,1,0", "-t", "raw", "-f", "FLOAT_LE", "-c", "2", "-r", str(RATE)]
    before = ask("runtime.performance")
    recorder = subprocess.Popen([*command, "-d", seconds, str(heard)], stderr=subprocess.PIPE)
    edits = 0
    with client() as connected:
        end = time.monotonic() + 2 * RECORDED_S
        while recorder.poll() is None:
            if time.monotonic() > end:
                recorder.kill()
            storm(connected, edits)
            edits += 1
            time.sleep(PAUSE_S)
    assert recorder.returncode == 0 and recorder.stderr is not None, "arecord did not get its minute"
    said = recorder.stderr.read().decode()
    assert "overrun" not in said, said
    after = ask("runtime.performance")
    detail = next(one["detail"] for one in ask("graph.get")["nodes"] if one["id"] == "out")
    tone, worst = continuity(heard)
    print(f"{edits} transactions; {tone:.2f} s of tone; deviation from a sine {worst:.2e}; {detail}")
    print(f"late blocks {after['late_blocks'] - before['late_blocks']}, gaps {after['gaps'] - before['gaps']}")
    assert edits > 100
    assert detail["xruns"] == 0 and detail["silent_frames"] == 0, detail
    assert tone > RECORDED_S - 1 and worst < 1e-4
    heard.unlink()


def storm(connected: Any, turn: int) -> None:
    """One of the things that people do to a graph."""
    name = f"storm_{turn // 4 % 8}"
    match turn % 4:
        case 0:
            edits: list[Any] = [
                {"add_node": {"id": name, "type": "equalizer"}},
                {"connect": {"source": "second.out", "target": f"{name}.in"}},
                {"connect": {"source": f"{name}.out", "target": "desk.in_2"}},
            ]
        case 1:
            edits = [
                {"configure_node": {"id": name, "config": {"bands": {"0": {"gain_db": turn % 12, "frequency": 500}}}}}
            ]
        case 2:
            edits = [{"replace_node": {"id": name, "type": "delay", "config": {"time_ms": 20}}}]
        case _:
            edits = [{"remove_node": {"id": name, "strategy": "bridge" if turn % 8 > 3 else "fade"}}]
    connected.call("graph.apply", edits=edits)


def continuity(heard: Path) -> tuple[float, float]:
    """How long the tone is there, and how far it ever is from a sine: of three samples in a row of a sine, the outer two
    make 2 cos(w) of the middle one, whatever its phase."""
    import numpy as np

    sound = np.fromfile(heard, dtype="<f4")[::2].astype(np.float64)
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    first, last = loud[0] + 2 * RATE // 100, loud[-1]  # after the fade that a hole at the beginning would leave
    tone = sound[first:last]
    turn = 2 * np.cos(2 * np.pi * 1000 / RATE)
    return len(tone) / RATE, float(np.abs(tone[2:] - turn * tone[1:-1] + tone[:-2]).max())


@check
def it_ends_with_a_fade_and_complete_files() -> None:
    edits = [
        {"add_node": {"id": "take", "type": "file_writer", "config": {"path": "take.wav", "subtype": "float"}}},
        {"connect": {"source": "tone.out", "target": "take.in"}},
    ]
    ask("graph.apply", edits=edits)
    time.sleep(2)
    began = time.monotonic()
    run("systemctl", "stop", "tonnetz.socket", "tonnetz.service")
    print(f"stopped after {time.monotonic() - began:.2f} s of the guest")
    assert show("Result") == "success"
    path = Path("/var/lib/tonnetz/recordings/take.wav")
    data = path.read_bytes()
    assert struct.unpack_from("<I", data, 4)[0] + 8 == len(data), "its header tells its size"
    import numpy as np

    sound = np.frombuffer(data[-48_000 * 8 :], dtype="<f4")
    assert np.abs(sound[:1000]).max() > 0.4 and np.abs(sound[-64:]).max() == 0
    assert np.abs(np.diff(sound[::2])).max() < 0.1, "it fades, and is not cut"
    assert path.stat().st_mode & 0o777 == 0o640 and path.group() == "audio"
    assert "no daemon" in run(str(BIN / "tonnetz"), "--socket", SOCKET, "status", fails=True).lower()


@check
def a_user_has_one_of_their_own() -> None:
    """On their session's bus, which starts it, beside the system's."""
    home, runtime = Path("/home/ada"), Path("/run/user/1000")
    Path("/etc/sysusers.d/ada.conf").write_text(f'u ada 1000 "Ada" {home} /bin/bash\nm ada audio\n')
    run("systemd-sysusers", "ada.conf")
    home.mkdir()
    shutil.chown(home, "ada", "ada")
    run("loginctl", "enable-linger", "ada")
    until((runtime / "bus").exists, 60, "her session's bus")

    def she(*words: str | Path, fails: bool = False) -> str:
        environment = (f"HOME={home}", f"XDG_RUNTIME_DIR={runtime}")
        return run("runuser", "-u", "ada", "--", "env", *environment, *map(str, words), fails=fails)

    said = she(BIN / "tonnetzd", "install-units", "--user")
    for line in said.partition("Next:")[2].splitlines()[1:]:
        she(*line.replace("--now ", "").split())  # so that the bus has something to start
    assert she("systemctl", "--user", "is-active", "tonnetz", fails=True).strip() == "inactive"
    assert "api" in she("busctl", "--user", "--timeout=120", "call", NAME, ROOT, f"{NAME}.System", "Version")
    assert she("systemctl", "--user", "is-active", "tonnetz", "tonnetz.socket").split() == ["active", "active"]
    socket = runtime / "tonnetz" / "control.sock"
    described = she(BIN / "tonnetz", "--json", "--socket", socket, "call", "system.describe")
    assert json.loads(described)["role"] == "admin" and socket.stat().st_mode & 0o777 == 0o600
    process = she("systemctl", "--user", "show", "-P", "MainPID", "tonnetz").strip()
    assert run("ps", "-o", "user=", "-p", process).strip() == "ada"
    she("systemctl", "--user", "reload", "tonnetz")
    she("systemctl", "--user", "stop", "tonnetz.socket", "tonnetz")
    assert she("systemctl", "--user", "show", "-P", "Result", "tonnetz").strip() == "success"


@check
def nothing_else_went_wrong() -> None:
    assert not run("systemctl", "--failed", "--no-legend").strip()
    assert "Traceback" not in journal()
    denied = [line for line in journal("-p", "err").splitlines() if "tonnetzd" in line]
    print("\n".join(denied))


def main() -> int:
    results = {}
    for function in CHECKS:
        said = io.StringIO()
        began = time.monotonic()
        try:
            with contextlib.redirect_stdout(said):
                function()
            error = ""
        except BaseException:
            error = traceback.format_exc()
        took = time.monotonic() - began
        results[function.__name__] = {"error": error, "said": said.getvalue(), "guest_s": round(took, 2)}
        print(
            "not ok" if error else "ok",
            function.__name__,
            f"({took:.1f} s)",
            said.getvalue().strip(),
            error,
            flush=True,
        )
    Path(os.environ["OUT"], "results.json").write_text(json.dumps(results))
    shutil.copytree("/etc/systemd/system", Path(os.environ["OUT"], "units"), symlinks=True, dirs_exist_ok=True)
    return int(any(result["error"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
