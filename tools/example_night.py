"""Write the example night of docs/nightly-report.md: a plausible fleet, invented figures, the same bytes every time.

python tools/example_night.py FOLDER        # example.json, example.html, example.md, example.xml
"""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path

from steelyard.nightly.night_findings import (
    Cause,
    CauseGroup,
    EnvironmentDifference,
    Finding,
    Outcome,
    Ratio,
    SeriesName,
    Sparkline,
)
from steelyard.nightly.night_report import (
    Acknowledgement,
    Coverage,
    DeviceHealth,
    DeviceState,
    EnvironmentChange,
    Gap,
    MatrixRow,
    Method,
    NightHeader,
    NightReport,
    NightVerdict,
)
from steelyard.nightly.report_json import to_json
from steelyard.report.night.html import render_night
from steelyard.report.night.junit import render_junit
from steelyard.report.night.markdown import render_markdown
from steelyard.report.night.schema import night_schema

_NIGHT = 214
_RUNTIME = EnvironmentDifference(name="runtime.version", before="1.22.1", after="1.23.0")
_KERNEL = EnvironmentDifference(name="kernel", before="6.12.34+rpt-rpi-2712", after="6.12.47+rpt-rpi-2712")
_DIGEST = EnvironmentDifference(name="artifact.digest", before="4be1c0d97f2e", after="a90d3317c5b8")


def example_night() -> NightReport:
    """Return the example."""
    return NightReport(
        header=NightHeader(
            suite="shelf",
            suite_digest="7d0b1f" + "0" * 58,
            night_id="night-214",
            night_number=_NIGHT,
            started_at="2026-11-28T02:00:04Z",
            ended_at="2026-11-28T04:37:51Z",
            controller="lab-server",
            steelyard_version="0.1.0",
        ),
        verdict=NightVerdict.REGRESSED,
        sentence="Five series regressed, by two likely causes: onnxruntime 1.23.0 is slower on both Raspberry Pi 5,"
        " and a new wake-words file is less accurate.",
        exit_code=1,
        matrix=_matrix(),
        regressions=(_runtime_group(), _model_group()),
        suspected=(
            _finding(
                ("segmentation", "pi4", "litert", "p95"),
                Outcome.SUSPECTED,
                (41.2e6, 45.9e6),
                reason="The budget of 90 device minutes was used up before its confirmation; it goes first tonight",
                first_bad=_NIGHT,
            ),
        ),
        undecided=(),
        not_reproduced=(
            _finding(
                ("keywords", "jetson", "onnxruntime", "p50"),
                Outcome.NOT_REPRODUCED,
                (0.412e6, 0.414e6),
                reason="3.1 % slower in the night's run, 0.5 % (-0.9 to +1.8 %) when measured side by side",
                ratio=(1.005, 0.991, 1.018),
                first_bad=_NIGHT,
            ),
        ),
        improved=(
            _finding(
                ("faces", "n100", "openvino", "p50"),
                Outcome.IMPROVED,
                (3.31e6, 2.87e6),
                reason="Faster since the recipe keeps the detector's head in float",
                ratio=(0.867, 0.861, 0.874),
                first_bad=_NIGHT,
            ),
        ),
        fixed=(),
        known=(
            _finding(
                ("minilm", "pixel8", "onnxruntime", "load"),
                Outcome.KNOWN,
                (212e6, 260e6),
                reason="Acknowledged by ada on 2026-11-24: the vendor's new storage driver; ticket 4127",
                first_bad=_NIGHT - 4,
            ),
        ),
        environment_changes=(
            EnvironmentChange(device="pi5-a", device_id="d-pi5-a", difference=_RUNTIME),
            EnvironmentChange(device="pi5-b", device_id="d-pi5-b", difference=_RUNTIME),
            EnvironmentChange(device="pi5-b", device_id="d-pi5-b", difference=_KERNEL),
        ),
        devices=_devices(),
        coverage=Coverage(planned_count=96, measured_count=81, gaps=_gaps()),
        acknowledgements=(
            Acknowledgement(
                what="minilm load on pixel8",
                who="ada",
                reason="storage driver, ticket 4127",
                until="2026-11-30T09:00:00Z",
                expires_soon=True,
            ),
        ),
        failed_notifications=(),
        method=Method(
            hypothesis_count=1_128,
            candidate_count=8,
            confirmation_count=7,
            confidence=0.99,
            sentences=(
                "A candidate is a series whose last one to three nights differ from up to 28 before them.",
                "Candidates are measured again in the same night: last good against now, interleaved on the device.",
                "A regression is confirmed where the 99 % interval lies beyond the metric's least effect.",
            ),
            versions=(("steelyard", "0.1.0"), ("onnxruntime", "1.22.1, 1.23.0"), ("litert", "2.3.0")),
            false_alarm_count=1,
            quiet_series_night_count=58_240,
        ),
        notes=("pi3 came back at 03:12 and was measured then; 6 of its 16 cells did not fit in what was left.",),
    )


