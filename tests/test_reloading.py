"""daemon/reloading.py: a configuration that is read again changes what it can, names the rest, or changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.reload_report import Reloaded
from tonnetz.daemon.reloading import Configuration, differences, media_roots
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import load_settings, parse_settings
from tonnetz.rpc.method_table import Call, load_methods

CALLER = Caller("uid:0", "admin", "test")
BEFORE = """
media: {play_roots: [sounds], record_root: takes}
graph:
  nodes: [{id: hum, type: tone}, {id: drain, type: null_output}]
  connections: [{source: hum.out, target: drain.in}]
"""


def write(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tonnetz.yaml"
    write(path, BEFORE)
    return path


@pytest.fixture
async def session(file: Path) -> AsyncIterator[Session]:
    settings = load_settings(file)
    session = Session(clock="step", media=media_roots(settings.media))
    session.configuration = Configuration(file, settings, session)
    await session.load(settings.graph, caller=CALLER)
    yield session
    await session.close()


async def reload(session: Session) -> Reloaded:
    report = await load_methods()["system.reload"].run(Call(session, CALLER))
    assert isinstance(report, Reloaded)
    return report


async def test_what_can_change_does_and_the_rest_is_named(session: Session, file: Path) -> None:
    text = BEFORE.replace("[sounds]", "[sounds, /srv/more]").replace("type: tone", "type: tone, label: Hum")
    write(file, f"{text}\nengine: {{block_frames: 128}}\ndoors: {{socket: {{mode: '0600'}}, dbus: false}}\n")
    report = await reload(session)
    assert report.applied == ["media.play_roots", "graph"] and report.revision == session.revision == 2
    assert report.restart == ["engine.block_frames", "doors.socket.mode", "doors.dbus"]
    assert session.graph.nodes["hum"].label == "Hum"
    assert session.media.play_roots == (file.parent / "sounds", Path("/srv/more"))
    again = await reload(session)
    assert (again.applied, again.restart) == ([], report.restart), "what waits for a restart goes on waiting"
    assert session.revision == 2


async def test_edits_made_meanwhile_stay_unless_the_files_graph_changed(session: Session, file: Path) -> None:
    edits = edits_from_plain([{"add_node": {"type": "gain", "id": "live"}}])
    await session.apply(edits, caller=CALLER)
    write(file, BEFORE.replace("takes", "elsewhere"))
    assert (await reload(session)).applied == ["media.record_root"]
    assert "live" in session.graph.nodes
    write(file, BEFORE.replace("id: hum, type: tone", "id: hum, type: tone, bypass: true"))
    await reload(session)
    assert "live" not in session.graph.nodes and session.graph.nodes["hum"].bypass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("engine: {block: 1}", "engine.block: There is no setting"),
        ("graph: [", "is not valid YAML"),
        (BEFORE.replace("tone", "tune").replace("takes", "elsewhere"), "There is no node type 'tune'"),
    ],
)
async def test_a_mistake_changes_nothing(session: Session, file: Path, text: str, message: str) -> None:
    media = session.media
    write(file, text)
    with pytest.raises(Refusal, match=message):
        await reload(session)
    assert session.revision == 1 and session.media is media
    write(file, BEFORE)
    assert await reload(session) == Reloaded([], [], 1)


async def test_a_file_that_is_gone_is_told(session: Session, file: Path) -> None:
    remove(file)
    with pytest.raises(Refusal, match="can't be read: No such file"):
        await reload(session)


async def test_a_session_without_a_configuration_says_so(session: Session) -> None:
    session.configuration = None
    with pytest.raises(Refusal, match="made without a configuration"):
        await reload(session)


def test_differences_have_their_places() -> None:
    old = parse_settings({})
    new = parse_settings({"engine": {"clock": "step"}, "doors": {"http": False}, "autostart": False})
    assert list(differences(old, new)) == ["engine.clock", "doors.http", "autostart"]
    assert list(differences(old, old)) == []
