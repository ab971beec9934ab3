"""Which analysis this is: its version, and the digest of the sources that figures follow from.

A version alone does not tell two states of an unreleased program apart, whose figures may differ.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files

from steelyard import __version__

# What computes figures from samples.
_PACKAGES = ("analysis", "layers", "meters", "numeric", "stats", "tasks")
_SHOWN_DIGITS = 12


@lru_cache(maxsize=1)
def analysis_build() -> str:
    """Return the first digits of the SHA-256 over the sources of the analysis; the same sources give the same."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        folder = files("steelyard").joinpath(package)
        for source in sorted(folder.iterdir(), key=lambda one: one.name):
            if source.name.endswith(".py"):
                content = source.read_bytes().replace(b"\r\n", b"\n")
                digest.update(f"{package}/{source.name}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()[:_SHOWN_DIGITS]


def shown_version(version: str, build: str) -> str:
    """Return "0.1.0 (analysis 1a2b3c4d5e6f)"."""
    return f"{version} (analysis {build})" if build else version


def own_version() -> str:
    """Return the version of this program as ``shown_version`` shows it."""
    return shown_version(__version__, analysis_build())
