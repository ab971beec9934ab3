"""The numeric check and memory in the words of reports."""

from __future__ import annotations

from rich.console import Console

from steelyard.report.memory import memory_facts, memory_sentences
from steelyard.report.numeric import numeric_facts, numeric_parts, numeric_sentences, numeric_text
from steelyard_protocol.v1 import measurement_pb2, result_pb2

GOOD = measurement_pb2.NumericCheck(
    verdict=measurement_pb2.NUMERIC_VERDICT_AGREES, cosine=1.0, max_absolute_error=0.0, sample_count=8, because="equal"
)
WRONG = measurement_pb2.NumericCheck(
    verdict=measurement_pb2.NUMERIC_VERDICT_DIVERGES,
    cosine=0.98,
    max_absolute_error=0.25,
    sqnr_db=13.4,
    argmax_agreement=13 / 16,
    sample_count=16,
    because="too far",
    other_devices=["pi4 answers differently: cosine 0.97"],
)
ODD = measurement_pb2.NumericCheck(
    verdict=measurement_pb2.NUMERIC_VERDICT_NOT_FINITE, sample_count=8, because="2 of 160 values are NaN"
)


def measured(**checks: measurement_pb2.NumericCheck) -> measurement_pb2.Measurement:
    variants = [measurement_pb2.VariantMeasurement(label=label, numeric=check) for label, check in checks.items()]
    return measurement_pb2.Measurement(variants=variants)


def printed(measurement: measurement_pb2.Measurement, width: int = 80) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        for part in numeric_parts(list(measurement.variants)):
            console.print(part)
    return capture.get()


def test_outputs_that_agree_are_one_sentence_and_no_table() -> None:
    measurement = measured(a=GOOD, b=GOOD)
    assert numeric_sentences(measurement) == ["outputs agree: equal"]
    assert printed(measurement) == ""


def test_only_those_that_agree_are_named_beside_others() -> None:
    assert numeric_sentences(measured(a=GOOD, b=WRONG)) == ["a: outputs agree: equal"]


def test_outputs_that_diverge_are_a_table_of_80_columns() -> None:
    text = printed(measured(original=GOOD, quantized=WRONG, broken=ODD))
    assert max(map(len, text.splitlines())) <= 80
    for words in ("outputs beside the controller's own run", "0.98", "13.4 dB", "81.2 %", "NaN or infinity", "agree"):
        assert words in text


def test_the_text_holds_verdict_figures_and_other_devices() -> None:
    assert numeric_text(WRONG) == (
        "diverge (16 inputs): too far; cosine 0.98, SQNR 13.4 dB, argmax the same in 81.2 %; "
        "pi4 answers differently: cosine 0.97"
    )


def test_a_measurement_of_before_there_were_checks_says_nothing() -> None:
    measurement = measured(a=measurement_pb2.NumericCheck())
    assert (numeric_facts(measurement), numeric_sentences(measurement), printed(measurement)) == ((), [], "")


def with_memory(**memory: object) -> measurement_pb2.Measurement:
    variant = measurement_pb2.VariantMeasurement(label="m", memory=result_pb2.MemoryProfile(**memory))
    return measurement_pb2.Measurement(variants=[variant])


def test_memory_names_peak_least_available_and_arena() -> None:
    measurement = with_memory(
        peak_resident_bytes=2 << 20,
        peak_source="VmHWM",
        least_available_bytes=1 << 30,
        arena_bytes=1 << 20,
        arena_source="the profile",
    )
    ((label, text),) = memory_facts(measurement)
    assert label == "m"
    assert text == (
        "peak 2.00 MiB (VmHWM); 1.00 GiB available on the device at the least; arena 1.00 MiB (the profile)"
    )
    assert memory_sentences(measurement) == [
        "the device had 1.00 GiB of memory available at the least",
        "the runtime's arena held at most: m 1.00 MiB",
    ]


def test_memory_that_is_not_known_is_a_reason_and_no_zero() -> None:
    measurement = with_memory(arena_source="not told", reason="no VmRSS")
    assert memory_facts(measurement) == (("m", "arena not known: not told; no VmRSS"),)
    assert memory_sentences(measurement) == []
