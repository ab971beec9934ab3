"""The wheels that a device without internet needs, fetched here for its Python, its processor and its C library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from steelyard.deploy.errors import DeployError, UnfitDeviceError
from steelyard.deploy.probe import DeviceFacts, Interpreter

_TIMEOUT_S = 900.0
# What wheels call the processors that `uname -m` names; a 64-bit kernel may run a 32-bit Python (Raspberry Pi OS).
_ARCHITECTURES = {
    ("x86_64", 64): "x86_64",
    ("aarch64", 64): "aarch64",
    ("arm64", 64): "aarch64",
    ("aarch64", 32): "armv7l",
    ("armv7l", 32): "armv7l",
    ("x86_64", 32): "i686",
    ("i686", 32): "i686",
}
# The C libraries that wheels of today are built against, newest first (PEP 600); each runs on every later one.
_MANYLINUX = ((2, 39), (2, 35), (2, 34), (2, 31), (2, 28), (2, 27), (2, 26), (2, 24), (2, 17))
_LEGACY = {(2, 17): "manylinux2014"}


def wheel_platforms(facts: DeviceFacts, interpreter: Interpreter) -> tuple[str, ...]:
    """Return the platform tags that the device takes, best first.

    Raises:
        UnfitDeviceError: ``unknown_processor``, or ``no_glibc``: there is no wheel of gRPC for it.
    """
    architecture = _ARCHITECTURES.get((facts.machine, interpreter.bits))
    if architecture is None:
        raise UnfitDeviceError(
            "unknown_processor",
            f"no wheels are known for a {interpreter.bits}-bit Python on {facts.machine}; give them with --wheels DIR",
        )
    if facts.glibc is None:
        raise UnfitDeviceError(
            "no_glibc", "this device has another C library than glibc; give it internet, or wheels with --wheels DIR"
        )
    tags: list[str] = []
    for version in _MANYLINUX:
        if version <= facts.glibc:
            tags.append(f"manylinux_{version[0]}_{version[1]}_{architecture}")
            tags += [f"{_LEGACY[version]}_{architecture}"] if version in _LEGACY else []
    return (*tags, f"linux_{architecture}")


def agent_requirements(interpreter: Interpreter, *, has_system_numpy: bool) -> tuple[str, ...]:
    """Return what the agent needs on that Python: pip reads markers for the Python it runs on, not for another one."""
    from importlib.metadata import requires

    needed = []
    for text in requires("steelyard") or ():
        requirement, _, marker = (part.strip() for part in text.partition(";"))
        is_older = marker.replace("'", '"') == 'python_version < "3.11"' and interpreter.version < (3, 11)
        if (not marker or is_older) and not (has_system_numpy and requirement.startswith("numpy")):
            needed.append(requirement)
    return tuple(needed)


def download_command(
    requirements: Sequence[str], folder: Path, *, platforms: Sequence[str], interpreter: Interpreter
) -> list[str]:
    """Return the pip command that fetches wheels for another machine; pip's own settings (mirrors) hold."""
    major, minor = interpreter.version
    words = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
    words += ["--python-version", f"{major}.{minor}", "--implementation", "cp", "--abi", f"cp{major}{minor}"]
    words += ["--abi", "abi3", "--abi", "none", *(part for tag in platforms for part in ("--platform", tag))]
    return [*words, "--dest", str(folder), *requirements]


def download_wheels(
    requirements: Sequence[str], folder: Path, *, platforms: Sequence[str], interpreter: Interpreter
) -> None:
    """Fetch wheels and all they need into ``folder``.

    Raises:
        DeployError: ``wheels_missing``, with what pip said.
    """
    command = download_command(requirements, folder, platforms=platforms, interpreter=interpreter)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise DeployError(
            "wheels_missing", f"pip did not fetch the device's wheels within {_TIMEOUT_S:g} s; look at this network"
        ) from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["nothing"]
        raise DeployError(
            "wheels_missing",
            f"the device has no internet, and its wheels cannot be fetched here ({said[0][:300]}); give them with "
            "--wheels DIR",
        )
