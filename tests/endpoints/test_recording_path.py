"""Names of recordings: fields, endings, numbers, and what a retention may delete."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tonnetz.daemon.endpoints.media_roots import MediaRoots
from tonnetz.daemon.endpoints.recording_path import FIELDS, RecordingPath, flaw_in_path
from tonnetz.daemon.problems import Refusal

NOON = time.strptime("2024-02-29 12:34:56", "%Y-%m-%d %H:%M:%S")


@pytest.fixture
def roots(tmp_path: Path) -> MediaRoots:
    return MediaRoots((), tmp_path)


@pytest.mark.parametrize(
    ("template", "format", "name"),
    [
        ("take.wav", "wav", "take.wav"),
        ("take.WAV", "wav", "take.WAV"),
        ("take", "wav", "take.wav"),
        ("take", "aac", "take.m4a"),
        ("take.aac", "aac", "take.aac"),
        ("take.ogg", "opus", "take.ogg"),
        ("%Y-%m-%d/%H-%M-%S", "flac", "2024-02-29/12-34-56.flac"),
        ("%F %T.wav", "wav", "2024-02-29 12:34:56.wav"),
        ("%d.%m.%Y", "mp3", "29.02.2024.mp3"),  # not an ending, though it looks like one
        ("100%%.wav", "wav", "100%.wav"),
        ("day %j of %Y", "wav", "day 060 of 2024.wav"),
    ],
)
def test_names(roots: MediaRoots, tmp_path: Path, template: str, format: str, name: str) -> None:
    assert flaw_in_path(template, format) == ""
    assert RecordingPath(template, format, roots).at(NOON) == tmp_path / name


@pytest.mark.parametrize(
    ("template", "format", "message"),
    [
        ("", "wav", "names no file"),
        ("  ", "wav", "names no file"),
        ("folder/", "wav", "names no file"),
        ("take.wav", "flac", "path ends in .wav, but format is flac. End it in .flac, or leave the ending out."),
        ("take.m4a", "opus", "End it in .opus or .ogg"),
        ("%Q.wav", "wav", "contains '%Q', which is no date or time. Known: %Y %m %d"),
        ("%D.wav", "wav", "'%D'"),  # it would make folders
        ("100%", "wav", "contains '%'"),
        ("%%%", "wav", "contains '%'"),
    ],
)
def test_flaws(template: str, format: str, message: str) -> None:
    assert message in flaw_in_path(template, format)


def test_no_field_makes_a_folder() -> None:
    for field in FIELDS:
        assert "/" not in time.strftime(f"%{field}", NOON)


def test_what_exists_is_never_taken(roots: MediaRoots, tmp_path: Path) -> None:
    (tmp_path / "take.wav").write_text("precious")
    (tmp_path / "take_3.wav").write_text("precious")
    names = RecordingPath("take.wav", "wav", roots)
    for number in (2, 4, 5):
        meant, path, file = names.create(NOON)
        file.close()
        assert (meant, path) == (tmp_path / "take.wav", tmp_path / f"take_{number}.wav")
    assert (tmp_path / "take.wav").read_text() == (tmp_path / "take_3.wav").read_text() == "precious"


def test_another_time_starts_counting_anew(roots: MediaRoots, tmp_path: Path) -> None:
    names = RecordingPath("%H", "wav", roots)
    made = []
    for hour in (10, 10, 11, 10):
        _, path, file = names.create(time.strptime(str(hour), "%H"))
        file.close()
        made.append(path.name)
    assert made == ["10.wav", "10_2.wav", "11.wav", "10_3.wav"]


def test_folders_are_made(roots: MediaRoots, tmp_path: Path) -> None:
    _, path, file = RecordingPath("a/%Y/%m/b.wav", "wav", roots).create(NOON)
    file.close()
    assert path == tmp_path / "a/2024/02/b.wav"
    assert path.exists()


def test_out_of_the_root(roots: MediaRoots) -> None:
    for template in ("../take.wav", "a/../../take.wav", "/tmp/take.wav"):
        with pytest.raises(Refusal, match="outside the folder"):
            RecordingPath(template, "wav", roots).check()


# ---- Keeping only so many days ---------------------------------------------------------------------------------------


def aged(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    past = time.time() - days * 86400
    os.utime(path, (past, past))
    return path


def test_only_old_recordings_of_this_path_are_deleted(roots: MediaRoots, tmp_path: Path) -> None:
    gone = [
        aged(tmp_path / "studio/2024-02-29/12-34-56.wav", 3.1),
        aged(tmp_path / "studio/2024-02-29/12-34-56_2.wav", 3.1),
        aged(tmp_path / "studio/2024-02-28/00-00-00_17.wav", 400),
    ]
    kept = [
        aged(tmp_path / "studio/2024-03-01/12-34-56.wav", 2.9),
        aged(tmp_path / "studio/2024-02-29/12-34-56.flac", 99),
        aged(tmp_path / "studio/2024-02-29/12-34-56_0.wav", 99),
        aged(tmp_path / "studio/2024-02-29/12-34-56.wav.part", 99),
        aged(tmp_path / "studio/2024-02-29/interview.wav", 99),
        aged(tmp_path / "studio/old/12-34-56.wav", 99),
        aged(tmp_path / "studio/2024-02-29/deeper/12-34-56.wav", 99),
        aged(tmp_path / "other/2024-02-29/12-34-56.wav", 99),
        aged(tmp_path / "12-34-56.wav", 99),
    ]
    names = RecordingPath("studio/%Y-%m-%d/%H-%M-%S", "wav", roots)
    deleted = names.delete_older(3, keep=tmp_path / "studio/2024-03-02/00-00-00.wav")
    assert sorted(deleted) == sorted(gone)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_the_recording_under_way_stays(roots: MediaRoots, tmp_path: Path) -> None:
    path = aged(tmp_path / "take.wav", 99)
    older = aged(tmp_path / "take_2.wav", 99)
    assert RecordingPath("take.wav", "wav", roots).delete_older(1, keep=path) == [older]


def test_folders_left_empty_go_as_far_as_they_are_dated(roots: MediaRoots, tmp_path: Path) -> None:
    aged(tmp_path / "studio/2024/02/29.wav", 9)
    aged(tmp_path / "studio/2023/12/31.wav", 9)
    aged(tmp_path / "studio/2023/12/notes.txt", 9)
    RecordingPath("studio/%Y/%m/%d", "wav", roots).delete_older(3, keep=tmp_path / "x")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "studio",
        "studio/2023",
        "studio/2023/12",
        "studio/2023/12/notes.txt",
    ]


def test_links_are_not_followed(roots: MediaRoots, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    precious = aged(outside / "12.wav", 99)
    (tmp_path / "2024").symlink_to(outside)
    (tmp_path / "2023").mkdir()
    (tmp_path / "2023/11.wav").symlink_to(precious)
    (tmp_path / "2023/10.wav").symlink_to(aged(tmp_path / "mine.wav", 99))
    os.utime(tmp_path / "2023/10.wav", (0, 0), follow_symlinks=False)
    assert RecordingPath("%Y/%H", "wav", roots).delete_older(1, keep=tmp_path / "x") == []
    assert precious.exists()


def test_an_absolute_path_and_characters_with_a_meaning(roots: MediaRoots, tmp_path: Path) -> None:
    old = aged(tmp_path / "a+b (c).d/take [12].wav", 9)
    aged(tmp_path / "aab (c)xd/take [12].wav", 9)
    names = RecordingPath(f"{tmp_path}/a+b (c).d/take [%H].wav", "wav", roots)
    assert names.delete_older(1, keep=tmp_path / "x") == [old]
