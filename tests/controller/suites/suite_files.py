"""Suites for tests: files in a folder, and what they read as."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steelyard.suites.reading import load_suite
from steelyard.suites.suite import Suite

SMALL = """
[suite]
name = "shelf"
[devices]
names = ["pi5"]
[[model]]
name = "keywords"
file = "keywords.onnx"
"""


def read(folder: Path, text: str, environ: Mapping[str, str] | None = None, *, name: str = "night.toml") -> Suite:
    """Return what a suite's text says."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_suite(path, environ or {})
