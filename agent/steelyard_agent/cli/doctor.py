"""``steelyard-agent doctor``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from steelyard_agent.cli.device import describe_this_device, this_system
from steelyard_agent.doctor import diagnose, diagnosis_lines, diagnosis_to_json
from steelyard_agent.environments import read_environments
from steelyard_agent.profiles import load_profiles, user_folders
from steelyard_agent.state.directory import default_state_directory
from steelyard_agent.state.settings import read_settings


def doctor(options: argparse.Namespace) -> int:
    """Print what this device can and cannot measure."""
    if options.as_service:
        return _as_service(options)
    with tempfile.TemporaryDirectory(prefix="steelyard-") as folder:
        # No state directory is made or locked: the doctor may be called while an agent runs.
        root = options.state_directory or default_state_directory(os.environ, Path.home())
        profiles = load_profiles(user_folders(root, named=options.profiles))
        description = describe_this_device(
            name="",
            device_id="",
            work_folder=Path(folder),
            environments=read_environments(root),
            profiles=profiles,
        )
        device = asyncio.run(description)
    diagnosis = diagnose(this_system(), device, profiles=profiles, settings=read_settings(root))
    if options.json:
        print(json.dumps(diagnosis_to_json(diagnosis), indent=2))
    else:
        print("\n".join(diagnosis_lines(diagnosis)))
    return 0


def _as_service(options: argparse.Namespace) -> int:
    """Say on standard error by which way the service's view was taken; the diagnosis itself is on standard output."""
    from steelyard_agent.service.as_service import doctor_as_service

    flags = ["--json"] if options.json else []
    for name in ("state_directory", "profiles"):
        if (folder := getattr(options, name)) is not None:
            flags += [f"--{name.replace('_', '-')}", str(folder.absolute())]
    command = (sys.executable, "-m", "steelyard_agent", "doctor", *flags)
    way, status = doctor_as_service(command, is_root=os.geteuid() == 0)
    print(f"steelyard-agent: seen {way}", file=sys.stderr)
    return status
