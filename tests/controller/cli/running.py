"""Running `steelyard`, in this process or as its own, and what it did."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from steelyard.cli.main import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed: nothing else may stand on stdout."""
        return json.loads(self.out)

    def is_refused(self, code: int = 2) -> str:
        """Check that this was an error of one line and nothing on stdout, and return the line."""
        assert self.code == code, (self.code, self.out, self.err)
        assert self.out == ""
        assert "Traceback" not in self.err
        (line,) = self.err.splitlines()
        return line


def run_command(*arguments: str) -> Ran:
    """Run the command line in this process, neither stream a terminal."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    return Ran(code=code, out=out.getvalue(), err=err.getvalue())


def command_line(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "steelyard", *map(str, arguments)]


def run_process(*arguments: object, env: dict[str, str] | None = None) -> Ran:
    """Run the command line as a process of its own."""
    done = subprocess.run(
        command_line(*arguments), capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})}
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)
