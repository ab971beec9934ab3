"""Results that survive an interruption: a line of JSON a finished round, for one machine and one set of versions."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).with_name("results")


def machine() -> str:
    """Return what a reader must know of this machine."""
    import os

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} logical cores, {platform.system()} {platform.release().split('-')[0]}"


def versions() -> dict[str, str]:
    """Return the versions that a figure depends on."""
    packages = ("steelyard", "onnxruntime", "grpcio", "protobuf", "psutil", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


class ResultsFile:
    """The rounds of one benchmark that fit this machine, these versions and these settings."""

    def __init__(self, name: str, settings: dict[str, Any], *, fresh: bool = False) -> None:
        self.path = _FOLDER / f"{name}.jsonl"
        self._key = {"machine": machine(), "versions": versions(), "settings": settings}
        if fresh:
            self.path.unlink(missing_ok=True)

    def rounds(self) -> list[dict[str, Any]]:
        """Return the rounds that are here."""
        if not self.path.exists():
            return []
        entries = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [entry["round"] for entry in entries if entry["key"] == self._key]

    def append(self, one: dict[str, Any]) -> None:
        """Add a finished round."""
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"key": self._key, "round": one}) + "\n")
