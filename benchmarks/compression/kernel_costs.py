"""What 8 bits do to each kind of layer here: synthetic networks in several forms, timed in turn.

`advise` expects speeds by what this found: `python -m benchmarks.compression.kernel_costs` finds the costs of layers in
these rounds, and writes them beside the advice that reads them.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compression.bench_models import cache_folder
from benchmarks.compression.kernel_fit import HEAD, costs_toml, fitted, rows, timed_nets
from benchmarks.compression.synthetic_nets import SyntheticNet, synthetic_net
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, Run, this_key
from benchmarks.table import Table
from steelyard.advice import kernel_costs as costs_module
from steelyard.advice.kernel_costs import KernelCosts
from steelyard.compress.steps.dynamic_int8 import DEFAULT_MIN_WEIGHTS
from steelyard.layers.contract import LayerTable

NAME = "kernel_costs"
ROUND_COUNT = 440
TURN_COUNT = 4
WINDOW_S = 0.02
FLOAT = "float32"
# By the form's name its recipe; those without convolutions to gain from are made of networks with matrix products.
FORMS = {
    "static-int8": "static-int8",
    "static-int8,per_channel=false": "static-int8,per_channel=false",
    "dynamic-int8": "dynamic-int8",
    "weight-only": "weight-only",
}
_FOR_PRODUCTS = frozenset({"dynamic-int8", "weight-only"})
_WITH_PRODUCTS = frozenset({"perceptron", "pooled"})
_CALIBRATION_COUNT = 4
# Of each layer, as `steelyard.layers` tells it.
RECORDED = ("kind", "inputs", "outputs", "mac_count", "byte_count", "weight_shape", "is_depthwise")
SETTINGS: dict[str, Any] = {"turns": TURN_COUNT, "window_ms": round(1000 * WINDOW_S)}


async def measure(round_count: int) -> None:
    """Make and time networks until there are ``round_count``, each a round."""
    await asyncio.to_thread(make_all, round_count)
    await asyncio.to_thread(time_all, round_count)


def make_all(net_count: int) -> None:
    """Make the files of the first networks that are not there yet."""
    for seed in range(net_count):
        folder = _folder(seed)
        if not (folder / "made").is_file():
            say(f"{NAME}: network {seed} of {net_count}")
            folder.mkdir(parents=True, exist_ok=True)
            _make(synthetic_net(seed), folder)
            (folder / "made").touch()
    say("")


def time_all(net_count: int, *, until_s: float = float("inf")) -> None:
    """Time the networks that were made and not timed, until the monotonic clock reads ``until_s``."""
    from steelyard.layers.read import read_layers

    done = {one["seed"] for one in ResultsFile(NAME).rounds(this_key(SETTINGS))}
    for seed in range(net_count):
        if seed in done or not (_folder(seed) / "made").is_file():
            continue
        if time.monotonic() > until_s:
            return
        say(f"{NAME}: timing network {seed} of {net_count}")
        net = synthetic_net(seed)
        files = {path.stem: path for path in sorted(_folder(seed).glob("*.onnx"))}
        found = {
            "seed": seed,
            "family": net.family,
            "layers": recorded_layers(read_layers(files[FLOAT])),
            "median_ns": _timed(files, net),
        }
        ResultsFile(NAME).append(this_key(SETTINGS), found)
    say("")


def _folder(seed: int) -> Path:
    return cache_folder() / NAME / str(seed)


def _make(net: SyntheticNet, folder: Path) -> None:
    """Write a network and every form of it that there is."""
    import onnx

    from steelyard.compress.calibration import CalibrationData, PackedInput
    from steelyard.compress.contract import StepContext
    from steelyard.compress.errors import CompressionError
    from steelyard.compress.inline_text import parse_inline

    onnx.save_model(net.model, folder / f"{FLOAT}.onnx")
    # A perceptron's rows are a batch, of which there are as many.
    count = _CALIBRATION_COUNT * net.input_shape[0]
    values = np.random.default_rng(net.seed).standard_normal((count, *net.input_shape[1:]))
    packed = PackedInput(values=values.astype(np.float32), table=None)
    data = CalibrationData(digest="0" * 64, sample_count=len(values), inputs={"x": packed})
    for form, recipe in FORMS.items():
        if form in _FOR_PRODUCTS and net.family not in _WITH_PRODUCTS:
            continue
        (step,) = parse_inline(recipe)
        with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
            context = StepContext(work_dir=Path(work), progress=lambda _what, _done, _total: None, calibration=data)
            try:
                step.apply(folder / f"{FLOAT}.onnx", folder / f"{form}.onnx", context)
            except CompressionError as error:
                (folder / f"{form}.txt").write_text(str(error))


def _timed(files: Mapping[str, Path], net: SyntheticNet) -> dict[str, list[float]]:
    """Return by form the median time of an inference in each turn; sessions are opened anew, the order reversed."""
    given = np.random.default_rng(net.seed).standard_normal(net.input_shape).astype(np.float32)
    found: dict[str, list[float]] = {form: [] for form in files}
    for turn in range(TURN_COUNT):
        for form in sorted(files, reverse=bool(turn % 2)):
            found[form].append(_median_ns(_inference(files[form], given)))
    return found


def _inference(path: Path, given: Any) -> Callable[[], None]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", given)
    binding.bind_output(session.get_outputs()[0].name)
    return lambda: session.run_with_iobinding(binding)


def _median_ns(infer: Callable[[], None]) -> float:
    for _ in range(3):
        infer()
    samples: list[int] = []
    end_ns = time.perf_counter_ns() + round(1e9 * WINDOW_S)
    while (begun_ns := time.perf_counter_ns()) < end_ns or len(samples) < 5:
        infer()
        samples.append(time.perf_counter_ns() - begun_ns)
    return float(statistics.median(samples))


def recorded_layers(table: LayerTable) -> list[dict[str, Any]]:
    """Return what costs are told from of each layer."""
    return [{name: getattr(one, name) for name in RECORDED} for one in table.layers]


def table() -> Table | None:
    """Return how far the costs are off for networks that they were not found in."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    nets = timed_nets(run.rounds)
    costs = _costs(run)
    return Table(
        title="Speed by the costs of layers",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "What `advise` expects of 8 bits: the time of a model as the sum of what its layers cost, by their "
            f"shapes. The costs were found in {sum(not net.is_held_out for net in nets)} networks drawn by chance "
            "(none of them is a model that advice is tested with), as the least squares of relative errors over costs "
            f"of nothing or more; the rows are of {sum(net.is_held_out for net in nets)} others. Each network was made "
            f"in every form by our own steps and timed in {TURN_COUNT} turns, one thread; the time is the least of the "
            "medians of the turns. Right about faster: expected above 1 where measured above 1, or both below."
        ),
        run=run,
        head=HEAD,
        rows=rows(nets, costs),
        verdicts=[],
    )


def _costs(run: Run) -> KernelCosts:
    nets = timed_nets(run.rounds)
    version = run.versions["onnxruntime"]
    source = f"{len(nets)} synthetic networks ({run.machine.partition(',')[0]} with VNNI, onnxruntime {version})"
    return fitted(nets, source=source, least_weights=DEFAULT_MIN_WEIGHTS)


def main() -> None:
    """Write the costs beside the advice that reads them."""
    run = ResultsFile(NAME).latest()
    if run is None:
        raise SystemExit(f"no network was timed yet; python -m benchmarks.run {NAME}")
    path = Path(costs_module.__file__).with_name(costs_module.FILE)
    path.write_text(costs_toml(_costs(run)), encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
