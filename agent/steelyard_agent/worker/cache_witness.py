"""Whether a runtime loaded what it had compiled earlier, witnessed by its cache folder. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheWitness:
    """The files of a cache folder at one moment: their sizes in bytes and times of change, by relative path."""

    files: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, folder: Path) -> CacheWitness:
        """Look at the folder now; one that is not there is empty."""
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                status = path.stat()
                found[path.relative_to(folder).as_posix()] = (status.st_size, status.st_mtime_ns)
        return cls(files=found)

    def proves_hit(self, later: CacheWitness) -> bool:
        """Return whether something was there before and nothing was written since: then it was loaded, not made."""
        return bool(self.files) and self.files == later.files
