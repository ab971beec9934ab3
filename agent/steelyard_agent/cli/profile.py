"""``steelyard-agent profile``: list, show, check and draft board profiles. ``steelyard profile`` calls this command.

The schema is the agent's, which reads profiles on every device; the controller asks it here instead of having a second
one, since agent and controller never import each other and are always installed together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from steelyard_agent import __version__
from steelyard_agent.errors import UsageError
from steelyard_agent.profiles import Shelf, is_shipped, parse_profile, read_profile, read_shelf, user_folders
from steelyard_agent.profiles.described import DescribedDevice, read_description
from steelyard_agent.profiles.document import profile_to_json
from steelyard_agent.profiles.draft import draft_profile
from steelyard_agent.profiles.text import list_lines, profile_lines
from steelyard_agent.state.directory import default_state_directory
from steelyard_agent.state.durable import write_durably

SCHEMA_VERSION = 1
STANDARD_INPUT = "-"


def profile(options: argparse.Namespace) -> int:
    """List, show, check or draft, as ``options.action`` says."""
    actions = {"list": _list, "show": _show, "check": _check, "new": _new}
    return actions[options.action](options)


def _list(options: argparse.Namespace) -> int:
    shelf = _shelf(options)
    if options.json:
        profiles = [
            {"name": one.name, "title": one.title, "origin": one.origin, "shipped": is_shipped(one)}
            for one in sorted(shelf.profiles, key=lambda one: one.name)
        ]
        _print_json("profiles", {"profiles": profiles, "complaints": [str(one) for one in shelf.complaints]})
    else:
        print("\n".join(list_lines(shelf.profiles)))
    return 0


def _show(options: argparse.Namespace) -> int:
    profiles = _shelf(options).profiles
    found = next((one for one in profiles if one.name == options.name), None)
    if found is None:
        known = ", ".join(sorted(one.name for one in profiles))
        raise UsageError("profile_not_found", f"there is no profile {options.name!r}; known: {known}")
    if options.json:
        _print_json("profile", {"profile": profile_to_json(found)})
    else:
        print("\n".join(profile_lines(found)))
    return 0


def _check(options: argparse.Namespace) -> int:
    found = read_profile(options.file)
    if options.json:
        _print_json("profile", {"profile": profile_to_json(found)})
    else:
        print(f"{options.file} fits the schema: {found.name} ({found.title}){_todo(options.file)}")
    return 0


def _todo(file: Path) -> str:
    """Return what a draft still asks of its author; a file that fits is not a file that is complete."""
    count = file.read_text("utf-8").count("TODO:")
    return f"; {count} TODO left in it: complete or delete them" if count else ""


def _new(options: argparse.Namespace) -> int:
    file: Path | None = options.output
    if file is not None and os.path.lexists(file) and not (options.force and file.is_file()):
        if options.force:
            raise UsageError("output_unwritable", f"{file} is no plain file and stays; name another with -o")
        raise UsageError(
            "file_exists", f"{file} is there already: name another file with -o, or overwrite with --force"
        )
    date = time.strftime("%Y-%m-%d", time.gmtime())
    text = draft_profile(_described(options), agent_version=__version__, date=date)
    # What is written for a person to complete must at least be right as it stands.
    parse_profile(text, str(file or "the draft"))
    if file is None:
        print(text, end="")
        return 0
    try:
        write_durably(file, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(
            "output_unwritable", f"{file} cannot be written ({error.strerror or error}): name another with -o"
        ) from error
    print(f"{file}: complete what is marked TODO, then steelyard-agent profile check {file}")
    return 0


def _described(options: argparse.Namespace) -> DescribedDevice:
    """Return the device of ``--from``, or this one; probing it takes some seconds."""
    if options.description is None:
        return read_description(json.dumps(_probe_this_device()))
    try:
        is_piped = options.description == STANDARD_INPUT
        return read_description(sys.stdin.read() if is_piped else Path(options.description).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("unreadable_description", f"{options.description} cannot be read: {error}") from error


def _probe_this_device() -> object:
    from steelyard_agent.cli.device import describe_this_device, this_system
    from steelyard_agent.doctor import diagnose, diagnosis_to_json

    with tempfile.TemporaryDirectory(prefix="steelyard-") as folder:
        device = asyncio.run(describe_this_device(name="", device_id="", work_folder=Path(folder)))
    return diagnosis_to_json(diagnose(this_system(), device))


def _shelf(options: argparse.Namespace) -> Shelf:
    root = options.state_directory or default_state_directory(os.environ, Path.home())
    shelf = read_shelf(user_folders(root, named=options.profiles))
    for complaint in shelf.complaints:
        print(f"steelyard-agent: left out: {complaint}", file=sys.stderr)
    return shelf


def _print_json(kind: str, payload: dict[str, object]) -> None:
    print(json.dumps({"schema_version": SCHEMA_VERSION, "kind": kind, **payload}, indent=2))
