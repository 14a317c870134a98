"""The pages are right: the made ones are what docs/make.py makes, links lead somewhere, and every example is tried.

What a page shows in an `sh` block is typed word for word into a shell beside a running demo, in the order of the page. The
sentence before a block says whether it goes well: where it speaks of what "is refused", every line of the block has to be.
A `json` block right after one shows what that prints.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest
import yaml

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.document_text import TEXT_LIMIT, read_text
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.events import QUEUE_LIMIT
from tonnetz.daemon.graph.config import complete
from tonnetz.daemon.graph.document import edits_from_plain, parse_document
from tonnetz.daemon.graph.edits import AnyEdit, RenameNode
from tonnetz.daemon.graph.rules import Limits as GraphLimits
from tonnetz.daemon.graph.transaction import apply_edits
from tonnetz.daemon.node_catalogue import load_catalogue
from tonnetz.daemon.probing.injecting import MOST_SAMPLES
from tonnetz.daemon.probing.taps import BUDGET_BYTES, KEPT_S
from tonnetz.daemon.reloading import Configuration
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, StorageSettings, parse_settings
from tonnetz.daemon.startup import begin
from tonnetz.rpc.doors.command_line.program import program
from tonnetz.rpc.doors.http.callers import TICKET_S
from tonnetz.rpc.doors.http.guard import BURST, RATE
from tonnetz.rpc.doors.http.listening import MOST as LISTENERS
from tonnetz.rpc.doors.http.sockets import MOST as WEBSOCKETS
from tonnetz.rpc.doors.http.sockets import PATIENCE_S as UNREAD_S
from tonnetz.rpc.doors.json_rpc import JsonRpc
from tonnetz.rpc.doors.json_rpc import Limits as MessageLimits
from tonnetz.rpc.doors.unix_socket import CONNECTIONS, PATIENCE_S
from tonnetz.rpc.method_table import Call, load_methods

from .alsa.virtual_card import VirtualCard, named

CHECKOUT = Path(__file__).resolve().parents[1]
DOCS = CHECKOUT / "docs"
README = CHECKOUT / "README.md"
WRITTEN = sorted(path for path in DOCS.glob("*.md") if path.name not in ("node-types.md", "methods.md"))
PAGES = [README, CHECKOUT / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]
START_S = 30.0


# ---- Pages as text ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, where it begins, and the paragraph before it."""

    page: Path
    line: int
    language: str
    text: str
    introduction: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def is_refused(self) -> bool:
        return re.search(r"\brefused\b", self.introduction) is not None


@functools.cache
def blocks(page: Path) -> Sequence[Block]:
    found = []
    text = page.read_text()
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: match.start()]
        paragraph = before.rstrip().rpartition("\n\n")[2]
        found.append(Block(page, before.count("\n") + 1, match[1], match[2], paragraph))
    return found


