"""Names of devices as ALSA reads them: which may be used at all, which card one is on, when two mean the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST = 256  # characters; ALSA's own tools cut names off at about as many

# plughw:CARD=PCH,DEV=1,SUBDEV=0, or shorter plughw:PCH,1
_ON_A_CARD = re.compile(
    r"(?P<plugin>\w+):(?:CARD=)?(?P<card>[^,=\s]+)(?:,(?:DEV=)?(?P<dev>\d+))?(?:,(?:SUBDEV=)?(?P<sub>\d+))?"
)
_WRITES_FILES = re.compile(r"""(?:^|[:=,'"])\s*(tee|file)\s*(?:$|[:,'"])""")  # by itself or within another plugin


def flaw_in_device(device: str) -> str:
    """Why nothing may be opened by this name, in a sentence with what to do; empty: nothing is wrong with it.

    A name can be more than a name: ALSA reads definitions in braces, and has plugins that write what is played into any
    file or program. Whoever may name a device shall not get the daemon's rights by that.
    """
    if not device.strip():
        return "device names no device. Give one that devices.list shows, such as hw:0."
    if len(device) > LONGEST or not device.isprintable():
        return f"device is no name of a device: at most {LONGEST} characters that can be printed."
    if "{" in device or "}" in device:
        return "device is a definition in braces. Put it under a name into asound.conf, and give that name."
    if found := _WRITES_FILES.search(device):
        return f"device names ALSA's plugin '{found[1]}', which writes files. Name a device; a file_writer records."
    return ""


def same_device(device: str, card_ids: Mapping[int, str]) -> str:
    """One spelling for all names of a device on a card: `hw:0`, `hw:PCH` and `hw:CARD=PCH,DEV=0` are `hw:PCH,0`."""
    found = _ON_A_CARD.fullmatch(device)
    card = found and card_of(device, card_ids)
    if not found or card is None:
        return device
    sub = f",{found['sub']}" if found["sub"] else ""
    return f"{found['plugin']}:{card},{found['dev'] or 0}{sub}"


def card_of(device: str, card_ids: Mapping[int, str]) -> str | None:
    """The id of the card that a name says a device is on. None: it says nothing of a card that is there."""
    found = _ON_A_CARD.fullmatch(device)
    if not found:
        return None
    card = card_ids.get(int(found["card"]), "") if found["card"].isdecimal() else found["card"]
    return card if card in card_ids.values() else None
