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


@lru_cache(maxsize=256)
def package_sha256(module_name: str) -> str:
    """Return the digest of all files of the package that a module is in, or of the module's file where it is alone.

    The files are read instead of the distribution's RECORD, which stays as it is when an editable install changes.
    """
    top = module_name.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None:
        return ""
    digest = hashlib.sha256()
    for folder in sorted(spec.submodule_search_locations or ()):
        root = Path(folder)
        for path in sorted(one for one in root.rglob("*") if one.is_file() and one.suffix not in _LEFT_OUT):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    if not spec.submodule_search_locations and spec.origin:
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()