def words(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """The targets within the checkout."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", words(page)) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", words(page), re.MULTILINE):
        slug = base = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        number = 0
        while slug in found:
            number += 1
            slug = f"{base}-{number}"
        found.add(slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            lost.append(target)
    assert lost == []


def test_every_page_is_linked() -> None:
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in PAGES for target in links(page)}
    assert {page.name for page in PAGES if page not in linked} <= {"README.md"}


def test_headings_are_told_apart() -> None:
    """An anchor that two headings share leads to the first of them."""
    for page in WRITTEN:
        assert not [anchor for anchor in anchors(page) if re.search(r"-\d+$", anchor)], page.name


# ---- Made pages ------------------------------------------------------------------------------------------------------


def test_made_pages_are_up_to_date() -> None:
    command = [sys.executable, str(DOCS / "make.py"), "--check"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("page", sorted((DOCS / "man").iterdir()), ids=lambda page: page.name)
def test_manual_pages_are_set_without_a_warning(page: Path) -> None:
    """By both programs that read such pages, as far as they are there."""
    commands = ["mandoc -T lint -W warning", "groff -man -Kutf8 -Tutf8 -ww -z"]
    there = [command.split() for command in commands if shutil.which(command.split()[0])]
    if not there:
        pytest.skip("neither mandoc nor groff is installed")
    for command in there:
        outcome = subprocess.run([*command, page], capture_output=True, text=True, check=False)
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_every_kind_of_problem_is_explained() -> None:
    """Kinds stand in the sources as the first thing that is said of a problem."""
    told: set[str] = set()
    for folder in ("daemon", "rpc"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            told |= set(re.findall(r"\b[Pp]roblem\(\s*\"(\w+)\"", path.read_text()))
    told |= {"wrong_type", "invalid_value"}  # chosen by daemon/misfits.py
    _, _, table = (DOCS / "methods.md").read_text().partition("Kinds of problems:")
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == told


# ---- Examples that are data ------------------------------------------------------------------------------------------


def demo_document() -> dict[str, Any]:
    configuration = yaml.safe_load((CHECKOUT / "examples" / "demo" / "tonnetz.yaml").read_text())
    graph: dict[str, Any] = configuration["graph"]
    return graph


def examples(language: str, pages: Sequence[Path] = tuple(PAGES)) -> list[Block]:
    return [block for page in pages for block in blocks(page) if block.language == language]


@pytest.mark.parametrize("block", examples("yaml"), ids=str)
def test_yaml_can_be_read_as_what_it_is(block: Block) -> None:
    catalogue, _ = load_catalogue()
    data = read_text(block.text)
    if isinstance(data, list) and "type" in data[0]:
        for node in data:
            assert complete(catalogue[node["type"]], node.get("config", {}))[1] == []
    elif isinstance(data, list):
        apply_edits(parse_document(demo_document(), catalogue), edits_from_plain(data), catalogue)
    elif "nodes" in data:
        parse_document(data, catalogue)
    else:
        parse_settings(data)


def test_both_ways_of_writing_edits_say_the_same() -> None:
    page = DOCS / "graph.md"
    short = next(edits_from_plain(read_text(b.text)) for b in blocks(page) if b.text.startswith("- add_node"))
    lines = next(b.text for b in blocks(page) if b.text.startswith('{"op": "add_node"')).splitlines()
    assert edits_from_plain([json.loads(line) for line in lines]) == short
    assert {type(edit) for edit in short} == set(get_args(AnyEdit))


class Listener:
    """A connection that lasts, as far as methods are concerned."""

    def subscribe(self, names: Sequence[str] | None, since: int | None = None) -> int | None:
        return None

    def unsubscribe(self) -> None:
        pass


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """The demo's graph, on the step clock; there is no sound in its folder. The machine has a card `hw:0`.

    Something was undone, and there is a snapshot.
    """
    for variable, value in named(tmp_path, {"hw": VirtualCard(tmp_path)}).items():
        monkeypatch.setenv(variable, value)
    media = MediaRoots(play_roots=(tmp_path,), record_root=tmp_path)
    session = Session(clock="step", media=media)
    session.configuration = Configuration(None, Settings(), session)
    await begin(session, Settings(storage=StorageSettings(directory=str(tmp_path / "state")), graph=demo_document()))
    for name in ("noon", "night"):
        await session.apply(edits_from_plain([{"rename_graph": {"name": name}}]), caller=CALLER)
    for name, params in (
        ("snapshots.save", {"name": "evening"}),
        ("templates.save", {"name": "channel", "nodes": ["eq", "mix"]}),
        ("history.undo", {}),
    ):
        await load_methods()[name].run(Call(session, CALLER), params)
    later = RenameNode(id="drone", label="Later")
    waiting = asyncio.create_task(session.apply([later], caller=CALLER, at=10**6))  # there is something to be cancelled
    await asyncio.sleep(0)
    yield session
    waiting.cancel()
    await session.close()


CALLER = Caller("reader", "admin", "test")


@pytest.mark.parametrize("block", examples("json", [DOCS / "methods.md"]), ids=str)
async def test_example_requests_are_answered(block: Block, session: Session) -> None:
    answer = await JsonRpc(load_methods()).answer(block.text.strip().encode(), Call(session, CALLER, Listener()))
    assert answer is not None and "result" in msgspec.json.decode(answer), answer


def test_every_method_has_an_example_request() -> None:
    shown = [json.loads(block.text)["method"] for block in examples("json", [DOCS / "methods.md"])]
    assert sorted(shown) == sorted(load_methods())


async def test_events_tell_what_the_page_says(session: Session) -> None:
    listening = session.events.subscribe()
    edits = read_text(next(b.text for b in blocks(DOCS / "graph.md") if b.text.startswith("- add_node")))
    await session.runtime.start()
    await session.apply(edits_from_plain(edits), caller=CALLER)
    await session.runtime.step(1)
    await session.runtime.stop()
    heard: dict[str, set[str]] = {}
    while len(listening):
        event = await anext(listening)
        heard.setdefault(event.name, set(event.params))
    _, _, table = (DOCS / "methods.md").read_text().partition("## Events")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table.partition("## Errors")[0], re.MULTILINE)
    said = {name: set(re.findall(r"`(\w+)`", params)) for name, params in rows}
    assert {name: said[name] for name in heard} == heard
    assert len(heard) >= 9


# ---- Examples that are typed -----------------------------------------------------------------------------------------


class Demo:
    """What `./dev run` starts, in a folder that looks like a checkout, on a machine with a card `hw:0`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = named(folder, {"hw": VirtualCard(folder)})
        (folder / ".venv").symlink_to(sys.prefix)
        shutil.copy(CHECKOUT / "dev", folder)
        shutil.copytree(CHECKOUT / "examples", folder / "examples", ignore=shutil.ignore_patterns("*.wav", "*.flac"))
        self.output = folder / "demo.log"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "examples/demo/run.py"],
                cwd=folder,
                env=os.environ | self.environment | {"TONNETZ_DEMO_PORT": "0"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + START_S
            while "Ctrl-C ends it" not in self.output.read_text():
                assert self.process.poll() is None and time.monotonic() < deadline, self.output.read_text()
                time.sleep(0.05)
        except BaseException:
            self.process.kill()
            raise

    @property
    def address(self) -> str:
        """Of its HTTP door, which is not the usual one where several demos run."""
        return re.findall(r"In a browser: http://(\S+)/", self.output.read_text())[0]

    def type(self, command: str, *, shell: Sequence[str] = ("sh", "-e", "-c")) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "TONNETZ_SOCKET"}
        command = command.replace("127.0.0.1:8420", self.address)
        return subprocess.run(
            [*shell, command], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def start_over(self) -> None:
        """The demo's graph as it was at first."""
        (self.folder / "demo.json").write_text(json.dumps(demo_document()))
        for command in ("start", "import demo.json --fade-ms 0"):
            outcome = self.type(f"./dev tonnetz {command}")
            assert outcome.returncode == 0, outcome.stderr

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0, self.output.read_text()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("checkout"))
    yield demo
    demo.end()


