"""The worker process: asks ALSA, one question after the other, where nobody else has to wait for the answer.

Started by cards.py as `python -m`; JSON lines come in on standard input and go out on standard output. It ends with its
standard input, and with its parent however that ends, even while ALSA holds it.

    {"id": 1, "do": "try_out", "with": {"device": "hw:0", "direction": "playback"}}
    {"id": 1, "answer": {...}}  or  {"id": 1, "error": {"number": 16, "text": "Device or resource busy", "said": "..."}}
    {"changed": {"mixer": "hw:0", "controls": [...]}}
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import select
import signal
import sys
from collections.abc import Callable
from typing import Any

import alsaaudio
import msgspec

from . import devices, libasound, mixers

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ERRORS = {os.strerror(number): number for number in errno.errorcode}


class Worker:
    """What it is asked is in `answers`, by name; the names of the arguments are those of the functions."""

    def __init__(self, requests: int, answers: int, noise: int) -> None:
        self._requests = requests
        self._answers = answers
        self._noise = noise
        self._watch = mixers.Watch()
        self._waiting = b""
        self.answers: dict[str, Callable[..., Any]] = {
            "devices": devices.devices,
            "abilities": devices.abilities,
            "try_out": devices.try_out,
            "controls": self._controls,
            "change": mixers.change,
        }

    def run(self) -> None:
        """Until there are no more requests to come."""
        poll = select.poll()
        poll.register(self._requests, select.POLLIN)
        poll.register(self._watch, select.POLLIN)
        self._say({"ready": True})
        while True:
            due_s = self._watch.due_s
            ready = {descriptor for descriptor, _ in poll.poll(None if due_s is None else 1000 * due_s)}
            for mixer, changed in self._watch.changes():
                self._say({"changed": {"mixer": mixer, "controls": changed}})
            if self._requests in ready:
                received = os.read(self._requests, 65536)
                if not received:
                    return
                *lines, self._waiting = (self._waiting + received).split(b"\n")
                for line in lines:
                    self._answer(msgspec.json.decode(line))

    def _answer(self, request: dict[str, Any]) -> None:
        os.ftruncate(self._noise, 0)
        try:
            answer = {"answer": self.answers[request["do"]](**request["with"])}
        except (alsaaudio.ALSAAudioError, libasound.AlsaError) as error:
            answer = {"error": self._error(error)}
        self._say({"id": request["id"], **answer})

    def _controls(self, mixer: str) -> list[dict[str, Any]]:
        found = mixers.controls(mixer)
        self._watch.add(mixer, found)
        return found

    def _error(self, error: Exception) -> dict[str, Any]:
        """pyalsaaudio has only words, `Device or resource busy [hw:0]`; libasound itself may have said more."""
        text = str(error).partition(" [")[0]
        said = os.pread(self._noise, 65536, 0).decode(errors="replace")
        words = re.findall(r"^ALSA lib \S+:\d+:\(\w+\) (.*)$", said, re.MULTILINE)
        number = error.number if isinstance(error, libasound.AlsaError) else ERRORS.get(text, 0)
        return {"number": number, "text": text, "said": words[-1] if words else ""}

    def _say(self, message: dict[str, Any]) -> None:
        line = msgspec.json.encode(message) + b"\n"
        while line:
            line = line[os.write(self._answers, line) :]


def main() -> None:
    parent = int(sys.argv[1])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return  # it ended before we could say so
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us too; the parent will tell us
    answers, errors = os.dup(1), os.dup(2)
    sys.stderr = os.fdopen(errors, "w")  # for a traceback, should we have one to show
    noise = os.memfd_create("alsa")  # libasound and its plugins print, to wherever they like
    fcntl.fcntl(noise, fcntl.F_SETFL, os.O_APPEND)  # so that it can be emptied between two questions
    for descriptor in (1, 2):
        os.dup2(noise, descriptor)
    Worker(0, answers, noise).run()


if __name__ == "__main__":
    main()