def _matrix() -> tuple[MatrixRow, ...]:
    rows = {
        "p50": {Outcome.CONFIRMED: 3, Outcome.NOT_REPRODUCED: 1, Outcome.DEVICE: 2, Outcome.IMPROVED: 1},
        "p95": {Outcome.CONFIRMED: 1, Outcome.SUSPECTED: 1, Outcome.DEVICE: 1},
        "peak_rss": {},
        "load": {Outcome.KNOWN: 1},
        "accuracy": {Outcome.CONFIRMED: 1},
        "output_hash": {},
    }
    return tuple(
        MatrixRow(
            metric=metric,
            counts=(*counts.items(), (Outcome.STEADY, 81 - sum(counts.values())), (Outcome.NOT_MEASURED, 15)),
        )
        for metric, counts in rows.items()
    )


def _runtime_group() -> CauseGroup:
    cases = (
        ("keywords", "pi5-a", "p50", (1.204e6, 1.309e6), (1.087, 1.079, 1.096)),
        ("keywords", "pi5-b", "p50", (1.211e6, 1.322e6), (1.092, 1.080, 1.103)),
        ("mobilenet", "pi5-a", "p50", (18.9e6, 20.1e6), (1.062, 1.055, 1.070)),
        ("mobilenet", "pi5-b", "p95", (19.6e6, 21.9e6), (1.117, 1.081, 1.154)),
    )
    return CauseGroup(
        cause=Cause.RUNTIME,
        title="onnxruntime 1.22.1 to 1.23.0 on pi5-a and pi5-b",
        because="4 of 12 series that got this runtime tonight are slower; none of 69 others is.",
        differences=(_RUNTIME,),
        findings=tuple(
            _finding(
                (model, device, "onnxruntime", metric),
                Outcome.CONFIRMED,
                values,
                reason="Last night's runtime and tonight's were measured in turn, with one file",
                ratio=ratio,
                first_bad=_NIGHT,
                environment=(_RUNTIME, _KERNEL) if device == "pi5-b" else (_RUNTIME,),
                limits=""
                if device == "pi5-a"
                else "also changed and not put back, so that nothing is proven of it: the kernel",
            )
            for model, device, metric, values, ratio in cases
        ),
    )


def _model_group() -> CauseGroup:
    finding = _finding(
        ("wake-words", "pi4", "litert", "accuracy"),
        Outcome.CONFIRMED,
        (0.849, 0.827),
        reason="Last good file against tonight's on the same 5,000 samples: McNemar p = 0.0004",
        ratio=(-2.2, -3.4, -1.0),
        first_bad=_NIGHT - 1,
        environment=(_DIGEST,),
    )
    return CauseGroup(
        cause=Cause.MODEL,
        title="wake-words: a new file",
        because="It is less accurate wherever its accuracy is measured (1 of 1); no other model changed.",
        differences=(_DIGEST,),
        findings=(finding,),
    )