def follow(page: Path, demo: Demo) -> None:
    """Types every `sh` and `python` block of a page."""
    demo.start_over()
    printed = ""
    for block in blocks(page):
        if block.text == "./dev run\n":
            continue  # it has been typed
        if block.language == "python":
            outcome = demo.type(block.text, shell=("env", "TONNETZ_SOCKET=.demo/control.sock", sys.executable, "-c"))
            assert outcome.returncode == 0, f"{block}\n{outcome.stderr}"
        elif block.language == "sh":
            printed = type_block(block, demo)
        elif block.language == "json" and printed:
            shown, got = json.loads(block.text), msgspec.json.decode(printed)
            assert alike(shown, got), f"{block} prints\n{printed}"
            printed = ""


def type_block(block: Block, demo: Demo) -> str:
    """What a block prints, after it was seen to go well, or line by line to be refused."""
    if "socat" in block.text and not shutil.which("socat"):
        return ""
    if not block.is_refused:
        outcome = demo.type(block.text)
        assert outcome.returncode == 0, f"{block}\n{outcome.stdout}\n{outcome.stderr}"
        return outcome.stdout
    for line in block.text.splitlines():
        outcome = demo.type(line)
        assert outcome.returncode == 1, f"{block}: this should be refused: {line}\n{outcome.stdout}"
    return outcome.stderr


def alike(shown: Any, got: Any) -> bool:
    """Whether it is of the shape shown: the same keys and types, and names and codes that are the same too."""
    if isinstance(shown, dict) and isinstance(got, dict):
        exact = ("name", "kind", "code", "method", "where", "jsonrpc")
        return shown.keys() == got.keys() and all(
            shown[key] == got[key] if key in exact else alike(shown[key], got[key]) for key in shown
        )
    if isinstance(shown, list) and isinstance(got, list):
        return len(shown) == len(got) and all(map(alike, shown, got))
    return type(shown) is type(got)


