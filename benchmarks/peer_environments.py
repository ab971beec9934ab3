"""A peer's virtual environment: made on first use from a file in which everything is pinned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_STAMP = ".installed"
_INSTALL_LIMIT_S = 900.0


class PeerEnvironmentError(Exception):
    """An environment that does not install; the message says why, in pip's last line."""


def requirements_of(name: str) -> Path:
    """Return the file that pins what an environment holds."""
    return _ROOT / "tools" / f"requirements-bench-{name}.txt"


def environment_python(name: str) -> Path:
    """Return the interpreter of ``.venv-bench-NAME``; the environment is made on first use, and when its file changes.

    Raises:
        PeerEnvironmentError: it does not install.
    """
    folder = _ROOT / f".venv-bench-{name}"
    python = folder / "bin" / "python"
    requirements = requirements_of(name)
    stamp = folder / _STAMP
    if not stamp.is_file() or stamp.read_text() != requirements.read_text():
        if not python.exists():
            _install([sys.executable, "-m", "venv", str(folder)], name)
        # Everything is pinned, and some packages ask for others that they run without (the files say which).
        _install([str(python), "-m", "pip", "install", "-q", "--no-deps", "-r", str(requirements)], name)
        stamp.write_text(requirements.read_text())
    return python


def pinned_versions(name: str) -> dict[str, str]:
    """Return the pinned versions of an environment."""
    lines = requirements_of(name).read_text().splitlines()
    pairs = (line.partition("==") for line in lines if not line.startswith("#"))
    return {package: number for package, _, number in pairs if number}


def _install(command: list[str], name: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no message"]
        raise PeerEnvironmentError(f"{name} does not install: {lines[-1][:200]}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerEnvironmentError(f"{name} did not install within {_INSTALL_LIMIT_S:.0f} s") from error
