"""Builds and runs the native C peer over the libonnxruntime that the installed wheel carries."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench_models import BenchModel

_SOURCE = Path(__file__).with_name("native") / "latency_peer.c"
# Warm-up ends after 2 s at most and the window is shorter; a peer that takes this long never ends.
_TIMEOUT_S = 60.0


class PeerError(Exception):
    """The peer cannot be built or run here; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePeer:
    """A compiled peer; ``library`` is the wheel's own shared library, the same version and build as its module."""

    program: Path
    library: Path

    async def samples_ns(self, model: BenchModel, window_ms: int) -> list[int]:
        """Return nanoseconds per run of one fresh process.

        Raises:
            PeerError: it ended with an error, or did not end.
        """
        process = await asyncio.create_subprocess_exec(
            *(str(self.program), str(self.library), str(model.path)),
            *(model.input_name, "x".join(map(str, model.shape)), model.output_name, str(window_ms)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise PeerError(f"the native peer took over {_TIMEOUT_S:.0f} s with {model.name}") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise PeerError(f"the native peer failed with {model.name}: {err.decode(errors='replace').strip()}")
        return [int(line) for line in out.split()]


def build_peer(folder: Path) -> NativePeer:
    """Compile the peer into ``folder`` with the system's C compiler.

    Raises:
        PeerError: there is no compiler, it failed, or the wheel carries no shared library.
    """
    import onnxruntime

    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise PeerError("no C compiler (cc, gcc, clang) is on the PATH: install one to measure beside a native program")
    capi = Path(onnxruntime.__file__).parent / "capi"
    libraries = sorted(capi.glob("libonnxruntime.so.*")) + sorted(capi.glob("libonnxruntime.*.dylib"))
    if not libraries:
        raise PeerError(f"{capi} carries no libonnxruntime: install the onnxruntime wheel of the package index")
    program = folder / "latency_peer"
    built = subprocess.run(
        [compiler, "-O2", "-o", program, _SOURCE, "-ldl"], capture_output=True, text=True, check=False
    )
    if built.returncode != 0:
        raise PeerError(f"{compiler} could not compile {_SOURCE.name}: {built.stderr.strip()}")
    return NativePeer(program=program, library=libraries[0])
