"""The runtime environments that tests run workers in; `make test` makes them, each from a file of requirements."""

from __future__ import annotations

from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]
# tflite-runtime 2.14 with numpy below 2.
TFLITE = _REPOSITORY / ".venv-tflite"
# The oldest ONNX Runtime whose messages the adapter knows.
OLDER = _REPOSITORY / ".venv-older"

# make deselects tests with this mark, and says so, where the environment cannot be made (not Python 3.11, not Linux).
needs_tflite_environment = pytest.mark.tflite_environment


def require(folder: Path) -> Path:
    """Return an environment's interpreter; a test that needs it fails without it."""
    assert (folder / ".installed").is_file(), f"{folder} is not there: run make {folder.name}/.installed"
    return folder / "bin" / "python"
