"""A fake /sys and /proc from a manifest of tests/fixtures/sysfs, which can be changed, broken and denied."""

from __future__ import annotations

import os
from pathlib import Path

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
    """A tree of files under a temporary folder, and the ``System`` that looks at it."""

    def __init__(self, root: Path, clock: FakeClock | None = None) -> None:
        self.root = root
        self.clock = clock or FakeClock()
        self.denied: set[Path] = set()
        self.open_count = 0
        self.system = System(root=root, clock_ns=self.clock, open_descriptor=self._open)

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

    def _open(self, path: Path, flags: int) -> int:
        if path in self.denied:
            raise PermissionError(13, "Permission denied", str(path))
        self.open_count += 1
        return os.open(path, flags)


def load_tree(name: str, root: Path) -> FakeSysfs:
    """Return the tree of the manifest ``tests/fixtures/sysfs/NAME.toml``, written under ``root``."""
    manifest = tomllib.loads((FIXTURES / "sysfs" / f"{name}.toml").read_text("utf-8"))
    assert set(manifest) == {"source", "files"}
    tree = FakeSysfs(root)
    for absolute, text in manifest["files"].items():
        tree.write(absolute, text)
    return tree
