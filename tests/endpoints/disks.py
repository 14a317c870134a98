"""Disks that go wrong, in place of the real ones."""

from __future__ import annotations

from tonnetz.daemon.endpoints.sound_file import RawFile


class FullDisk:
    """A file on a disk that has so many bytes left. Overwriting still works, as it does on a real one."""

    def __init__(self, file: RawFile, left: int) -> None:
        self._file = file
        self._end = left
        self._at = 0

    def write(self, data: bytes | memoryview, /) -> int:
        fits = self._end - self._at
        if fits <= 0:
            raise OSError(28, "No space left on device")
        count = self._file.write(memoryview(data)[:fits]) or 0
        self._at += count
        return count

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = self._file.seek(offset, whence)
        return self._at

    def truncate(self, size: int, /) -> int:
        return self._file.truncate(size)

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()


class FailingDisk(FullDisk):
    """A file on a disk that gives up after so many bytes, for good."""

    def write(self, data: bytes | memoryview, /) -> int:
        if self._at + len(data) > self._end:
            self._end = 0
            raise OSError(5, "Input/output error")
        return super().write(data)
