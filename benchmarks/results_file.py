"""Results that survive an interruption: a line of JSON a finished round, for one machine and one set of versions."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("results")
# What benchmarks write themselves is no change of the code.
_WRITTEN_HERE = (":(top,exclude)benchmarks/results", ":(top,exclude)docs/benchmarks.md")
_PACKAGES = ("steelyard", "onnxruntime", "grpcio", "protobuf", "psutil", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The rounds that belong together, oldest first, with where and between which days they were measured."""

    machine: str
    versions: dict[str, str]
    settings: dict[str, Any]
    rounds: tuple[dict[str, Any], ...]
    first_day: str
    last_day: str


class ResultsFile:
    """The rounds of one benchmark; those of other machines, versions and settings are kept and left alone."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self.path = folder / f"{name}.jsonl"

    def rounds(self, key: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the finished rounds of ``key``."""
        return [entry["round"] for entry in self._entries() if entry["key"] == key]

    def append(self, key: dict[str, Any], one: dict[str, Any]) -> None:
        """Add a finished round, with the day and the commit of the code that made it."""
        day = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
        self._write([*self._entries(), {"key": key, "day": day, "commit": this_commit(), "round": one}])

    def forget(self, machine_name: str) -> None:
        """Drop the rounds of a machine, whatever their versions and settings."""
        self._write([entry for entry in self._entries() if entry["key"]["machine"] != machine_name])

    def latest(self) -> Run | None:
        """Return the rounds that share the key of the last one, None when there is none."""
        entries = self._entries()
        if not entries:
            return None
        key = entries[-1]["key"]
        same = [entry for entry in entries if entry["key"] == key]
        rounds = tuple(entry["round"] for entry in same)
        return Run(**key, rounds=rounds, first_day=same[0]["day"], last_day=same[-1]["day"])

    def _entries(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def _write(self, entries: list[dict[str, Any]]) -> None:
        """Replace the file at once, so that an interruption leaves no half line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        fresh.replace(self.path)


def this_key(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what rounds must share to be counted together: machine, versions, settings."""
    return {"machine": this_machine(), "versions": these_versions(), "settings": settings}


def span_since(begun_s: float) -> dict[str, float]:
    """Return when a round began, which is given, and that it ends now, in seconds since 1970."""
    return {"began_s": round(begun_s, 1), "ended_s": round(time.time(), 1)}


def this_commit() -> str | None:
    """Return the commit of this checkout, None where it is none; "-changed" behind it where code differs from it."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *_WRITTEN_HERE)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-changed" if changed else commit


def _git(*words: str) -> str:
    told = subprocess.run(["git", "-C", str(FOLDER.parent), *words], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def this_machine() -> str:
    """Return what a reader must know of this machine."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} logical cores, {platform.system()} {platform.release().split('-')[0]}"


def these_versions() -> dict[str, str]:
    """Return the versions that a figure depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
