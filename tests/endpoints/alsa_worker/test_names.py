"""Which names ALSA is handed at all, and which of them mean the same device."""

from __future__ import annotations

import pytest

from tonnetz.daemon.endpoints.alsa_worker.names import LONGEST, card_of, flaw_in_device, same_device

CARDS = {0: "PCH", 2: "USB_1"}


@pytest.mark.parametrize(
    "device",
    ["hw:0", "default", "plughw:CARD=PCH,DEV=0", "plug:'hw:1,0'", "studio", "tzcard:/tmp/a file", "iec958:AES0=0x6"],
)
def test_ordinary_names_pass(device: str) -> None:
    assert flaw_in_device(device) == ""


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("", "names no device"),
        ("  ", "names no device"),
        ("x" * (LONGEST + 1), "at most 256 characters"),
        ("hw:0\n", "can be printed"),
        ("hw:\0", "can be printed"),
        ("{type file file '|reboot' slave.pcm null}", "in braces"),
        ("plug:SLAVE={type null}", "in braces"),
        ("tee:hw:0,/etc/passwd,raw", "'tee', which writes files"),
        ("file:'|reboot',raw", "'file', which writes files"),
        ("plug:'tee:null,/tmp/x'", "'tee', which writes files"),
        ("plug:SLAVE='file:/tmp/x'", "'file', which writes files"),
        ("file", "'file', which writes files"),
    ],
)
def test_names_that_are_more_than_names(device: str, said: str) -> None:
    assert said in flaw_in_device(device)


@pytest.mark.parametrize("device", ["hw:0", "hw:PCH", "hw:0,0", "hw:CARD=PCH", "hw:CARD=PCH,DEV=0", "hw:CARD=0,DEV=0"])
def test_spellings_of_one_device(device: str) -> None:
    assert same_device(device, CARDS) == "hw:PCH,0"
    assert card_of(device, CARDS) == "PCH"


@pytest.mark.parametrize(
    ("device", "same", "card"),
    [
        ("plughw:2,1", "plughw:USB_1,1", "USB_1"),
        ("hw:0,0,3", "hw:PCH,0,3", "PCH"),
        ("front:CARD=USB_1,DEV=0", "front:USB_1,0", "USB_1"),
        ("hw:1", "hw:1", None),
        ("hw:Nobody", "hw:Nobody", None),
        ("default", "default", None),
        ("tzcard:/tmp/PCH", "tzcard:/tmp/PCH", None),
    ],
)
def test_others(device: str, same: str, card: str | None) -> None:
    assert same_device(device, CARDS) == same
    assert card_of(device, CARDS) == card
