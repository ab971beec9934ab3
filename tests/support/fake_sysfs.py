"""A fake device from a manifest of tests/fixtures/sysfs: files and answers of programs, to change, break and deny.

A manifest is TOML: ``source`` says where its contents come from and which of them were composed; ``[files]`` maps
paths to contents; ``[links]`` maps a folder's other path to the folder, as /sys/class/hwmon/hwmon0 is in sysfs;
``[refused]`` maps files and folders to the error that looking at them gives ("EACCES", "EAGAIN"), whoever asks;
``[commands]`` maps a whole command line to what it prints.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    the reason why it gives no answer. Programs that are not named are not installed. ``asked`` holds the command
    lines that were asked for.
    """

    def __init__(self, root: Path, clock: FakeClock | None = None) -> None:
        self.root = root
        self.clock = clock or FakeClock()
        self.refused: dict[str, int] = {}
        self.open_count = 0
        self.opened: set[str] = set()
        self._real_paths: dict[Path, str] = {}
        self.commands: dict[str, str] = {}
        self.asked: list[str] = []
        self.system = System(
            root=root,
            clock_ns=self.clock,
            open_descriptor=self._open,
            list_folder=self._list,
            run_command=self._run_command,
        )

    def write(self, absolute: str, text: str) -> None:
        """Put a file there, with folders; existing descriptors see the new text, as in sysfs."""
        path = self.system.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode("utf-8")
        # Cut to its length, not emptied first: ext4 writes a file that was emptied to the disk when it is closed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, data, 0)
            os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)

    def remove(self, absolute: str) -> None:
        self.system.path(absolute).unlink()

    def deny(self, absolute: str) -> None:
        """Refuse to open the file or the folder and all that is in it, also for root."""
        self.refuse(absolute, "EACCES")

    def refuse(self, absolute: str, error: str) -> None:
        """Let looking at the file or the folder fail with an error: "EACCES", "EAGAIN", "ENODATA"."""
        self.refused[self._real(self.system.path(absolute))] = getattr(errno, error)

    def allow(self, absolute: str) -> None:
        """Take a refusal back."""
        self.refused.pop(self._real(self.system.path(absolute)), None)

    def was_opened(self, absolute: str) -> bool:
        """Return whether anything has opened the file, by whatever path."""
        return self._real(self.system.path(absolute)) in self.opened

    def link(self, absolute: str, target: str) -> None:
        """Let a path lead to a folder of the tree, as those under /sys/class do."""
        path = self.system.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self.system.path(target).absolute(), target_is_directory=True)
        self._real_paths.clear()

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
        self._refuse(path)
        self.open_count += 1
        self.opened.add(self._real(path))
        return os.open(path, flags)

    def _list(self, path: Path) -> list[str]:
        self._refuse(path)
        return os.listdir(path)  # noqa: PTH208 - names, not paths

    def _real(self, path: Path) -> str:
        # Links are made with the tree: following them anew for every read takes most of a sweep's time.
        if path not in self._real_paths:
            self._real_paths[path] = os.path.realpath(path)
        return self._real_paths[path]

    def _refuse(self, path: Path) -> None:
        if not self.refused:
            return
        real = self._real(path)
        for refused, number in self.refused.items():
            if real == refused or real.startswith(refused + os.sep):
                raise OSError(number, os.strerror(number), str(path))


def load_tree(name: str, root: Path) -> FakeSysfs:
    """Return the tree of the manifest ``tests/fixtures/sysfs/NAME.toml``, written under ``root``."""
    manifest = load_manifest(name)
    tree = FakeSysfs(root)
    tree.commands |= manifest.get("commands", {})
    for absolute, text in manifest["files"].items():
        tree.write(absolute, text)
    for absolute, target in manifest.get("links", {}).items():
        tree.link(absolute, target)
    for absolute, error in manifest.get("refused", {}).items():
        tree.refuse(absolute, error)
    return tree


def load_manifest(name: str) -> dict[str, Any]:
    """Return the manifest as TOML values."""
    manifest = tomllib.loads((FIXTURES / "sysfs" / f"{name}.toml").read_text("utf-8"))
    assert {"source", "files"} <= set(manifest) <= {"source", "files", "links", "refused", "commands"}
    return manifest
