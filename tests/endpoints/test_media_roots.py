"""The bounds of what may be played and recorded hold against `..`, links and absolute paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from tonnetz.daemon.endpoints.media_roots import MediaRoots
from tonnetz.daemon.problems import Refusal


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("music/a.wav", "music/deep/b.wav", "jingles/a.wav", "jingles/j.wav", "private/secret.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "recordings").mkdir()
    (tmp_path / "music/to_private").symlink_to(tmp_path / "private")
    (tmp_path / "music/secret.wav").symlink_to("../private/secret.wav")
    (tmp_path / "music/to_jingles").symlink_to(tmp_path / "jingles")
    (tmp_path / "music/circle").symlink_to(tmp_path / "music/circle")
    (tmp_path / "recordings/out").symlink_to(tmp_path / "private")
    (tmp_path / "recordings/out.wav").symlink_to(tmp_path / "private/new.wav")
    return tmp_path


@pytest.fixture
def roots(tree: Path) -> MediaRoots:
    return MediaRoots((tree / "music", tree / "jingles"), tree / "recordings")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.wav", "music/a.wav"),  # the first root that has it
        ("j.wav", "jingles/j.wav"),
        ("deep/b.wav", "music/deep/b.wav"),
        ("deep/../a.wav", "music/a.wav"),
        ("../jingles/j.wav", "jingles/j.wav"),  # out of one root and into another
        ("to_jingles/j.wav", "jingles/j.wav"),
        ("missing.wav", "music/missing.wav"),
        ("{tree}/jingles/j.wav", "jingles/j.wav"),
    ],
)
def test_what_may_be_played(tree: Path, roots: MediaRoots, path: str, found: str) -> None:
    assert roots.to_play(path.format(tree=tree)) == tree / found


@pytest.mark.parametrize(
    "path",
    [
        "../private/secret.wav",
        "deep/../../private/secret.wav",
        "secret.wav",
        "to_private/secret.wav",
        "to_private/missing.wav",
        "{tree}/private/secret.wav",
        "{tree}/music/../private/secret.wav",
        "/etc/passwd",
        "..",
    ],
)
def test_what_may_not_be_played(tree: Path, roots: MediaRoots, path: str) -> None:
    with pytest.raises(Refusal, match="outside the folders that may be played from") as caught:
        roots.to_play(path.format(tree=tree))
    assert caught.value.name == "forbidden"
    assert str(tree / "music") in caught.value.message
    assert "media.play_roots" in caught.value.message
    assert [(problem.kind, problem.where) for problem in caught.value.problems] == [("forbidden", "config.path")]


def test_a_circle_of_links_is_no_way_out(tree: Path, roots: MediaRoots) -> None:
    assert roots.to_play("circle") == tree / "music/circle"  # opening it fails, as it should
    with pytest.raises(OSError, match="symbolic links"):
        roots.to_play("circle").open()


def test_a_root_that_is_a_link_itself(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "music")
    assert MediaRoots((tree / "link",), tree).to_play("a.wav") == tree / "music/a.wav"


def test_without_roots_nothing_may_be_played(tree: Path) -> None:
    with pytest.raises(Refusal, match=r"may be played from \(none\)"):
        MediaRoots((), tree).to_play("a.wav")


@pytest.mark.parametrize("path", ["take.wav", "new/folder/take.wav", "new/../take.wav", "{tree}/recordings/take.wav"])
def test_where_may_be_recorded(tree: Path, roots: MediaRoots, path: str) -> None:
    assert roots.to_record(path.format(tree=tree)).is_relative_to(tree / "recordings")


@pytest.mark.parametrize(
    "path",
    [
        "../take.wav",
        "new/../../take.wav",
        "out/take.wav",
        "out.wav",
        "{tree}/private/take.wav",
        "/etc/passwd",
        ".",
        "..",
    ],
)
def test_where_may_not_be_recorded(tree: Path, roots: MediaRoots, path: str) -> None:
    with pytest.raises(Refusal, match="outside the folder that may be recorded to") as caught:
        roots.to_record(path.format(tree=tree))
    assert caught.value.name == "forbidden"
    assert "media.record_root" in caught.value.message


def test_a_neighbour_of_the_same_beginning_is_outside(tree: Path, roots: MediaRoots) -> None:
    (tree / "recordings2").mkdir()
    with pytest.raises(Refusal):
        roots.to_record("../recordings2/take.wav")


def test_whoever_acts_with_their_own_rights_may_record_anywhere(tree: Path) -> None:
    roots = MediaRoots((tree,), tree / "recordings", record_anywhere=True)
    assert roots.to_record("take.wav") == tree / "recordings/take.wav"
    assert roots.to_record(f"{tree}/private/take.wav") == tree / "private/take.wav"
