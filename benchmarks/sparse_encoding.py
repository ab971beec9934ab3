"""Zeros in a TFLite model on an emulated Arm processor: dense, plain zeros, sparse encoding. Direction only."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Standing, geometric_mean, standing, verdict_text
from benchmarks.latency_block import BlockError
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table

NAME = "sparse_encoding"
ROUND_COUNT = 5
PROCESSOR = "cortex-a72"
ZERO_SHARES = (0.7, 0.8, 0.9)
TARGET_SHARE = 0.8
TURN_COUNT = 15
DENSE = "dense"
SETTINGS = {
    "processor": PROCESSOR,
    "zero_shares": list(ZERO_SHARES),
    "turns": TURN_COUNT,
    "ai-edge-litert": version("ai-edge-litert"),
}
_ARM_PYTHON = Path(__file__).parents[1] / f".arm-root/root/usr/bin/python-{PROCESSOR}"
_TIMEOUT_S = 600.0
# Runs under emulation, with the Python and the LiteRT of the board: the models in turn, the first turn not counted.
_PROGRAM = """
import json, sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
turns, paths = int(sys.argv[1]), sys.argv[2:]
image = np.random.default_rng(0).standard_normal((1, 96, 96, 3)).astype(np.float32)
loaded = []
for path in paths:
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    loaded.append(interpreter)
times = [[] for _ in loaded]
for turn in range(turns + 1):
    for interpreter, kept in zip(loaded, times):
        begun = time.perf_counter_ns()
        interpreter.invoke()
        if turn:
            kept.append(time.perf_counter_ns() - begun)
outputs = [one.get_tensor(one.get_output_details()[0]["index"]).ravel().tolist() for one in loaded]
print(json.dumps({"median_ns": [float(np.median(one)) for one in times], "outputs": outputs}))
"""


async def measure(round_count: int) -> None:
    """Measure until ``round_count`` rounds are in the results file.

    Raises:
        BlockError: there is no emulated processor, or it could not run the models.
    """
    if not _ARM_PYTHON.is_file():
        raise BlockError(f"there is no {_ARM_PYTHON}; `make test-arm` builds it")
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        models = _models(Path(work))
        same_bits = _same_bits_here(models)
        for _ in counted(NAME, len(results.rounds(key)), round_count):
            results.append(key, {**await asyncio.to_thread(_emulated, models), "same_bits_on_x86": same_bits})


def _models(folder: Path) -> dict[str, Path]:
    """Write a network dense, and for each share with zeros in dense weights and in the sparse encoding."""
    from tests.support.tflite_nets import inverted_residuals

    models = {DENSE: inverted_residuals(folder / "dense.tflite")}
    for share in ZERO_SHARES:
        plain = inverted_residuals(folder / f"plain-{share}.tflite", zero_share=share)
        models[f"plain {share}"] = plain
        models[f"sparse {share}"] = _encoded(plain, folder / f"sparse-{share}.tflite")
    return models


def _encoded(plain: Path, out: Path) -> Path:
    from steelyard.compress.contract import TFLITE, StepContext
    from steelyard.compress.steps.sparse_encoding import SparseEncoding
    from steelyard.compress.tflite.finishing import final_bytes

    context = StepContext(work_dir=out.parent, progress=lambda message, done, total: None, model_format=TFLITE)
    SparseEncoding().apply(plain, out, context)
    out.write_bytes(final_bytes(out))
    return out


def _same_bits_here(models: dict[str, Path]) -> bool:
    """Return whether the encoding changes no bit of the outputs on this machine."""
    from steelyard.compress.tflite.sessions import open_session

    image = np.random.default_rng(1).standard_normal((1, 96, 96, 3)).astype(np.float32)
    found = {name: open_session(path).run({"image": image})[0] for name, path in models.items()}
    return all(
        np.array_equal(found[f"plain {share}"].view(np.uint32), found[f"sparse {share}"].view(np.uint32))
        for share in ZERO_SHARES
    )


def _emulated(models: dict[str, Path]) -> dict[str, Any]:
    """Return each model's emulated time and its file's size, and how far the encodings are from the plain zeros."""
    command = [str(_ARM_PYTHON), "-c", _PROGRAM, str(TURN_COUNT), *map(str, models.values())]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE_"))}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise BlockError(f"the emulated {PROCESSOR} could not run the models: {error.stderr or error}") from error
    answer = json.loads(done.stdout.splitlines()[-1])
    outputs = {name: np.array(values) for name, values in zip(models, answer["outputs"], strict=True)}
    return {
        "emulated_ns": dict(zip(models, answer["median_ns"], strict=True)),
        "file_bytes": {name: path.stat().st_size for name, path in models.items()},
        "largest_difference": max(
            float(np.abs(outputs[f"plain {share}"] - outputs[f"sparse {share}"]).max()) for share in ZERO_SHARES
        ),
    }


def table() -> Table | None:
    """Return the ratios of emulated times."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    names = list(run.rounds[-1]["emulated_ns"])
    ratios = {
        name: geometric_mean([one["emulated_ns"][DENSE] / one["emulated_ns"][name] for one in run.rounds])
        for name in names
    }
    sizes = run.rounds[-1]["file_bytes"]
    return Table(
        title="Zeros in a TFLite model on Arm",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "A small MobileNetV2 with random weights; the smallest 1x1 weights are zero, stored in dense weights and "
            f"by the step `sparse-encoding`. Times are those of LiteRT with one thread under emulation ({PROCESSOR}, "
            "qemu-user), in turn in one process: they are no latencies, and say only in which direction it goes."
        ),
        run=run,
        head=["zeros", "stored", "file", "emulated speed beside dense"],
        rows=[
            ["none", "dense", _kilobytes(sizes[DENSE]), "1.00"],
            *(
                [
                    f"{100 * share:.0f} %",
                    stored,
                    _kilobytes(sizes[f"{stored} {share}"]),
                    ratios[f"{stored} {share}"].text(2),
                ]
                for share in ZERO_SHARES
                for stored in ("plain", "sparse")
            ),
        ],
        verdicts=verdicts(run.rounds, ratios[f"sparse {TARGET_SHARE}"]),
    )


def verdicts(rounds: Sequence[dict[str, Any]], speed: Figure) -> list[str]:
    """Return a sentence a target: ``speed`` is that of the sparse encoding beside dense at the target's share."""
    target = f"the sparse encoding is faster than dense at {TARGET_SHARE:.0%} zeros, under emulation"
    same = all(one["same_bits_on_x86"] for one in rounds)
    difference = max(one["largest_difference"] for one in rounds)
    return [
        verdict_text("speed", target, standing(speed, least=1.0, most=math.inf), f"{speed.text(2)} times dense"),
        verdict_text(
            "outputs",
            "the same to the last bit on x86",
            Standing.MET if same else Standing.MISSED,
            "no bit that differs" if same else "bits that differ",
        ),
        f"On the emulated processor outputs differ by {difference:.1e} at most: sums in another order.",
    ]


def _kilobytes(count: int) -> str:
    return f"{count / 1000:.0f} kB"
