"""What another Python interpreter is, before workers run under it: asked in words that every Python understands."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.commands import end_group
from steelyard_agent.errors import UsageError

# What the worker's own code needs: keyword-only and slotted dataclasses came with 3.10.
OLDEST_PYTHON = (3, 10)

# Python 2 and 3 alike; importing numpy may fail in other ways than by not being there.
_QUESTION = """
import json, sys
try:
    import numpy
    found = str(numpy.__version__)
except Exception:
    found = ""
print(json.dumps({"version": list(sys.version_info[:3]), "numpy": found}))
"""
# An interpreter with its numpy on a slow card, cold.
_TIMEOUT_S = 60.0
# What a worker needs of the supervisor's environment; secrets and gRPC's settings stay here.
_KEPT_VARIABLES = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "PREFIX", "PYTHONUSERBASE", "PYTHONNOUSERSITE"})
_KEPT_PREFIXES = ("LC_", "LD_", "DYLD_", "COVERAGE_", "OMP_", "MKL_", "ORT_", "CUDA_", "TF_", "ANDROID_")
# Where our modules lie is no place for another interpreter to look for its own.
_OURS_ALONE = frozenset({"PYTHONPATH", "PYTHONHOME"})
# The answer is one line; a site's own startup files may print before it.
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that workers can run under; ``numpy`` is its version."""

    python: Path
    version: tuple[int, int, int]
    numpy: str


def interpreter_path(text: str) -> Path:
    """Return the absolute path of an interpreter, for the folder of a virtual environment the one in it.

    The path is not resolved: what makes a venv's interpreter one of that venv is the name it is called by.

    Raises:
        UsageError: There is no text.
    """
    if not text:
        raise UsageError("no_interpreter", "--python is empty; name a Python interpreter or the folder of its venv")
    path = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 (Path.resolve would follow links)
    return path / "bin" / "python" if path.is_dir() else path


def kept_environment(environ: Mapping[str, str], *, is_ours: bool) -> dict[str, str]:
    """Return the variables that a worker sees, under our own interpreter or another."""
    names = _KEPT_VARIABLES | _OURS_ALONE if is_ours else _KEPT_VARIABLES
    return {name: value for name, value in environ.items() if name in names or name.startswith(_KEPT_PREFIXES)}


async def inspect_interpreter(python: Path) -> Interpreter:
    """Return what an interpreter is.

    Raises:
        UsageError: It is none, does not answer, is too old, or has no numpy; the sentence says what to do.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            str(python),
            "-c",
            _QUESTION,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # As a worker will see it: a numpy on our own path is none of its.
            env=kept_environment(os.environ, is_ours=False),
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(
            "no_interpreter", f"{python} cannot be started ({error.strerror}); name a Python interpreter"
        ) from error
    try:
        output = await asyncio.wait_for(_printed(process), _TIMEOUT_S)
    except asyncio.TimeoutError:
        raise UsageError(
            "interpreter_silent", f"{python} did not answer within {_TIMEOUT_S:g} s; name a Python interpreter"
        ) from None
    finally:
        # A script's own children hold its output open, and would be waited for.
        end_group(process.pid)
        # What is left in the pipe must be read: asyncio tells no end of a process whose output nobody takes.
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    return _usable(python, *_parsed(python, output))


async def _printed(process: asyncio.subprocess.Process) -> bytes:
    """Return what a program prints, its beginning alone when that is more than an interpreter's answer."""
    assert process.stdout is not None
    kept = b""
    while len(kept) < _MOST_BYTES and (chunk := await process.stdout.read(_MOST_BYTES)):
        kept += chunk
    return kept


def _parsed(python: Path, output: bytes) -> tuple[tuple[int, int, int], str]:
    try:
        # The last line: a site's own startup files may print before.
        told = json.loads(output.decode().strip().rpartition("\n")[2])
        major, minor, micro = (int(part) for part in told["version"])
        return (major, minor, micro), str(told["numpy"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(
            "no_interpreter", f"{python} does not answer as a Python interpreter does; name one"
        ) from error


def _usable(python: Path, version: tuple[int, int, int], numpy: str) -> Interpreter:
    shown = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise UsageError(
            "interpreter_too_old",
            f"{python} is Python {shown}, and workers need {oldest} or newer (JetPack 4 has 3.6, JetPack 5 has 3.8); "
            f"install the runtime under Python {oldest} and name that interpreter",
        )
    if not numpy:
        raise UsageError(
            "no_numpy",
            f"{python} (Python {shown}) has no numpy that can be imported, and workers need it; install it with "
            f"{python} -m pip install numpy",
        )
    return Interpreter(python=python, version=version, numpy=numpy)
