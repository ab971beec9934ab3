"""Round trips of the lifter: ONNX to a PyTorch module to ONNX, each held against onnxruntime."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression import minilm
from benchmarks.compression.bench_models import MODELS_VARIABLE, cache_folder
from benchmarks.figures import Standing, verdict_text
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, Run, this_key
from benchmarks.table import Table
from benchmarks.training.zoo_topologies import SEED, topologies, with_random_weights
from steelyard.demo.run import assets
from steelyard.errors import SteelyardError

NAME = "lifter"
ROUND_COUNT = 1
# The largest difference of an output, as a share of its largest magnitude.
TOLERANCE = 1e-5
# Outputs of two inputs that are nearer than ten times that prove nothing.
LEAST_CHANGE = 10 * TOLERANCE
# Drawn inputs are multiplied by the first of these at which the outputs vary: a classifier of other magnitudes is
# certain of one class for all of them.
INPUT_SCALES = (1.0, 10.0, 100.0, 0.1)
_OUTSIDE = frozenset({"control_flow", "already_quantized"})


def settings() -> dict[str, Any]:
    """Return what rounds must share."""
    packages = ("torch", "onnxscript", "onnx")
    return {
        "tolerance": TOLERANCE,
        "input_scales": list(INPUT_SCALES),
        "seed": SEED,
        "packages": {name: _version(name) for name in packages},
    }


async def measure(round_count: int) -> None:
    """Take every model there and back until each has ``round_count`` rounds."""
    await asyncio.to_thread(_measure, round_count)


def _measure(round_count: int) -> None:
    results, key = ResultsFile(NAME), this_key(settings())
    done = [(one["group"], one["model"]) for one in results.rounds(key)]
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        for group, path in _models(Path(folder)):
            if done.count((group, path.stem)) < round_count:
                say(f"{NAME}: {path.stem}")
                results.append(key, {"group": group, "model": path.stem, **round_trip(path, Path(folder))})
    say("")


def _models(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (group, file): real models that are here, then topologies with drawn weights."""
    named = os.environ.get(MODELS_VARIABLE)
    real = sorted(Path(named, "models").glob("*.onnx")) if named else []
    real += sorted(assets().glob("*.onnx"))
    real += [path for path in [cache_folder() / minilm.FOLDER / minilm.MODEL_FILE] if path.is_file()]
    yield from (("real", path) for path in real)
    for name, path in topologies().items():
        drawn = folder / f"{name}.onnx"
        with_random_weights(path, drawn)
        yield "zoo", drawn
        drawn.unlink()


def round_trip(path: Path, folder: Path) -> dict[str, Any]:
    """Return what became of one model: the differences, or why it is refused."""
    from steelyard.train.export.example import example_feed, interface_of
    from steelyard.train.export.onnx_program import export_lifted
    from steelyard.train.lift import lift_checked
    from steelyard.train.lift.checking import check_lifted
    from steelyard.train.parity import file_outputs, largest_difference, module_outputs

    try:
        lifted = lift_checked(path, tolerance=TOLERANCE)
        back = folder / "back.onnx"
        export_lifted(lifted, back)
    except SteelyardError as error:
        return {"refused": error.reason, "why": str(error).replace(f"{path}", path.name)}
    interface = interface_of(lifted)
    drawn = example_feed(interface, batch=lifted.fixed_batch)
    scale, feed, change = _varied(path, drawn)
    expected = file_outputs(path, feed)
    made = module_outputs(lifted.module, feed, inputs=lifted.input_names, outputs=lifted.output_names)
    return {
        "parameters": sum(one.numel() for one in lifted.module.parameters()),
        "layers": len(lifted.layers),
        "input_scale": scale,
        "module_difference": max(check_lifted(path, lifted, tolerance=TOLERANCE), largest_difference(made, expected)),
        "file_difference": largest_difference(file_outputs(back, feed), expected),
        "change": change,
        "open_batch": interface.open_batch,
    }


def _varied(path: Path, drawn: Mapping[str, NDArray[Any]]) -> tuple[float, dict[str, NDArray[Any]], float]:
    """Return a scale of the drawn inputs at which a file's outputs vary, the scaled inputs, and by how much they do."""
    from steelyard.train.parity import file_outputs, largest_difference

    found = []
    for scale in INPUT_SCALES:
        feed = {name: _scaled(values, scale) for name, values in drawn.items()}
        other = {name: _turned(values) for name, values in feed.items()}
        found.append((scale, feed, largest_difference(file_outputs(path, other), file_outputs(path, feed))))
        if found[-1][2] >= LEAST_CHANGE:
            return found[-1]
    return max(found, key=lambda one: one[2])


def _scaled(values: NDArray[Any], scale: float) -> NDArray[Any]:
    return (values * scale).astype(values.dtype) if values.dtype.kind == "f" else values


def _turned(values: NDArray[Any]) -> NDArray[Any]:
    """Return another input: the same numbers, backwards along the last axis that has more than one."""
    axis = max(at for at, size in enumerate(values.shape) if size > 1)
    return np.ascontiguousarray(np.flip(values, axis))


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    return Table(
        title="The lifter: ONNX to PyTorch to ONNX",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Each model becomes a PyTorch module and is written back. `module` is the largest difference between the "
            "module and the file in onnxruntime on drawn inputs, as a share of the largest output; `file` is that "
            "between the two files; `change` is how much the outputs differ from those of another input, without which "
            "parity would prove nothing; where drawn inputs change too little they are multiplied, as the table says. "
            "Topologies of the `onnx` package have seeded random weights scaled by fan-in "
            "in place of their constant ones. Nothing here is a speed."
        ),
        run=run,
        head=["model", "parameters", "layers", "module", "file", "change", "or why not"],
        rows=[_row(one) for one in run.rounds],
        verdicts=[verdict(run)],
    )


def _row(one: dict[str, Any]) -> list[str]:
    if "refused" in one:
        return [one["model"], "", "", "", "", "", one["why"].partition(",")[0].partition(";")[0]]
    shares = [f"{one[name]:.1e}" for name in ("module_difference", "file_difference", "change")]
    scaled = "" if one["input_scale"] == 1 else f" (inputs times {one['input_scale']:g})"
    return [f"{one['model']}{scaled}", f"{one['parameters']:,}", str(one["layers"]), *shares, ""]


def verdict(run: Run) -> str:
    """Return one sentence: whether every float model without control flow came back the same."""
    meant = [one for one in run.rounds if one.get("refused") not in _OUTSIDE]
    good = [one for one in meant if "refused" not in one and _is_proof(one)]
    target = f"every float model without control flow comes back within {TOLERANCE:.0e}"
    bad = [one["model"] for one in meant if one not in good]
    stands = Standing.MISSED if bad else Standing.MET
    return verdict_text(
        "lifter", target, stands, f"{len(good)} of {len(meant)}" + (f", not {', '.join(bad)}" if bad else "")
    )


def _is_proof(one: dict[str, Any]) -> bool:
    within = max(one["module_difference"], one["file_difference"]) <= TOLERANCE
    return bool(within and one["change"] >= LEAST_CHANGE)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
