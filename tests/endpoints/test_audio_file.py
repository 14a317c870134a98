"""Decoding: every format whole, from any frame, exact; and what is no sound file said so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.endpoints.audio_file import AudioFile, UnreadableFile

from .bench import RATE, Samples, encode, noise, read_sound, sweep, write_sound

FRAMES = 4 * RATE + 1234  # long enough to be sought in, no multiple of any packet


def blocks(file: AudioFile, start: int = 0) -> Samples:
    parts = list(file.blocks(start))
    return np.concatenate(parts, axis=1) if parts else np.zeros((file.channels, 0), np.float32)


def whole(path: Path) -> Samples:
    file = AudioFile(path)
    try:
        return blocks(file)
    finally:
        file.close()


@pytest.mark.parametrize(
    ("ending", "subtype", "bits"),
    [
        ("wav", "PCM_U8", 8),
        ("wav", "PCM_16", 16),
        ("wav", "PCM_24", 24),
        ("wav", "PCM_32", 24),
        ("wav", "FLOAT", 24),
        ("wav", "DOUBLE", 24),
        ("flac", "PCM_16", 16),
        ("flac", "PCM_24", 24),
        ("aiff", "PCM_24", 24),
        ("caf", "PCM_24", 24),
    ],
)
def test_lossless_files_come_through_bit_for_bit(tmp_path: Path, ending: str, subtype: str, bits: int) -> None:
    path = write_sound(tmp_path / f"a.{ending}", noise(30011, bits=bits), subtype=subtype)
    assert np.array_equal(whole(path), read_sound(path))


def test_float_files_keep_what_lies_beyond_full_scale(tmp_path: Path) -> None:
    block = 4 * noise(5000)
    assert np.array_equal(whole(write_sound(tmp_path / "a.wav", block, subtype="FLOAT")), block)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "libmp3lame"), ("a.opus", "libopus"), ("a.m4a", "aac"), ("a.mka", "flac"), ("a.webm", "libopus")],
)
def test_lossy_files_begin_and_end_where_the_sound_did(tmp_path: Path, name: str, codec: str) -> None:
    sound = sweep(FRAMES)
    decoded = whole(encode(tmp_path / name, sound, codec))
    # MP4 counts in milliseconds: one of silence may be left at the end.
    assert 0 <= decoded.shape[1] - FRAMES <= (RATE // 1000 * 2 if name.endswith("m4a") else 0)
    middle = slice(RATE, 3 * RATE)
    error = decoded[:, middle] - sound[:, middle]
    assert 10 * np.log10(np.mean(error**2) / np.mean(sound[:, middle] ** 2)) < -20  # a shift by one frame gives -19 dB


def test_vorbis_and_foreign_mp3(tmp_path: Path) -> None:
    sound = sweep(FRAMES)
    for name, options in (("a.ogg", {"format": "OGG", "subtype": "VORBIS"}), ("a.mp3", {"format": "MP3"})):
        path = write_sound(tmp_path / name, sound, **options)
        decoded = whole(path)
        assert decoded.shape == sound.shape
        assert np.max(np.abs(decoded - read_sound(path))) < 2e-4  # two decoders of the same file


STARTS = [0, 1, 47999, 48001, 100000, FRAMES - 3000, FRAMES - 1, FRAMES, FRAMES + 5000, *range(51111, FRAMES, 31337)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", ""),
        ("a.flac", ""),
        ("a.ogg", ""),
        ("a.mp3", ""),
        ("b.mp3", "libmp3lame"),
        ("a.opus", "libopus"),
        ("flac.ogg", "flac"),
        ("alac.m4a", "alac"),
        ("a.mka", "flac"),
        ("a.webm", "libopus"),
    ],
)
def test_decoding_from_any_frame_gives_what_decoding_all_does(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    if codec:
        encode(path, sweep(FRAMES), codec)
    else:
        write_sound(path, sweep(FRAMES))
    file = AudioFile(path)
    everything = blocks(file)
    for start in STARTS:
        assert np.array_equal(blocks(file, start), everything[:, start:]), start
    file.close()


def test_aac_from_any_frame(tmp_path: Path) -> None:
    """AAC's decoder puts fresh noise into some bands, so that two runs are alike and not equal."""
    file = AudioFile(encode(tmp_path / "a.m4a", sweep(FRAMES), "aac"))
    everything = blocks(file)
    for start in STARTS:
        part = blocks(file, start)
        assert part.shape == everything[:, start:].shape
        if part.shape[1] > RATE:
            error = part[:, :RATE] - everything[:, start : start + RATE]
            assert np.sqrt(np.mean(error**2)) < 0.01
    file.close()


