"""Static int8 of ours and of the peers, model by model: accuracy, speed, and what the compression takes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.compression.bench_models import BenchModel, bench_models, cache_folder
from benchmarks.compression.file_speeds import median_latencies_ns
from benchmarks.compression.made_files import Prepared, make, prepare
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
from benchmarks.progress import say
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard_agent.processor import parse_cpuinfo

NAME = "static_int8"
# Launches of each quantizer, of which the median counts.
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
    """Measure each model that is not in the results file yet; ``round_count`` are the launches of each quantizer."""
    for model in bench_models():
        await asyncio.to_thread(measure_model, model, round_count)


def measure_model(model: BenchModel, run_count: int, *, with_speed: bool = True) -> None:
    """Make, score and time the files of one model, going on behind what is in the results file."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    done = [one for one in results.rounds(key) if one["model"] == model.name]
    kinds = {one["kind"] for one in done}
    if {"scored", "speed"} <= kinds or not model.calibration_count:
        return
    folder = cache_folder() / NAME / model.name
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        prepared = prepare(model.model, model.task, Path(work))
        files = {ORIGINAL: prepared.model_path}
        made = {one["quantizer"]: one for one in done if one["kind"] == "made"}
        for quantizer in _quantizers(prepared.model_format):
            say(f"{NAME}: {model.name}, {quantizer.name}")
            out = folder / f"{quantizer.name.replace(' ', '_')}{prepared.model_path.suffix}"
            if quantizer.name not in made or ("failed" not in made[quantizer.name] and not out.is_file()):
                made[quantizer.name] = make(quantizer, prepared, out, Path(work), run_count=run_count)
                results.append(
                    key, {"kind": "made", "model": model.name, "quantizer": quantizer.name, **made[quantizer.name]}
                )
            if "failed" not in made[quantizer.name]:
                files[quantizer.name] = out
        if "scored" not in kinds:
            results.append(key, {"kind": "scored", "model": model.name, **_scored(model, prepared, files)})
        if with_speed and "speed" not in kinds:
            say(f"{NAME}: {model.name}, speeds")
            found = median_latencies_ns(files, round_count=SPEED_ROUND_COUNT, window_ms=WINDOW_MS)
            results.append(key, {"kind": "speed", "model": model.name, "median_ns": found})
    say("")


def _quantizers(model_format: str) -> list[Quantizer]:
    features = parse_cpuinfo(Path("/proc/cpuinfo").read_text()).features
    return [one for one in (*our_quantizers(features), *PEERS) if model_format in one.formats]


def _scored(model: BenchModel, prepared: Prepared, files: Mapping[str, Path]) -> dict[str, Any]:
    answers = {}
    for name, path in files.items():
        say(f"{NAME}: {model.name}, scoring {name}")
        answers[name] = prepared.evaluator.answers(path)
    return {
        "about": model.about,
        "calibration_count": prepared.calibration_count,
        **scores(prepared.metric, answers, frozenset(OURS)),
    }


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    models = figures_of(run.rounds)
    fraction = "no worse than the best peer's file by more than the paired 95 % interval"
    speed = f"no slower than the fastest peer's file by more than {SPEED_TOLERANCE:.0%}"
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
            f"where nothing else is said. {ROUND_COUNT} launches each, medians; time is that of the whole process, "
            "memory its VmHWM. Scores of all files by one code path on the same evaluation samples; losses are paired "
            f"by sample, and below {LEAST_EVALUATION_COUNT} samples nothing is decided. Speeds beside the float model: "
            f"`steelyard measure` on the device `local`, one session a model, {SPEED_ROUND_COUNT} interleaved rounds, "
            "one thread. Operators: those that multiply, in 8 bits and in all, and conversions that are left, once "
            "onnxruntime has loaded the file. What each quantizer is given: `benchmarks/compression/peer_programs`."
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
