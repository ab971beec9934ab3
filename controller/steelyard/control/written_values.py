"""Cores, shapes and switches as people write them, on a command line or as the values of an axis."""

from __future__ import annotations

import re

CORE_KINDS = ("big", "little")
# Sizes travel as int64; a device refuses them above this.
_MAX_SIZE = 2**31 - 1
_MAX_CORE = 65_535
_MAX_CORE_COUNT = 4096
_RANGE = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?", re.ASCII)
_SHAPE = re.compile(r"(?P<name>.+)=(?P<sizes>[0-9]+(?:x[0-9]+)*)")
_SWITCHES = {"on": True, "off": False}


def parse_cores(text: str) -> str | tuple[int, ...]:
    """Read "big", "little" or "0-3,6": the kind as it is, or the numbers in rising order.

    Raises:
        ValueError: one sentence that names the text.
    """
    if text in CORE_KINDS:
        return text
    cores: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
        if not first <= last <= _MAX_CORE:
            raise ValueError(f"{text!r} is not big, little or cores such as 0-3,6 (at most {_MAX_CORE})")
        cores.update(range(first, last + 1))
    if len(cores) > _MAX_CORE_COUNT:
        raise ValueError(f"{text!r} names {len(cores)} cores, more than {_MAX_CORE_COUNT}")
    return tuple(sorted(cores))


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read NAME=1x3x224x224: an input's name and its sizes.

    Raises:
        ValueError: one sentence that names the text.
    """
    match = _SHAPE.fullmatch(text)
    sizes = tuple(int(size) for size in match["sizes"].split("x")) if match else ()
    if match is None or 0 in sizes:
        raise ValueError(f"{text!r} is not a shape such as image=1x3x224x224")
    if max(sizes) > _MAX_SIZE:
        raise ValueError(f"{text!r} has the size {max(sizes)}, which is more than {_MAX_SIZE}")
    return match["name"], sizes


def parse_switch(text: str) -> bool:
    """Read "on" or "off".

    Raises:
        ValueError: one sentence that names the text.
    """
    if text not in _SWITCHES:
        raise ValueError(f"{text!r} is not on or off")
    return _SWITCHES[text]


def parse_count(text: str) -> int:
    """Read a whole number above 0.

    Raises:
        ValueError: one sentence that names the text.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise ValueError(f"{text!r} is not a whole number above 0")
    return int(text)
