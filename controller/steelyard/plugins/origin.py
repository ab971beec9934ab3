"""Where a plugin came from: its name, its version, and the digest of its sources, as lineage and cache keys have it."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# Written by the interpreter and by installers, not part of what runs.
_LEFT_OUT = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A plugin's name and version, the SHA-256 of its sources in hex, and ``where``: a file, or package and object."""

    name: str
    version: str
    sha256: str
    where: str

    @property
    def text(self) -> str:
        """The plugin in one line, as lineage keeps it: "NAME VERSION SHA256"."""
        return f"{self.name} {self.version} {self.sha256}"


def package_sha256(module_name: str) -> str:
    """Return the digest of all files of the package that a module is in, or of the module's file where it is alone.

    The files are read instead of the distribution's RECORD, which stays as it is when an editable install changes; and
    looked at anew each time: a controller that runs for weeks must not know a changed plugin by its old digest.
    """
    spec = importlib.util.find_spec(module_name.partition(".")[0])
    if spec is None:
        return ""
    files = [
        (path.relative_to(folder).as_posix(), path)
        for folder in map(Path, sorted(spec.submodule_search_locations or ()))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in _LEFT_OUT
    ]
    if not files and spec.origin:
        files = [("", Path(spec.origin))]
    stamped = []
    for name, path in files:
        seen = path.stat()
        stamped.append((name, path, seen.st_mtime_ns, seen.st_size))
    return _digest(tuple(stamped))


@lru_cache(maxsize=64)
def _digest(stamped: tuple[tuple[str, Path, int, int], ...]) -> str:
    """Read files, given with their names in the package, times and sizes: those are what the digest is kept by."""
    digest = hashlib.sha256()
    for name, path, _time_ns, _size_bytes in stamped:
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
