"""The runtime environment in which tflite-runtime lives for tests; `make .venv-tflite/.installed` makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".venv-tflite"
PYTHON = FOLDER / "bin" / "python"

# make deselects tests with this mark, and says so, where the environment cannot be made (not Python 3.11, not Linux).
needs_tflite_environment = pytest.mark.tflite_environment


def require() -> Path:
    """Return the environment's interpreter; a test that needs it fails without it."""
    assert (FOLDER / ".installed").is_file(), f"{FOLDER} is not there: run make .venv-tflite/.installed"
    return PYTHON
