"""The table of sensitivities fits 80 columns, its bars are lengths, and its sentences say what was measured."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from steelyard.compress.sensitivity_report import LayerSensitivity, MetricDrops, SensitivityReport
from steelyard.report.sensitivity import is_worth_keeping, render_sensitivity

_LONG = "model/backbone/stage_{}/block_{}/depthwise_convolution/batch_normalization/FusedBatchNormV3"


def layer(at: int, share: float, *, drop: float | None = None) -> LayerSensitivity:
    return LayerSensitivity(
        name=_LONG.format(at, at + 1),
        kind="DEPTHWISE_CONV_2D",
        parameter_count=100,
        mac_share=0.123,
        sqnr_db=200.0 if share == 0 else 20.0 + at,
        noise_share=share,
        metric_drop=drop,
    )


REPORT = SensitivityReport(
    layers=(layer(0, 0.5, drop=0.1234), layer(1, 0.25), layer(2, 0.25), layer(3, 0.0)),
    sample_count=64,
    whole_sqnr_db=17.25,
    kept=(_LONG.format(0, 1),),
    keep_float=(_LONG.format(0, 1),),
    kept_sqnr_db=20.0,
    metrics=MetricDrops(
        metric="top1",
        unit="fraction",
        higher_is_better=True,
        split="validation",
        sample_count=1000,
        float_value=0.9,
        whole_drop=0.05,
        kept_drop=0.01,
    ),
)


def shown(report: SensitivityReport = REPORT, *, top: int = 10) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(render_sensitivity("model", "static-int8", report, top=top))
    return out.getvalue()


def test_long_names_fit_80_columns_with_every_figure_whole() -> None:
    lines = shown().splitlines()
    assert max(map(len, lines)) <= 80
    first = next(line for line in lines if "50.0 %" in line)
    assert "20.0 dB" in first
    assert "12.3 %" in first
    assert first.rstrip().endswith("12.3 pp")
    assert any("200.0 dB" in line for line in lines)


def test_bars_are_as_long_as_the_shares_of_noise() -> None:
    lengths = [line.count("█") for line in shown().splitlines() if " dB " in line and "%" in line][:4]
    assert lengths == [8, 4, 4, 0]


def test_the_sentences_say_what_everything_and_the_worst_in_float_score() -> None:
    words = " ".join(shown().split())
    assert "everything quantized: outputs at 17.2 dB, top1 85.0 % against 90.0 % in float" in words
    assert "with the most sensitive operator in float (12.3 % of the MACs): 20.0 dB, top1 89.0 % against" in words
    assert "64 calibration samples; loss: of top1, by 1000 validation samples" in words


def test_an_error_is_added_to_floats_where_less_is_better() -> None:
    metrics = dataclasses.replace(
        REPORT.metrics or pytest.fail("it has none"), metric="mae", unit="m", higher_is_better=False, kept_drop=None
    )
    words = " ".join(shown(dataclasses.replace(REPORT, metrics=metrics)).split())
    assert "mae 0.950" in words
    assert "mae without a value" in words


def test_the_title_says_how_many_are_left_out() -> None:
    assert "the 2 most sensitive of 4 quantized operators" in " ".join(shown(top=2).split())
    assert "what each of 4 quantized operators costs" in " ".join(shown(top=0).split())


def test_without_labels_there_is_no_column_of_losses() -> None:
    text = shown(dataclasses.replace(REPORT, metrics=None))
    assert "loss" not in text
    assert "top1" not in text


def test_where_no_operator_stands_out_other_recipes_are_named() -> None:
    even = dataclasses.replace(REPORT, kept_sqnr_db=17.5)
    assert not is_worth_keeping(even)
    assert "int8-careful" in shown(even)
    assert is_worth_keeping(REPORT)
    assert "int8-careful" not in shown()
