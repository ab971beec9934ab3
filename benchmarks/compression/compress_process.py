"""A quantizer in a fresh process: how long it takes, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).with_name("peer_programs")
_WRAPPER = PROGRAMS / "watched.py"
TIMEOUT_S = 300.0
_KEPT_CHARACTERS = 200


class QuantizerError(Exception):
    """A quantizer that made no model; the message says why, in its own last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one run took: from the start of the process to its end, and the peak of its resident memory (VmHWM)."""

    seconds: float
    peak_rss_bytes: int

    def __post_init__(self) -> None:
        """Refuse a run that took nothing."""
        if self.seconds <= 0 or self.peak_rss_bytes <= 0:
            raise ValueError(f"no process takes {self.seconds!r} s and {self.peak_rss_bytes!r} bytes")


def run_quantizer(python: Path, program: str, request: Mapping[str, Any], *, work: Path) -> Taken:
    """Run a program of ``peer_programs`` under ``python``; it reads ``request`` as JSON and writes ``request["out"]``.

    Raises:
        QuantizerError: it failed, did not end within ``TIMEOUT_S``, or wrote no model.
    """
    out = Path(request["out"])
    out.unlink(missing_ok=True)
    asked, told = work / "request.json", work / "told.json"
    asked.write_text(json.dumps(dict(request)))
    command = [str(python), str(_WRAPPER), str(told), str(PROGRAMS / program), str(asked)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE_"))}
    begun_s = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            env={**environment, "TMPDIR": str(work)},
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise QuantizerError(f"it did not end within {TIMEOUT_S:.0f} s") from error
    seconds = time.perf_counter() - begun_s
    if done.returncode != 0 or not out.is_file():
        raise QuantizerError(last_line(done.stderr) or f"it ended with code {done.returncode} and wrote no model")
    return Taken(seconds=seconds, peak_rss_bytes=int(json.loads(told.read_text())["peak_rss_bytes"]))


def last_line(text: str) -> str:
    """Return the last line that says something, cut to what a table bears."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_KEPT_CHARACTERS] if lines else ""
