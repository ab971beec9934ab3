"""TFLite files of trained models, written by the product in the environment that has litert-torch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.latency_block import BlockError
from benchmarks.peer_environments import PeerEnvironmentError, environment_python

_ROOT = Path(__file__).resolve().parent.parent.parent
_PROGRAM = Path(__file__).with_name("peer_programs") / "write_tflite.py"
_SOURCES = ("controller", "agent", "protos")
_LIMIT_S = 900.0


def write_tflite(files: Mapping[Path, Path]) -> None:
    """Write the TFLite file of each ONNX model that has none yet.

    Raises:
        BlockError: the environment does not install, or a model cannot be written.
    """
    wanted = [(source, target) for source, target in files.items() if not target.is_file()]
    if not wanted:
        return
    try:
        python = environment_python("litert-torch")
    except PeerEnvironmentError as error:
        raise BlockError(str(error)) from error
    words = [str(one) for pair in wanted for one in pair]
    path = os.pathsep.join(str(_ROOT / one) for one in _SOURCES)
    done = subprocess.run(
        [str(python), str(_PROGRAM), *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BlockError(f"no TFLite file was written: {lines[-1][:200]}")