def test_blocks_are_of_a_tenth_of_a_second_or_so(tmp_path: Path) -> None:
    file = AudioFile(write_sound(tmp_path / "a.wav", noise(FRAMES)))
    sizes = [block.shape[1] for block in file.blocks(777)]
    assert all(4800 <= size < 4800 + 4096 for size in sizes[:-1])
    file.close()


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    file = AudioFile(encode(tmp_path / "a.opus", sweep(FRAMES), "libopus"))
    assert (file.codec, file.rate, file.channels) == ("opus", RATE, 2)
    assert file.tags == {"title": "Étude", "artist": "Tonnetz"}
    assert file.duration_s == pytest.approx(FRAMES / RATE, abs=0.01)
    file.close()
    file = AudioFile(write_sound(tmp_path / "b.mp3", sweep(FRAMES, rate=44100)[:1], rate=44100))
    assert (file.codec, file.rate, file.channels, file.tags) == ("mp3", 44100, 1, {})
    file.close()


def test_eight_planar_channels(tmp_path: Path) -> None:
    sound = sweep(RATE, channels=8)
    decoded = whole(encode(tmp_path / "a.m4a", sound, "aac", movie_timescale=str(RATE)))
    assert decoded.shape[0] == 8
    for channel in (0, 1, 2, 4, 5, 6, 7):  # the fourth is the low-frequency one, which AAC narrows
        error = decoded[channel, 9600:38400] - sound[channel, 9600:38400]
        assert np.sqrt(np.mean(error**2)) < 0.05, channel


# ---- What can't be played ------------------------------------------------------------------------------------------------


def test_what_is_no_sound_file(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("This is not a sound." * 100)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("text.wav", "is not a sound file"),
        ("empty.wav", "is not a sound"),
        ("folder", "is a folder"),
    ):
        with pytest.raises(UnreadableFile, match=message):
            AudioFile(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        AudioFile(tmp_path / "missing.wav")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(UnreadableFile, match="not a plain file"):
        AudioFile(tmp_path / "pipe.wav")


def test_a_playlist_opens_no_other_files(tmp_path: Path) -> None:
    sound = encode(tmp_path / "secret.aac", sweep(RATE), "aac")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    for target in (sound.as_uri(), "secret.aac", "http://127.0.0.1:1/a.aac"):
        (tmp_path / "list.m3u8").write_text(playlist.format(target))
        with pytest.raises(UnreadableFile, match="is not a sound file"):
            AudioFile(tmp_path / "list.m3u8")
    (tmp_path / "list.ffconcat").write_text(f"ffconcat version 1.0\nfile '{sound.name}'\n")
    with pytest.raises(UnreadableFile):
        AudioFile(tmp_path / "list.ffconcat")


def test_damage_in_the_middle_is_left_out_and_counted(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", noise(FRAMES, bits=16), subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    file = AudioFile(path)
    assert FRAMES - 5 * 4096 < blocks(file).shape[1] < FRAMES
    assert file.damaged == 1
    file.close()


def test_a_file_cut_short_plays_to_where_it_was_cut(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "a.mp3", "a.ogg"):
        path = write_sound(tmp_path / name, sweep(FRAMES))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert 0.2 * FRAMES < whole(path).shape[1] < 0.7 * FRAMES, name


def test_a_file_replaced_by_one_of_another_kind(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(RATE))
    file = AudioFile(path)
    assert blocks(file).shape[1] == RATE
    other = tmp_path / "other.wav"
    soundfile.write(other, noise(RATE, channels=1).T, 44100)
    other.replace(path)
    with pytest.raises(UnreadableFile, match="changes from 48000 Hz, 2 channels to 44100 Hz, 1 channels"):
        blocks(file)
    file.close()


def test_pcm_is_wound_back_and_other_files_are_opened_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open a file takes FFmpeg longer than to decode ten seconds of PCM."""
    opened: list[str] = []
    opening = AudioFile._open

    def counted(self: AudioFile) -> None:
        opened.append(self.path.name)
        opening(self)

    monkeypatch.setattr(AudioFile, "_open", counted)
    for name, times in (("a.wav", 1), ("a.aiff", 1), ("a.flac", 3), ("a.ogg", 3)):
        file = AudioFile(write_sound(tmp_path / name, sweep(3 * RATE)))
        first = blocks(file)
        assert first.shape[1] == 3 * RATE
        assert np.array_equal(blocks(file), first)
        assert np.array_equal(blocks(file, 2 * RATE), first[:, 2 * RATE :])
        assert opened.count(name) == times, name
        write_sound(tmp_path / "other", sweep(RATE), format=name.partition(".")[2]).replace(file.path)
        assert 0 < blocks(file).shape[1] < 2 * RATE, f"{name}: not the new one"
        file.close()
