"""Operators and the roofline probe in a plan and in what devices send back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from steelyard.analysis.layer_message import layers_from
from steelyard.control.intake import plan_digests
from steelyard.control.passes import passes_after
from steelyard.control.plan_layers import layers_of_plan
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.control.probe_models import float_product, int8_product
from steelyard.control.profile_plan import complete_roofline
from steelyard.control.round_check import refuse_nonsense
from steelyard.errors import SteelyardError
from steelyard.layers.read import read_layers
from steelyard.store.blobs import BlobStore
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2, result_pb2
from tests.support.models import linear_model


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def _request(*runtimes: plan_pb2.RuntimeSpec, asked: bool = True) -> control_pb2.SubmitMeasurementRequest:
    request = control_pb2.SubmitMeasurementRequest(probe_roofline=asked)
    for index, runtime in enumerate(runtimes):
        tflite = runtime.name == "litert"
        request.plan.artifacts.add(
            label=f"m{index}",
            artifact_digest="a" * 64,
            format=common_pb2.ARTIFACT_FORMAT_TFLITE if tflite else common_pb2.ARTIFACT_FORMAT_ONNX,
            runtime=runtime,
        )
    return request


def test_options_become_passes_after_what_is_timed() -> None:
    artifact = control_pb2.Artifact(digest="a" * 64, name="m", format=common_pb2.ARTIFACT_FORMAT_ONNX)
    plain = build_plan([artifact], MeasurementOptions())
    assert passes_after(plain) == ()
    asked = build_plan([artifact], MeasurementOptions(operators=True))
    assert passes_after(asked) == (result_pb2.PASS_OPERATORS,)
    asked.roofline.window_ms = 1
    assert passes_after(asked) == (result_pb2.PASS_OPERATORS, result_pb2.PASS_ROOFLINE)


async def test_each_runtime_is_probed_once_with_its_own_options(blobs: BlobStore) -> None:
    one, two = (plan_pb2.RuntimeSpec(name="onnxruntime", intra_op_thread_count=count) for count in (1, 2))
    request = _request(one, one, two, plan_pb2.RuntimeSpec(name="litert"))
    await complete_roofline(blobs, request)
    roofline = request.plan.roofline
    assert roofline.thread_count == 1
    assert [model.name for model in roofline.models] == [
        f"{kind} multiply-accumulate by onnxruntime on {threads}"
        for threads in ("1 thread", "2 threads")
        for kind in ("float32", "int8")
    ]
    assert [model.runtime.intra_op_thread_count for model in roofline.models] == [1, 1, 2, 2]
    for model in roofline.models:
        assert blobs.size(model.artifact_digest) == model.size_bytes
        assert model.artifact_digest in plan_digests(request.plan)


async def test_threads_are_named_only_where_they_differ(blobs: BlobStore) -> None:
    request = _request(plan_pb2.RuntimeSpec(name="onnxruntime", intra_op_thread_count=2))
    await complete_roofline(blobs, request)
    assert request.plan.roofline.models[0].name == "float32 multiply-accumulate by onnxruntime"


async def test_openvino_is_not_probed_for_whole_numbers_and_nobody_unasked(blobs: BlobStore) -> None:
    request = _request(plan_pb2.RuntimeSpec(name="openvino"))
    await complete_roofline(blobs, request)
    assert [model.name for model in request.plan.roofline.models] == ["float32 multiply-accumulate by openvino"]
    silent = _request(plan_pb2.RuntimeSpec(name="openvino"), asked=False)
    silent.plan.roofline.window_ms = 5
    await complete_roofline(blobs, silent)
    assert not silent.plan.HasField("roofline")


@pytest.mark.parametrize("make", [float_product, int8_product])
def test_a_generated_model_multiplies_what_it_says(make, tmp_path: Path) -> None:
    file = make()
    (tmp_path / "probe.onnx").write_bytes(file.content)
    table = read_layers(tmp_path / "probe.onnx")
    assert table.mac_count == file.mac_count
    model = onnx.load_from_string(file.content)
    onnx.checker.check_model(model)
    dtype = np.uint8 if "int8" in file.name else np.float32
    given = np.random.default_rng(0).integers(0, 9, (512, 512)).astype(dtype)
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0])
    (made,) = ReferenceEvaluator(model).run(None, {"x": given})
    assert np.allclose(made, given.astype(np.int64 if dtype == np.uint8 else np.float32) @ weight, rtol=1e-4, atol=1e-3)
    assert make().content == file.content


def test_layers_are_read_only_when_they_are_asked_for(blobs: BlobStore, tmp_path: Path) -> None:
    digest = blobs.put_bytes(linear_model(tmp_path / "m.onnx").read_bytes())
    garbage = blobs.put_bytes(b"no model")
    plan = plan_pb2.Plan()
    plan.artifacts.add(label="one", artifact_digest=digest)
    plan.artifacts.add(label="four", artifact_digest=digest, batch_size=4)
    plan.artifacts.add(label="garbage", artifact_digest=garbage)
    assert layers_of_plan(plan, blobs) == []
    plan.operators.window_ms = 1
    found = {message.label: layers_from(message) for message in layers_of_plan(plan, blobs)}
    assert [found[label].mac_count for label in ("one", "four")] == [12, 4 * 12]
    assert found["garbage"].startswith("multiply-accumulates are not known: ")


def _round(**block: object) -> result_pb2.RoundResult:
    made = result_pb2.RoundResult(pass_kind=result_pb2.PASS_OPERATORS)
    made.blocks.add(label="m", status=result_pb2.BLOCK_STATUS_OK, **block)
    return made


@pytest.mark.parametrize(
    "nonsense",
    [
        {"operators": result_pb2.OperatorProfile(wall_ns=-1)},
        {"operators": result_pb2.OperatorProfile(operators=[result_pb2.OperatorTiming(name="a")])},
        {
            "operators": result_pb2.OperatorProfile(
                inference_count=1, operators=[result_pb2.OperatorTiming(name="a", total_ns=-5)]
            )
        },
        {"roofline": [result_pb2.RooflineRate(name="memory read", rate_per_s=float("nan"))]},
        {"roofline": [result_pb2.RooflineRate(name="memory read", rate_per_s=-1.0)]},
        {"roofline": [result_pb2.RooflineRate(name="memory read")] * 101},
    ],
)
def test_operators_and_rates_that_no_device_has_are_refused(nonsense: dict) -> None:
    with pytest.raises(SteelyardError, match="makes no sense"):
        refuse_nonsense(_round(**nonsense))


def test_good_operators_and_rates_are_taken() -> None:
    timing = result_pb2.OperatorTiming(name="a", kind="Conv", total_ns=5, call_count=1)
    profile = result_pb2.OperatorProfile(inference_count=1, wall_ns=9, operators=[timing] * 2000)
    rates = [result_pb2.RooflineRate(name="memory read", unit="B/s", how="no memory")]
    refuse_nonsense(_round(operators=profile, roofline=rates))
