"""A fake device from a manifest of tests/fixtures/sysfs: files and answers of programs, to change, break and deny."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from steelyard_agent.commands import CommandAnswer
from steelyard_agent.meters.contract import System
from steelyard_agent.profiles import tomllib

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


class FakeClock:
    """A clock that moves by ``step_ns`` with each reading, and by hand."""

    def __init__(self, step_ns: int = 0) -> None:
        self.now_ns = 1_000_000_000
        self.step_ns = step_ns

    def __call__(self) -> int:
        self.now_ns += self.step_ns
        return self.now_ns


class FakeSysfs:
    """A tree of files under a temporary folder, and the ``System`` that looks at it.

    ``commands`` maps a whole command line ("vcgencmd get_throttled") to what it prints; a value that begins with "!" is
    the reason why it gives no answer. Programs that are not named are not installed.
    """

    def __init__(self, root: Path, clock: FakeClock | None = None) -> None:
        self.root = root
        self.clock = clock or FakeClock()
        self.denied: set[Path] = set()
        self.open_count = 0
        self.commands: dict[str, str] = {}
        self.asked: list[str] = []
        self.system = System(root=root, clock_ns=self.clock, open_descriptor=self._open, run_command=self._run_command)

    def write(self, absolute: str, text: str) -> None:
        """Put a file there, with folders; existing descriptors see the new text, as in sysfs."""
        path = self.system.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def remove(self, absolute: str) -> None:
        self.system.path(absolute).unlink()

    def deny(self, absolute: str) -> None:
        """Refuse to open the file, also for root."""
        self.denied.add(self.system.path(absolute))

    def _run_command(self, command: Sequence[str]) -> CommandAnswer:
        line = " ".join(command)
        self.asked.append(line)
        answer = self.commands.get(line)
        if answer is None:
            return CommandAnswer(output=None, reason=f"the program {command[0]} is not installed here")
        if answer.startswith("!"):
            return CommandAnswer(output=None, reason=answer[1:])
        return CommandAnswer(output=answer.strip())

    def _open(self, path: Path, flags: int) -> int:
        if path in self.denied:
            raise PermissionError(13, "Permission denied", str(path))
        self.open_count += 1
        return os.open(path, flags)


def load_tree(name: str, root: Path) -> FakeSysfs:
    """Return the tree of the manifest ``tests/fixtures/sysfs/NAME.toml``, written under ``root``."""
    manifest = tomllib.loads((FIXTURES / "sysfs" / f"{name}.toml").read_text("utf-8"))
    assert {"source", "files"} <= set(manifest) <= {"source", "files", "commands"}
    tree = FakeSysfs(root)
    tree.commands |= manifest.get("commands", {})
    for absolute, text in manifest["files"].items():
        tree.write(absolute, text)
    return tree
