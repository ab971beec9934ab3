"""Static int8 of ours and of the peers, model by model: accuracy, speed, and what the compression takes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.compression.bench_models import BenchModel, bench_models, cache_folder
from benchmarks.compression.compress_process import QuantizerError, last_line
from benchmarks.compression.file_speeds import median_latencies_ns
from benchmarks.compression.made_files import Prepared, file_of, launch_in_turn, make_all, prepare
from benchmarks.compression.paired_scores import ORIGINAL, scores
from benchmarks.compression.peer_verdicts import (
    HEAD,
    LEAST_EVALUATION_COUNT,
    SPEED_TOLERANCE,
    cost_sentence,
    failures,
    figures_of,
    held_accuracy,
    held_speed,
    rows,
    sentence,
)
from benchmarks.compression.peers import PEERS, Quantizer, our_quantizers, versions_of
from benchmarks.latency_block import BlockError
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard.errors import SteelyardError
from steelyard.tasks.metrics.contract import Answers
from steelyard_agent.processor import parse_cpuinfo

NAME = "static_int8"
# Timed launches of each quantizer.
ROUND_COUNT = 3
SPEED_ROUND_COUNT = 8
WINDOW_MS = 200
OURS = ("static-int8", "int8-careful")
_PACKAGES = ("onnxruntime", "nncf", "onnx-neural-compressor", "aimet-onnx", "litert-quantizer")
SETTINGS: dict[str, Any] = {
    "speed_rounds": SPEED_ROUND_COUNT,
    "window_ms": WINDOW_MS,
    "peers": {
        one.environment: {name: number for name, number in versions_of(one).items() if name in _PACKAGES}
        for one in PEERS
    },
}


async def measure(round_count: int) -> None:
    """Make, score and time what is not in the results file yet; ``round_count`` are timed launches of quantizers."""
    models = [one for one in bench_models() if one.calibration_count]
    for model in models:
        await asyncio.to_thread(make_and_score, model)
    for model in models:
        await asyncio.to_thread(time_all, model, round_count)


def make_and_score(model: BenchModel) -> None:
    """Make every quantizer's file of a model and score it, where that is not recorded."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    if _recorded(results, key, model, "scored"):
        return
    folder = cache_folder() / NAME / model.name
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        say(f"{NAME}: {model.name}, made by every quantizer")
        prepared = prepare(model.model, model.task, Path(work))
        made = make_all(_quantizers(prepared.model_format), prepared, folder, Path(work))
        say(f"{NAME}: {model.name}, scored")
        answers = {ORIGINAL: prepared.evaluator.answers(prepared.model_path)}
        for name in [name for name in made if "failed" not in made[name]]:
            found = _answers(prepared, file_of(name, prepared, folder))
            if isinstance(found, str):
                made[name] = {"failed": found}
            else:
                answers[name] = found
        results.append(
            key,
            {
                "kind": "scored",
                "model": model.name,
                "about": model.about,
                "calibration_count": prepared.calibration_count,
                "made": made,
                **scores(prepared.metric, answers, frozenset(OURS)),
            },
        )
    say("")


def _answers(prepared: Prepared, path: Path) -> Answers | str:
    """Return what a file answers, or why it does not run."""
    try:
        return prepared.evaluator.answers(path)
    except SteelyardError as error:
        return f"its file does not run: {last_line(str(error))}"


def time_all(model: BenchModel, launch_count: int) -> None:
    """Time the quantizers of a model, and the files that ``make_and_score`` made, where that is not recorded.

    Raises:
        BlockError: those files are no longer in the cache folder, or a quantizer fails now.
    """
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    if _recorded(results, key, model, "timed"):
        return
    (made,) = [one["made"] for one in results.rounds(key) if (one["kind"], one["model"]) == ("scored", model.name)]
    folder = cache_folder() / NAME / model.name
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        prepared = prepare(model.model, model.task, Path(work))
        quantizers = [one for one in _quantizers(prepared.model_format) if "failed" not in made[one.name]]
        files = {one.name: file_of(one.name, prepared, folder) for one in quantizers}
        for path in files.values():
            if not path.is_file():
                raise BlockError(f"there is no {path} any more; run the benchmark with --fresh")
        say(f"{NAME}: {model.name}, timed")
        try:
            launches = launch_in_turn(quantizers, prepared, Path(work), launch_count=launch_count)
        except QuantizerError as error:
            raise BlockError(f"a quantizer that made a file of {model.name} fails now: {error}") from error
        found = median_latencies_ns(
            {ORIGINAL: prepared.model_path, **files},
            input_shapes=prepared.input_shapes,
            round_count=SPEED_ROUND_COUNT,
            window_ms=WINDOW_MS,
        )
    results.append(key, {"kind": "timed", "model": model.name, "launches": launches, "median_ns": found})
    say("")


def _recorded(results: ResultsFile, key: dict[str, Any], model: BenchModel, kind: str) -> bool:
    return any((one["kind"], one["model"]) == (kind, model.name) for one in results.rounds(key))


def _quantizers(model_format: str) -> list[Quantizer]:
    features = parse_cpuinfo(Path("/proc/cpuinfo").read_text()).features
    return [one for one in (*our_quantizers(features), *PEERS) if model_format in one.formats]


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    models = figures_of(run.rounds)
    fraction = "no worse than the best peer's file by more than the paired 95 % interval"
    speed = f"no slower than the fastest peer's file by more than {SPEED_TOLERANCE:.0%}"
    launch_count = min((one.launch_count for one in models if one.launch_count), default=0)
    verdicts = []
    for own in OURS:
        verdicts.append(sentence(f"{own}, accuracy", fraction, [held_accuracy(one, own) for one in models]))
        verdicts.append(sentence(f"{own}, speed", speed, [held_speed(one, own, OURS) for one in models]))
        verdicts += [text for text in [cost_sentence(models, own, OURS)] if text]
    return Table(
        title="Static int8 beside other quantizers",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Each quantizer in a fresh process of its own environment, with the same calibration samples: "
            "onnxruntime's (its documented preprocessing; S8S8 as its documentation advises, and U8S8 per channel), "
            "NNCF, neural-compressor's ONNX half (QDQ, per channel), AIMET-ONNX and litert-quantizer, their defaults "
            f"where nothing else is said. Launches of each, in turn: {launch_count}; time is that of the whole process "
            "(least, median), memory its VmHWM (median). Scores of all files by one code path on the same evaluation "
            f"samples; losses are paired by sample, and below {LEAST_EVALUATION_COUNT} samples nothing is decided. "
            "Speeds beside the float model: `steelyard measure` on the device `local`, one session a model, "
            f"{SPEED_ROUND_COUNT} interleaved rounds, one thread. Operators: those that multiply, in 8 bits and in "
            "all, and conversions that are left, once onnxruntime has loaded the file. What each quantizer is given: "
            "`benchmarks/compression/peer_programs`."
        ),
        run=run,
        head=HEAD,
        rows=rows(models),
        verdicts=[*verdicts, *failures(models), *_what_models_are(run.rounds)],
    )


def _what_models_are(rounds: tuple[dict[str, Any], ...]) -> list[str]:
    return [
        f"{one['model']}: {one['about']} {one['calibration_count']} calibration samples."
        for one in rounds
        if one["kind"] == "scored"
    ]
