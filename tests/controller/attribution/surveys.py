"""Nights to attribute: models on devices, what changed where, and what got worse."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from steelyard.attribution.survey import Surveyed
from steelyard.nightly.night_findings import Cause, EnvironmentDifference, Finding, Outcome, SeriesName

RUNTIME = EnvironmentDifference(name="runtime_version", before="1.19.2", after="1.20.0")
KERNEL = EnvironmentDifference(name="kernel", before="6.1", after="6.6")
TOOLS = EnvironmentDifference(name="tools", before="onnx 1.17", after="onnx 1.18")
BOARD = EnvironmentDifference(name="memory_bytes", before="8", after="4")

MODELS = tuple(f"m{number}" for number in range(8))
DEVICES = ("pi4", "pi5", "rock5")


def artifact(model: str) -> EnvironmentDifference:
    return EnvironmentDifference(
        name="artifact", before=f"{model}-old".ljust(64, "0"), after=f"{model}-new".ljust(64, "0")
    )


def series(model: str, device: str, metric: str = "p50", runtime: str = "onnxruntime") -> SeriesName:
    return SeriesName(model=model, device_id=f"id-{device}", device=device, runtime=runtime, metric=metric)


def worse(name: SeriesName, *differences: EnvironmentDifference, put_back: Cause | None = None) -> Surveyed:
    finding = Finding(
        series=name,
        outcome=Outcome.CONFIRMED,
        unit="ns",
        before=1.0,
        after=1.1,
        reason="10 % slower",
        environment=differences,
    )
    return Surveyed(series=name, differences=differences, finding=finding, put_back=put_back)


def night(
    *,
    is_worse: Callable[[str, str], bool],
    changed: Callable[[str, str], Iterable[EnvironmentDifference]] = lambda _model, _device: (),
    put_back: Cause | None = None,
    models: Iterable[str] = MODELS,
    devices: Iterable[str] = DEVICES,
) -> list[Surveyed]:
    """Return the survey of every model on every device."""
    survey = []
    for model in models:
        for device in devices:
            name, differences = series(model, device), tuple(changed(model, device))
            if is_worse(model, device):
                survey.append(worse(name, *differences, put_back=put_back))
            else:
                survey.append(Surveyed(series=name, differences=differences))
    return survey
