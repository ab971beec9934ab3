"""``steelyard-agent pause`` and ``steelyard-agent resume``: the local stop."""

from __future__ import annotations

import argparse
import os
import re
import time
from datetime import datetime
from pathlib import Path

from steelyard_agent.errors import UsageError
from steelyard_agent.policy.pause import Pause, write_pause
from steelyard_agent.state.directory import default_state_directory, make_state_root

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def pause(options: argparse.Namespace) -> int:
    """Stop the device for every controller; the round that runs is finished."""
    duration_s = None if options.duration is None else _seconds(options.duration)
    until_s = None if duration_s is None else time.time() + duration_s
    root = _root(options)
    make_state_root(root)
    write_pause(root, Pause(until_s=until_s))
    until = (
        "until `steelyard-agent resume`"
        if until_s is None
        else f"until {datetime.fromtimestamp(until_s):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006 (the clock on the wall)
    )
    print(f"this device takes no work {until}; a round that runs is finished")
    return 0


def resume(options: argparse.Namespace) -> int:
    """Take work again."""
    write_pause(_root(options), None)
    print("this device takes work again, as far as its policy.toml allows")
    return 0


def _seconds(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None or not int(match[1]):
        raise UsageError("invalid_duration", f"--for {text[:60]!r} is no duration; try 90s, 30m, 2h or 1d")
    return int(match[1]) * _UNIT_S[match[2]]


def _root(options: argparse.Namespace) -> Path:
    root: Path = options.state_directory or default_state_directory(os.environ, Path.home())
    return root.absolute()
