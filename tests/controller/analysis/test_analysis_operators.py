"""Profiles beside the layers of the file: matching, shares, findings that are said only when they are true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steelyard.analysis.layer_match import match_layers
from steelyard.analysis.operator_findings import Seen, findings
from steelyard.analysis.operators import FLOAT_RATE, add_operators, device_rates, summarise
from steelyard.layers.contract import Layer, LayerTable
from steelyard.layers.read import read_layers
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2
from tests.support.layer_truth import FOLDER
from tests.support.models import conv_model

ONNX = plan_pb2.PlannedArtifact(label="m", artifact_digest="a" * 64, runtime=plan_pb2.RuntimeSpec(name="onnxruntime"))


def _timing(name: str, kind: str, total_ns: int = 1000, provider: str = "CPU", outputs: tuple[str, ...] = ()):
    return result_pb2.OperatorTiming(
        name=name, kind=kind, provider=provider, call_count=1, total_ns=total_ns, outputs=outputs
    )


def _block(*operators: result_pb2.OperatorTiming, label: str = "m", wall_ns: int = 0) -> result_pb2.BlockResult:
    return result_pb2.BlockResult(
        label=label,
        status=result_pb2.BLOCK_STATUS_OK,
        operators=result_pb2.OperatorProfile(operators=operators, inference_count=1, wall_ns=wall_ns),
    )


def _round(pass_kind: int, *blocks: result_pb2.BlockResult) -> result_pb2.RoundResult:
    return result_pb2.RoundResult(pass_kind=pass_kind, blocks=blocks)


def _macs(operators: list[result_pb2.OperatorTiming], table: LayerTable) -> list[int | None]:
    return [sum(one.mac_count or 0 for one in layers) if layers else None for layers in match_layers(operators, table)]


# -- matching ---------------------------------------------------------------------------------------------------


def test_fusions_of_onnx_runtime_are_found_by_what_they_end_with(tmp_path: Path) -> None:
    table = read_layers(conv_model(tmp_path / "model.onnx", depth=2))
    events = json.loads((FOLDER / "onnxruntime_conv.json").read_text())
    names = dict.fromkeys(
        (one["name"].removesuffix("_kernel_time"), one["args"]["op_name"]) for one in events if one["cat"] == "Node"
    )
    operators = [_timing(name, kind) for name, kind in names]
    found = dict(zip((one.name for one in operators), match_layers(operators, table), strict=True))
    assert [layer.name for layer in found["relu0_nchwc"]] == ["Relu_1", "Conv_0"]
    assert [layer.name for layer in found["relu1_nchwc"]] == ["Relu_3", "Conv_2"]
    assert [layer.name for layer in found["Gemm_6"]] == ["Gemm_6"]
    assert found["ReorderOutput"] == ()
    assert sum(count or 0 for count in _macs(operators, table)) == table.mac_count


def test_kernels_of_xnnpack_are_found_by_their_order() -> None:
    table = read_layers(FOLDER / "keyword_spotting.tflite")
    rows = json.loads((FOLDER / "litert_xnnpack.json").read_text())
    begins = [index for index, row in enumerate(rows) if row[0].startswith("LiteRT::Run")]
    kernels = [row for row in rows[: begins[1]] if row[1] in (2, 8)]
    operators = [
        _timing(f"{tag}_{node}" if kind == 2 else f"part 1 node {node}", tag) for tag, kind, _us, node in kernels
    ]
    assert sum(count or 0 for count in _macs(operators, table)) == table.mac_count == 2_656_768
    first = next(
        layers for one, layers in zip(operators, match_layers(operators, table), strict=True) if "IGEMM" in one.kind
    )
    assert [layer.name for layer in first] == ["CONV_2D_1"]


def test_kernels_that_do_not_fit_the_file_are_not_guessed() -> None:
    table = read_layers(FOLDER / "keyword_spotting.tflite")
    operators = [_timing("part 1 node 0", "Convolution (NHWC, QC8) IGEMM")]
    assert match_layers(operators, table) == [()]


def test_openvinos_nodes_are_found_by_what_they_were_made_of(tmp_path: Path) -> None:
    table = read_layers(conv_model(tmp_path / "model.onnx", depth=2))
    document = json.loads((FOLDER / "openvino_conv.json").read_text())
    operators = [
        _timing(name, kind, outputs=tuple(document["origins"].get(name, ())))
        for name, kind, status, _ in document["after_8"]
        if status == "Status.EXECUTED"
    ]
    assert sum(count or 0 for count in _macs(operators, table)) == table.mac_count


def test_no_layer_is_of_two_operators() -> None:
    layer = Layer(
        index=0,
        name="conv",
        kind="Conv",
        inputs=("x",),
        outputs=("y",),
        mac_count=10,
        parameter_count=1,
        byte_count=1,
    )
    table = LayerTable(layers=(layer,), parameter_count=1)
    assert match_layers([_timing("conv", "Conv"), _timing("y_nchwc", "Conv")], table) == [(layer,), ()]


# -- findings ---------------------------------------------------------------------------------------------------


def _seen(*shares: tuple[str, float], provider: str = "CPU") -> list[Seen]:
    return [
        Seen(name=f"{kind}_{index}", kind=kind, provider=provider, share=share)
        for index, (kind, share) in enumerate(shares)
    ]


def _said(operators: list[Seen], **changes: object) -> list[str]:
    settings = {"asked_provider": "", "mac_count": None, "accounted": None} | changes
    return findings(operators, **settings)


def test_an_even_profile_on_one_provider_has_nothing_to_say() -> None:
    assert _said(_seen(*[("Conv", 0.1)] * 10), accounted=0.95, mac_count=100) == []


def test_quantizing_is_said_with_its_kinds_longest_first() -> None:
    operators = _seen(("DequantizeLinear", 0.15), ("QuantizeLinear", 0.26), *[("Conv", 0.1)] * 6)
    assert _said(operators)[0] == "41 % of the time in QuantizeLinear and DequantizeLinear"
    assert _said(_seen(("QuantizeLinear", 0.04), *[("Conv", 0.12)] * 8)) == []


def test_moving_data_is_said() -> None:
    assert _said(_seen(("Transpose", 0.2), ("Reorder", 0.1), *[("Conv", 0.1)] * 7)) == [
        "30 % of the time moving data: Transpose and Reorder"
    ]


def test_a_fallback_is_one_only_when_another_provider_was_asked_for() -> None:
    operators = [*_seen(*[("Conv", 0.1)] * 7, provider="CUDA"), *_seen(*[("Loop", 0.1)] * 3, provider="CPU")]
    assert _said(operators, asked_provider="CUDA") == ["3 operators fell back to CPU: 30 % of the time"]
    assert _said(operators) == ["3 operators ran on CPU, not on CUDA: 30 % of the time"]
    only = _seen(*[("Conv", 0.2)] * 5, provider="CPU")
    assert _said(only, asked_provider="CPU") == []
    assert _said(only, asked_provider="CUDA") == ["5 operators fell back to CPU: 100 % of the time"]


def test_the_longest_operator_is_named_when_it_takes_a_quarter() -> None:
    operators = [
        Seen(name="conv1", kind="Conv", provider="CPU", share=0.38),
        *_seen(*[("Conv", 0.155)] * 4),
    ]
    assert _said(operators) == ["Conv conv1 takes 38 % of the time"]
    assert _said(_seen(("Conv", 1.0))) == []


def _depthwise(time: float, macs: int, total: int) -> list[Seen]:
    rest = 1 - time
    return [
        Seen(name="dw", kind="Conv", provider="CPU", share=time / 4, mac_count=macs // 4, is_depthwise=True)
        for _ in range(4)
    ] + [
        Seen(name="pw", kind="Conv", provider="CPU", share=rest / 10, mac_count=(total - macs) // 10) for _ in range(10)
    ]


def test_depthwise_convolutions_are_said_only_when_they_take_more_than_they_multiply() -> None:
    assert _said(_depthwise(0.55, 120, 1000), mac_count=1000) == [
        "depthwise convolutions: 12 % of the multiply-accumulates, 55 % of the time"
    ]
    assert _said(_depthwise(0.13, 120, 1000), mac_count=1000) == []
    # Most of the model's products are in operators that no layer could be found for.
    assert _said(_depthwise(0.55, 120, 1000), mac_count=5000) == []
    assert _said(_depthwise(0.55, 120, 1000), mac_count=None) == []


def test_time_that_no_operator_accounts_for_is_said() -> None:
    (sentence,) = _said(_seen(*[("Conv", 0.2)] * 5), accounted=0.4)
    assert sentence.startswith("operators take 40 % of the inference with the profiler on")
    assert _said(_seen(*[("Conv", 0.2)] * 5), accounted=0.81) == []


# -- the summary ------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> LayerTable:
    return read_layers(conv_model(tmp_path / "model.onnx"))


def test_shares_are_of_all_operators_and_the_longest_comes_first(table: LayerTable) -> None:
    block = _block(_timing("Gemm_4", "Gemm", 1000), _timing("relu0_nchwc", "Conv", 3000))
    summary = summarise(ONNX, block, table, p50_ns=2_000.0, rates=[])
    assert [(one.kind, one.share, one.mean_ns) for one in summary.operators] == [
        ("Conv", 0.75, 3000.0),
        ("Gemm", 0.25, 1000.0),
    ]
    assert summary.operators[0].mac_count == 8 * 12 * 12 * 9
    assert summary.mac_count == table.mac_count
    # From the timed rounds, not from the profile.
    assert summary.mac_per_s == pytest.approx(table.mac_count * 1e9 / 2000)
    assert not summary.HasField("device_mac_per_s")
    assert summary.reason == ""


def _rates(**known: float) -> list[result_pb2.RooflineRate]:
    names = {
        "floats": ("float32 multiply-accumulate", "MAC/s"),
        "by_runtime": ("float32 multiply-accumulate by onnxruntime", "MAC/s"),
        "int8": ("int8 multiply-accumulate by onnxruntime", "MAC/s"),
        "read": ("memory read", "B/s"),
    }
    return [
        result_pb2.RooflineRate(name=names[key][0], unit=names[key][1], rate_per_s=rate) for key, rate in known.items()
    ]


def test_a_model_is_held_against_the_rate_of_its_own_weights(table: LayerTable) -> None:
    rates = _rates(floats=10.0, by_runtime=20.0, int8=80.0, read=5.0)
    summary = summarise(ONNX, None, table, p50_ns=None, rates=rates)
    assert (summary.device_mac_per_s, summary.device_byte_per_s) == (20.0, 5.0)
    assert not summary.HasField("mac_per_s")
    int8 = read_layers(FOLDER / "keyword_spotting.tflite")
    assert summarise(ONNX, None, int8, p50_ns=None, rates=rates).device_mac_per_s == 80.0
    unknown = [result_pb2.RooflineRate(name="float32 multiply-accumulate", unit="MAC/s", how="no numpy")]
    assert not summarise(ONNX, None, table, p50_ns=None, rates=unknown).HasField("device_mac_per_s")


def test_what_is_not_counted_is_named_and_gives_no_rate() -> None:
    layers = tuple(
        Layer(
            index=index,
            name=f"If_{index}",
            kind="If",
            inputs=(),
            outputs=(),
            mac_count=None,
            parameter_count=0,
            byte_count=None,
            reason="nobody knows",
        )
        for index in range(7)
    )
    summary = summarise(ONNX, None, LayerTable(layers=layers, parameter_count=0), p50_ns=10.0, rates=[])
    assert not summary.HasField("mac_count")
    assert not summary.HasField("mac_per_s")
    assert list(summary.findings) == [
        "multiply-accumulates not counted: If_0, If_1, If_2, If_3, If_4 and 2 more (nobody knows)"
    ]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (None, "operators were not profiled (--operators)"),
        (
            result_pb2.BlockResult(
                status=result_pb2.BLOCK_STATUS_OK, operators=result_pb2.OperatorProfile(reason="no profiler here")
            ),
            "no profiler here",
        ),
        (result_pb2.BlockResult(status=result_pb2.BLOCK_STATUS_CRASHED), "profiling failed"),
        (result_pb2.BlockResult(status=result_pb2.BLOCK_STATUS_OK), "the profiler told nothing"),
    ],
)
def test_without_a_profile_the_reason_is_said(
    block: result_pb2.BlockResult | None, reason: str, table: LayerTable
) -> None:
    summary = summarise(ONNX, block, table, p50_ns=None, rates=[])
    assert summary.reason == reason
    assert not summary.operators


def test_a_probe_that_failed_is_a_sentence() -> None:
    failed = result_pb2.BlockResult(status=result_pb2.BLOCK_STATUS_TIMEOUT)
    failed.error.message = "the block made no progress for 60 s"
    rates, trouble = device_rates([_round(result_pb2.PASS_ROOFLINE, failed)])
    assert rates == []
    assert trouble == "what the device can do at most is not known: the block made no progress for 60 s"
    assert device_rates([_round(result_pb2.PASS_LATENCY, failed)]) == ([], "")


def test_an_emulated_device_has_counts_and_no_times(table: LayerTable) -> None:
    plan = plan_pb2.Plan(artifacts=[ONNX])
    plan.operators.window_ms = 10
    variants = [measurement_pb2.VariantMeasurement(label="m")]
    rounds = [_round(result_pb2.PASS_OPERATORS, _block(_timing("relu0_nchwc", "Conv")))]
    add_operators(plan, variants, rounds, {ONNX.label: table}, "qemu-user on x86_64")
    summary = variants[0].operators
    assert summary.mac_count == table.mac_count
    assert not summary.operators
    assert "qemu-user on x86_64" in summary.reason


def test_nothing_is_said_of_operators_that_nobody_asked_for(table: LayerTable) -> None:
    variants = [measurement_pb2.VariantMeasurement(label="m")]
    add_operators(plan_pb2.Plan(artifacts=[ONNX]), variants, [], {ONNX.label: table}, "")
    assert not variants[0].HasField("operators")


def test_a_model_is_held_against_what_as_many_threads_reached(table: LayerTable) -> None:
    plan = plan_pb2.Plan(artifacts=[ONNX, ONNX])
    plan.roofline.thread_count = 1
    probe = result_pb2.BlockResult(status=result_pb2.BLOCK_STATUS_OK)
    for threads, reached in ((1, 1e9), (2, 2e9)):
        name = f"{FLOAT_RATE} by onnxruntime on {threads}"
        plan.artifacts[threads - 1].runtime.intra_op_thread_count = threads
        plan.roofline.models.add(name=name).runtime.intra_op_thread_count = threads
        probe.roofline.add(name=name, unit="MAC/s", rate_per_s=reached)
    probe.roofline.add(name=FLOAT_RATE, unit="MAC/s", rate_per_s=1.5e9)
    variants = [measurement_pb2.VariantMeasurement(label="m") for _ in range(2)]
    add_operators(plan, variants, [_round(result_pb2.PASS_ROOFLINE, probe)], {ONNX.label: table}, "")
    assert [one.operators.device_mac_per_s for one in variants] == [1.5e9, 2e9]
