"""``steelyard-agent enroll`` and ``steelyard-agent controllers``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from steelyard_agent.cli.device_name import refuse_unreadable_name
from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.join_code import decode_join_code
from steelyard_agent.enrollment.joining import Newcomer, join
from steelyard_agent.enrollment.membership import (
    Membership,
    MembershipFolder,
    forget,
    membership_folders,
)
from steelyard_agent.state.directory import default_state_directory, make_state_root
from steelyard_agent.state.errors import StateError
from steelyard_agent.state.identity import IdentityFile

_SCHEMA_VERSION = 1


def enroll(options: argparse.Namespace) -> int:
    """Join the controller that made a code, and say under which name."""
    code = decode_join_code(sys.stdin.readline() if options.code == "-" else options.code)
    refuse_unreadable_name(options.name)
    root = _root(options)
    # Without the lock: an agent that runs already may join another controller.
    make_state_root(root)
    newcomer = Newcomer(
        device_id=IdentityFile(root / "device.json").device_id,
        name=options.name or os.uname().nodename,
        state_root=root,
        clock_s=time.time,
    )
    joined = asyncio.run(join(code, newcomer))
    tagged = f", tagged {', '.join(joined.tags)}" if joined.tags else ""
    print(f"this device is {joined.name!r} of controller {joined.membership.controller_id}{tagged}")
    print(f"its certificate is renewed by itself; this one ends {_moment(joined.membership.not_after_s)}")
    given = f" --state-directory {shlex.quote(str(root))}" if options.state_directory else ""
    print(f"next: steelyard-agent run{given} (one that runs already, without --controller, serves it in a moment)")
    return 0


def controllers(options: argparse.Namespace) -> int:
    """List the controllers that this device joined, or forget one."""
    root = _root(options)
    if options.action == "forget":
        _forget(root, options.controller)
        return 0
    rows = [_row(folder) for folder in membership_folders(root)]
    if options.json:
        print(json.dumps({"schema_version": _SCHEMA_VERSION, "kind": "controllers", "controllers": rows}, indent=2))
        return 0
    if not rows:
        print("this device joined no controller; `steelyard device invite` on one prints what to paste here")
    for row in rows:
        print(_line(row))
    return 0


def _forget(root: Path, prefix: str) -> None:
    found = [folder for folder in membership_folders(root) if prefix and folder.path.name.startswith(prefix)]
    # The whole id of one may be how another one begins.
    found = [folder for folder in found if folder.path.name == prefix] or found
    if len(found) != 1:
        known = ", ".join(folder.path.name for folder in membership_folders(root)) or "none"
        raise EnrollmentError(
            "unknown_controller", f"{prefix[:120]!r} names {len(found)} of the joined controllers ({known}); name one"
        )
    forget(found[0])
    print(f"forgot controller {found[0].path.name}; on it, run `steelyard device remove` for this device")
    print("an agent that runs ends its session within ten seconds")


def _row(folder: MembershipFolder) -> dict[str, object]:
    try:
        membership: Membership = folder.read()
    except StateError as error:
        return {"id": folder.path.name, "problem": str(error)}
    return {
        "id": membership.controller_id,
        "name": membership.device_name,
        "not_after": _moment(membership.not_after_s),
        "addresses": list(membership.dialling_order()),
        "clock_offset_s": round(membership.clock_offset_s, 3),
    }


def _line(row: dict[str, object]) -> str:
    if "problem" in row:
        return str(row["problem"])
    addresses = row["addresses"]
    assert isinstance(addresses, list)
    return f"{row['id']}  as {row['name']}, until {row['not_after']}, at {' '.join(addresses)}"


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _root(options: argparse.Namespace) -> Path:
    root: Path = options.state_directory or default_state_directory(os.environ, Path.home())
    return root.absolute()
