"""The numeric check as people read it: outputs on the device beside the controller's own run of the same file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from steelyard.report.figures import failed
from steelyard.report.grid import Cell, Grid
from steelyard_protocol.v1 import measurement_pb2

_WORDS = {
    measurement_pb2.NUMERIC_VERDICT_AGREES: "agree",
    measurement_pb2.NUMERIC_VERDICT_DIVERGES: "diverge",
    measurement_pb2.NUMERIC_VERDICT_NOT_FINITE: "NaN or infinity",
    measurement_pb2.NUMERIC_VERDICT_NOT_CHECKED: "not checked",
}
_WRONG = frozenset({measurement_pb2.NUMERIC_VERDICT_DIVERGES, measurement_pb2.NUMERIC_VERDICT_NOT_FINITE})
_NOT_KNOWN = "-"


def verdict_word(check: measurement_pb2.NumericCheck) -> str:
    """Return "agree", "diverge", "NaN or infinity" or "not checked"; "" where nothing was ever asked."""
    return _WORDS.get(check.verdict, "")


def numeric_text(check: measurement_pb2.NumericCheck) -> str:
    """Return the verdict with its figures and because what; "" for nothing."""
    word = verdict_word(check)
    if not word:
        return ""
    counted = f" ({check.sample_count} inputs)" if check.sample_count else ""
    figures = ", ".join(
        text
        for text in (
            f"cosine {_cosine(check)}" if check.HasField("cosine") else "",
            f"SQNR {check.sqnr_db:.1f} dB" if check.HasField("sqnr_db") else "",
            f"argmax the same in {100 * check.argmax_agreement:.3g} %" if check.HasField("argmax_agreement") else "",
        )
        if text
    )
    text = ": ".join(part for part in (f"{word}{counted}", check.because) if part)
    return "; ".join(part for part in (text, figures, *check.other_devices) if part)


def numeric_facts(measurement: measurement_pb2.Measurement) -> tuple[tuple[str, str], ...]:
    """Return what is said of the outputs of each variant, as terms and texts."""
    return tuple((label, text) for label, text in _texts(measurement) if text)


def numeric_sentences(measurement: measurement_pb2.Measurement) -> list[str]:
    """Return what is said of outputs that are as they should be, or were not checked, a sentence for those alike."""
    alike: dict[str, list[str]] = {}
    for one in measurement.variants:
        if one.numeric.verdict not in _WRONG and not failed(one) and (word := verdict_word(one.numeric)):
            alike.setdefault(f"outputs {word}: {one.numeric.because}", []).append(one.label)
    everything = len(measurement.variants)
    return [text if len(labels) == everything else f"{', '.join(labels)}: {text}" for text, labels in alike.items()]


def numeric_parts(ran: Sequence[measurement_pb2.VariantMeasurement]) -> Iterable[RenderableType]:
    """Return a table of the figures where outputs are not what they should be; what they mean is a warning beside."""
    if not any(one.numeric.verdict in _WRONG for one in ran):
        return
    yield Text()
    rows = tuple((one.label, _cells(one.numeric)) for one in ran)
    title = "outputs beside the controller's own run"
    head = ("outputs", "cosine", "largest error", "SQNR", "same argmax")
    yield Grid(title, head, rows, explains_labels=False)


def _texts(measurement: measurement_pb2.Measurement) -> Iterable[tuple[str, str]]:
    return ((one.label, numeric_text(one.numeric)) for one in measurement.variants)


def _cells(check: measurement_pb2.NumericCheck) -> tuple[Cell, ...]:
    return (
        Cell(verdict_word(check), style="red" if check.verdict in _WRONG else ""),
        Cell(_cosine(check) if check.HasField("cosine") else _NOT_KNOWN),
        Cell(f"{check.max_absolute_error:.2g}" if check.HasField("max_absolute_error") else _NOT_KNOWN),
        Cell(f"{check.sqnr_db:.1f} dB" if check.HasField("sqnr_db") else _NOT_KNOWN),
        Cell(f"{100 * check.argmax_agreement:.3g} %" if check.HasField("argmax_agreement") else _NOT_KNOWN),
    )


def _cosine(check: measurement_pb2.NumericCheck) -> str:
    return f"{check.cosine:.6f}".rstrip("0").rstrip(".") or "0"
