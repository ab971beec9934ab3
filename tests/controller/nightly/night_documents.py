"""Documents of nights for tests: one with everything in it, and one of a quiet night."""

from __future__ import annotations

from dataclasses import replace

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
    FailedNotification,
    Gap,
    MatrixRow,
    Method,
    NightHeader,
    NightReport,
    NightVerdict,
)

RUNTIME_CHANGE = EnvironmentDifference(name="runtime_version", before="1.19.2", after="1.20.0")


def finding(**changes: object) -> Finding:
    """Return a confirmed regression of a p50."""
    series = SeriesName(model="keywords", device_id="dev-1", device="pi5", runtime="onnxruntime", metric="p50")
    made = Finding(
        series=series,
        outcome=Outcome.CONFIRMED,
        unit="ns",
        before=1_200_000.0,
        after=1_290_000.0,
        reason="7.5 % slower in 12 interleaved rounds",
        ratio=Ratio(value=1.075, low=1.061, high=1.089, confidence=0.99),
        round_count=12,
        first_bad_night=31,
        first_bad_at="2026-11-28T02:00:00Z",
        sparkline=Sparkline(night_numbers=(28, 29, 30, 31), values=(1.2e6, None, 1.21e6, 1.29e6), change_index=3),
        environment=(RUNTIME_CHANGE,),
        reproduce="steelyard compare keywords.onnx keywords.onnx --device pi5",
        job_id="5f0c",
        alert_id="a1",
        p_value=0.0004,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def quiet_night() -> NightReport:
    """Return a night on which nothing changed."""
    return NightReport(
        header=NightHeader(
            suite="shelf",
            suite_digest="ab" * 32,
            night_id="n31",
            night_number=31,
            started_at="2026-11-28T02:00:00Z",
            ended_at="2026-11-28T03:10:00Z",
            controller="laptop",
            steelyard_version="0.1.0",
        ),
        verdict=NightVerdict.PASS,
        sentence="Nothing got worse; 24 of 24 cells were measured.",
        exit_code=0,
        matrix=(MatrixRow(metric="p50", counts=((Outcome.STEADY, 24),)),),
        regressions=(),
        suspected=(),
        undecided=(),
        not_reproduced=(),
        improved=(),
        fixed=(),
        known=(),
        environment_changes=(),
        devices=(
            DeviceHealth(
                device="pi5",
                device_id="dev-1",
                state=DeviceState.MEASURED,
                sentence="The sentinel is steady.",
                sentinel_change=0.004,
                sentinel_moved=-0.001,
                planned_count=24,
                measured_count=24,
                device_minutes=41.5,
            ),
        ),
        coverage=Coverage(planned_count=24, measured_count=24),
        acknowledgements=(),
        failed_notifications=(),
        method=Method(
            hypothesis_count=48,
            candidate_count=0,
            confirmation_count=0,
            confidence=0.99,
            sentences=("Changes are confirmed in the same night.",),
            versions=(("steelyard", "0.1.0"),),
        ),
    )


def bad_night() -> NightReport:
    """Return a night with something in every part."""
    confirmed = finding()
    return replace(
        quiet_night(),
        verdict=NightVerdict.REGRESSED,
        sentence="1 regression confirmed.",
        exit_code=1,
        matrix=(MatrixRow(metric="p50", counts=((Outcome.STEADY, 20), (Outcome.CONFIRMED, 1))),),
        regressions=(
            CauseGroup(
                cause=Cause.RUNTIME,
                title="onnxruntime 1.19.2 to 1.20.0",
                because="1 of 1 series under onnxruntime got slower, none elsewhere",
                findings=(confirmed,),
                differences=(RUNTIME_CHANGE,),
            ),
        ),
        suspected=(finding(outcome=Outcome.SUSPECTED, ratio=None, round_count=0, reason="no budget was left"),),
        undecided=(finding(outcome=Outcome.UNDECIDED, reason="40 rounds did not decide"),),
        not_reproduced=(finding(outcome=Outcome.NOT_REPRODUCED, reason="0.2 % in 12 rounds"),),
        improved=(finding(outcome=Outcome.IMPROVED, reason="8 % faster"),),
        fixed=(finding(outcome=Outcome.FIXED, reason="back where it was"),),
        known=(finding(outcome=Outcome.KNOWN, reason="acknowledged by ada"),),
        environment_changes=(EnvironmentChange(device="pi5", device_id="dev-1", difference=RUNTIME_CHANGE),),
        coverage=Coverage(
            planned_count=24,
            measured_count=21,
            gaps=(Gap(model="faces", device="pi4", runtime="litert", metric="", code="offline", reason="not seen"),),
        ),
        acknowledgements=(
            Acknowledgement(
                what="faces p50 on pi4", who="ada", reason="driver", until="2026-12-01T00:00:00Z", expires_soon=True
            ),
        ),
        failed_notifications=(FailedNotification(channel="mail", night_number=30, reason="refused: 550"),),
        notes=("The suite was edited since last night.",),
    )
