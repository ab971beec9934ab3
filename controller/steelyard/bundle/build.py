"""Which analysis this is: its version, and the digest of the sources that figures follow from.

A version alone does not tell two states of an unreleased program apart, whose figures may differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from steelyard import __version__

# What computes figures from samples.
_PACKAGES = ("analysis", "layers", "meters", "numeric", "stats", "tasks")
_SHOWN_DIGITS = 12


@lru_cache(maxsize=1)
def analysis_build() -> str:
    """Return the first digits of the SHA-256 over the sources of the analysis; the same sources give the same."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for name, source in _sources(files("steelyard").joinpath(package), package):
            content = source.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:_SHOWN_DIGITS]


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    """Yield every source below a folder with its path, in an order that no file system decides."""
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.is_dir():
            yield from _sources(one, f"{name}/{one.name}")
        elif one.name.endswith(".py"):
            yield f"{name}/{one.name}", one


def shown_version(version: str, build: str) -> str:
    """Return "0.1.0 (analysis 1a2b3c4d5e6f)"."""
    return f"{version} (analysis {build})" if build else version


def own_version() -> str:
    """Return the version of this program as ``shown_version`` shows it."""
    return shown_version(__version__, analysis_build())
