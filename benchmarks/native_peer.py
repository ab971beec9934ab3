"""Builds and runs the native C peer over the libonnxruntime that the installed wheel carries."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("native") / "latency_peer.c"


class PeerMissingError(Exception):
    """The peer cannot be built here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePeer:
    """A compiled peer; ``library`` is the wheel's own shared library, the same version and build as its module."""

    program: Path
    library: Path

    async def samples_ns(
        self, model: Path, *, input_name: str, shape: tuple[int, ...], output_name: str, warmup_ms: int, window_ms: int
    ) -> list[int]:
        """Return nanoseconds per run of one fresh process."""
        process = await asyncio.create_subprocess_exec(
            str(self.program),
            *(str(self.library), str(model), input_name, "x".join(map(str, shape)), output_name),
            *(str(warmup_ms), str(window_ms)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode != 0:
            raise PeerMissingError(f"the native peer failed: {err.decode(errors='replace').strip()}")
        return [int(line) for line in out.split()]


def build_peer() -> NativePeer:
    """Compile the peer with the system's C compiler.

    Raises:
        PeerMissingError: there is no compiler, or the wheel carries no shared library.
    """
    import onnxruntime

    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise PeerMissingError("no C compiler is here: install gcc to measure beside a native program")
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*[0-9]*"))
    if not libraries:
        raise PeerMissingError("this onnxruntime carries no libonnxruntime: install the wheel from the package index")
    program = Path(tempfile.mkdtemp(prefix="steelyard-bench-")) / "latency_peer"
    subprocess.run([compiler, "-O2", "-o", program, _SOURCE, "-ldl"], check=True)
    return NativePeer(program=program, library=libraries[0])