def _finding(
    series: tuple[str, str, str, str],
    outcome: Outcome,
    values: tuple[float, float],
    *,
    reason: str,
    first_bad: int,
    ratio: tuple[float, float, float] | None = None,
    environment: tuple[EnvironmentDifference, ...] = (),
    limits: str = "",
) -> Finding:
    model, device, runtime, metric = series
    is_accuracy = metric == "accuracy"
    kind = "pp" if is_accuracy else "ratio"
    return Finding(
        series=SeriesName(model=model, device_id=f"d-{device}", device=device, runtime=runtime, metric=metric),
        outcome=outcome,
        unit="fraction" if is_accuracy else "ns",
        before=values[0],
        after=values[1],
        reason=reason,
        ratio=None if ratio is None else Ratio(value=ratio[0], low=ratio[1], high=ratio[2], confidence=0.99, unit=kind),
        round_count=0 if ratio is None else 12,
        first_bad_night=first_bad,
        first_bad_at=f"2026-11-{28 - (_NIGHT - first_bad):02d}T02:00:04Z",
        sparkline=_sparkline(series, values, first_bad),
        environment=environment,
        reproduce=f"steelyard nightly run shelf.toml --device {device} --model {model} --confirm {metric}",
        limits=limits,
    )


def _sparkline(series: tuple[str, ...], values: tuple[float, float], first_bad: int) -> Sparkline:
    chance = random.Random("/".join(series))
    nights = range(_NIGHT - 27, _NIGHT + 1)
    noise = 0.002 if series[3] == "accuracy" else 0.011
    drawn = [
        None
        if chance.random() < 0.05 and night < first_bad
        else _level(values, night, first_bad) * math.exp(chance.gauss(0, noise))
        for night in nights
    ]
    return Sparkline(night_numbers=tuple(nights), values=tuple(drawn), change_index=first_bad - nights[0])


def _level(values: tuple[float, float], night: int, first_bad: int) -> float:
    return values[1] if night >= first_bad else values[0]


def _devices() -> tuple[DeviceHealth, ...]:
    lines = (
        ("pi5-a", DeviceState.MEASURED, "The sentinel is steady.", 0.003, -0.002, 16, 16, 0, 71.2),
        ("pi5-b", DeviceState.MEASURED, "The sentinel is steady.", -0.004, 0.001, 16, 16, 0, 74.9),
        ("pi4", DeviceState.MEASURED, "The sentinel is steady.", 0.006, 0.004, 16, 16, 0, 90.0),
        (
            "pi3",
            DeviceState.PARTLY,
            "Offline until 03:12; the sentinel is steady since.",
            0.009,
            0.002,
            16,
            10,
            0,
            44.0,
        ),
        (
            "jetson",
            DeviceState.DRIFTED,
            "The sentinel is 11.8 % slower than in the last 28 nights: look at its fan and power mode.",
            0.118,
            0.004,
            16,
            16,
            3,
            66.1,
        ),
        ("pixel8", DeviceState.OFFLINE, "Not seen since 2026-11-27 19:40.", None, None, 9, 0, 0, None),
        ("n100", DeviceState.MEASURED, "The sentinel is steady.", 0.001, 0.003, 7, 7, 0, 21.3),
    )
    return tuple(
        DeviceHealth(
            device=name,
            device_id=f"d-{name}",
            state=state,
            sentence=sentence,
            sentinel_change=change,
            sentinel_moved=moved,
            planned_count=planned,
            measured_count=measured,
            inhibited_count=held,
            device_minutes=minutes,
        )
        for name, state, sentence, change, moved, planned, measured, held, minutes in lines
    )


def _gaps() -> tuple[Gap, ...]:
    models = ("keywords", "mobilenet", "wake-words", "faces", "segmentation", "minilm", "detector", "vad", "digits")
    away = [
        Gap(
            model=model,
            device="pixel8",
            runtime="onnxruntime",
            metric="",
            code="offline",
            reason="it was not connected",
        )
        for model in models
    ]
    late = [
        Gap(
            model=model,
            device="pi3",
            runtime="litert",
            metric="",
            code="budget",
            reason="the night's window ended at 04:30; it goes first tonight",
        )
        for model in models[:6]
    ]
    return (*away, *late)


def main() -> None:
    """Write the example in every format."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    night = example_night()
    for name, text in (
        ("example.json", to_json(night)),
        ("example.html", render_night(night)),
        ("example.md", render_markdown(night)),
        ("example.xml", render_junit(night)),
        ("night-report.schema.json", json.dumps(night_schema(), indent=1) + "\n"),
    ):
        folder.joinpath(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