def test_the_readmes_tour(demo: Demo) -> None:
    first, *rest = [block for block in blocks(README) if block.language == "sh"]
    assert first.text == "./dev run\n", "the demo is what this starts"
    assert sum(len(block.text.splitlines()) for block in rest if block.is_refused) == 2
    assert any("socat" in block.text for block in rest)
    follow(README, demo)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_pages_can_be_followed(page: Path, demo: Demo) -> None:
    follow(page, demo)


def test_quoted_commands_exist() -> None:
    """`tonnetz COMMAND` and `./dev COMMAND` in running text name commands that there are."""
    text = "".join(path.read_text() for path in PAGES)
    quoted = set(re.findall(r"`(?:\./dev )?tonnetz (\w+)", text)) - {"COMMAND"}
    assert quoted <= set(program.list_commands(click.Context(program)))
    developers = set(re.findall(r"`\./dev (\w+)", text)) - {"tonnetz", "help"}
    assert developers <= set(re.findall(r"^\t(\w+)\)$", (CHECKOUT / "dev").read_text(), re.MULTILINE))


def test_bounds_are_the_programs() -> None:
    control, graph = (DOCS / "control.md").read_text(), (DOCS / "graph.md").read_text()
    message, size = MessageLimits(), GraphLimits()
    assert f"| {message.message_bytes >> 20} MiB, {message.depth} levels deep |" in control
    assert f"| {message.batch_entries} entries, {message.answer_bytes >> 20} MiB of answers |" in control
    assert f"| {CONNECTIONS}; an admin gets in beyond that |" in control
    assert f"after {PATIENCE_S:g} s it is let go" in control and f"{QUEUE_LIMIT} events wait for each" in control
    assert f"{size.nodes:,} nodes and {size.connections:,} connections, {size.links_per_port} of them" in graph
    assert f"A text may have {TEXT_LIMIT >> 20} MiB" in graph
    http = (DOCS / "http.md").read_text()
    assert f"| {message.message_bytes >> 20} MiB, {message.depth} levels deep |" in http
    assert f"| {RATE:g} a second, {BURST:g} at once |" in http and f"| listeners | {LISTENERS} |" in http
    assert (
        f"| WebSockets | {WEBSOCKETS}; one that leaves what it is sent unread for {UNREAD_S:g} s is cut off |" in http
    )
    assert f"| {BUDGET_BYTES >> 20} MiB: 64 channels at 48 kHz, {KEPT_S:g} s each |" in http
    assert f"for one connection within {TICKET_S:g} s" in http and MOST_SAMPLES == 1 << 24


# ---- Proofs, and other files that are named -----------------------------------------------------------------------------


def test_the_files_that_are_named_exist() -> None:
    """By their path, or the end of it; and of the daemon's files that lie in no folder the architecture leaves out none
    that knows the session."""
    folders = [path for path in CHECKOUT.iterdir() if path.is_dir() and path.name != "build" and path.name[0] != "."]
    there = [str(path) for folder in (CHECKOUT, *folders) for path in folder.glob("**/*" if folder in folders else "*")]
    architecture = (CHECKOUT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`([\w/.-]+\.(?:py|c|h|pml|sh|md))`", "".join(page.read_text() for page in PAGES))
    assert len(named) > 40
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []
    knows = re.compile(r"^\s*from \.session import", re.MULTILINE)
    rooms = [path.name for path in (CHECKOUT / "daemon").glob("*.py") if knows.search(path.read_text())]
    assert [name for name in rooms if f"{name}`" not in architecture] == []


def test_the_proofs_that_are_named_exist() -> None:
    """Each command selects some test."""
    commands = re.findall(r"`\./dev test ([^`]+)`", "".join(page.read_text() for page in PAGES))
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    tests = [line for line in outcome.stdout.splitlines() if "::" in line]
    assert len(commands) >= 10 and len(tests) > 500, outcome.stdout
    for command in commands:
        path, *words = shlex.split(command)
        if path == "--system":  # named by no test's path, and collected only then
            continue
        assert words[:1] in ([], ["-k"]) and len(words) in (0, 2), command
        wanted = words[1].split(" or ") if words else [""]
        for word in wanted:
            assert [test for test in tests if test.startswith(path) and word in test], f"{command}: {word}"
