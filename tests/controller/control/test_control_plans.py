"""From options to a plan."""

from __future__ import annotations

import pytest

from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.errors import UsageError
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2


def artifact(name: str, *, recipe: str = "", parent: str = "", file_format: str = "ONNX") -> control_pb2.Artifact:
    made = control_pb2.Artifact(
        digest=name.ljust(64, "0"),
        name=name,
        format=common_pb2.ArtifactFormat.Value(f"ARTIFACT_FORMAT_{file_format}"),
        size_bytes=10,
    )
    made.signature.inputs.add(name="image", dtype="float32")
    if recipe:
        made.lineage.recipe_name = recipe
        made.lineage.parent_digest = parent.ljust(64, "0")
    return made


def labels(*artifacts: control_pb2.Artifact, **options: object) -> list[str]:
    return [one.label for one in build_plan(artifacts, MeasurementOptions(**options)).artifacts]


def test_variants_are_called_by_their_recipe_and_the_original_original() -> None:
    variants = [artifact(f"net-{kind}", recipe=kind, parent="net") for kind in ("float16", "static-int8")]
    assert labels(artifact("net"), *variants) == ["original", "float16", "static-int8"]


def test_models_of_several_families_are_called_by_their_names() -> None:
    assert labels(artifact("a"), artifact("b"), artifact("c", recipe="float16", parent="a")) == ["a", "b", "c"]


def test_variants_of_a_variant_are_called_by_their_recipes_beside_it() -> None:
    tuned = artifact("net-tuned", recipe="fine-tune", parent="net")
    assert labels(tuned, artifact("net-tuned-prune", recipe="prune", parent="net-tuned")) == ["original", "prune"]


def test_long_names_are_cut_in_their_middle_to_what_a_device_takes_and_stay_apart() -> None:
    recipes = [f"prune,{'a' * 100},seed={count}" for count in (1, 2)]
    variants = [artifact(f"net-{at}", recipe=one, parent="net") for at, one in enumerate((*recipes, recipes[0]))]
    plan = build_plan([artifact("net"), *variants], MeasurementOptions(vary={"threads": (1, 2)}))
    found = [one.label for one in plan.artifacts]
    assert len(set(found)) == 8
    assert max(map(len, found)) == 100
    assert [one.endswith("seed=2 threads=1") for one in found].count(True) == 1


def test_labels_that_would_repeat_are_numbered() -> None:
    twice = [artifact("net"), artifact("net"), artifact("net")]
    assert labels(*twice) == ["original", "original-2", "original-3"]


def test_given_labels_are_taken() -> None:
    assert labels(artifact("a"), artifact("b"), labels=("old", "new")) == ["old", "new"]


@pytest.mark.parametrize("given", [("old",), ("old", "old"), ("a", "b", "c")])
def test_labels_that_do_not_name_each_model_once_are_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="name each one once"):
        labels(artifact("a"), artifact("b"), labels=given)


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one model"):
        build_plan([], MeasurementOptions())


def test_the_runtime_is_left_to_the_controller_unless_it_is_named() -> None:
    mixed = [artifact("a"), artifact("b", file_format="TFLITE")]
    plan = build_plan(mixed, MeasurementOptions())
    assert [one.runtime.name for one in plan.artifacts] == ["", ""]
    named = build_plan(mixed, MeasurementOptions(runtime="mine"))
    assert [one.runtime.name for one in named.artifacts] == ["mine", "mine"]


def test_providers_keep_their_order_and_options() -> None:
    texts = ("XnnpackExecutionProvider:intra_op_num_threads=2,a=b=c", "CPUExecutionProvider", "delegate:/lib/x.so:1")
    runtime = build_plan([artifact("a")], MeasurementOptions(providers=texts)).artifacts[0].runtime
    assert [provider.name for provider in runtime.providers] == [
        "XnnpackExecutionProvider",
        "CPUExecutionProvider",
        "delegate:/lib/x.so:1",
    ]
    assert dict(runtime.providers[0].options) == {"intra_op_num_threads": "2", "a": "b=c"}


def test_a_delegate_by_its_path_takes_options_behind_it() -> None:
    texts = ("delegate:/opt/a:b.so:backend=htp,port=usb:0", "delegate:/opt/a=b/x.so")
    first, second = build_plan([artifact("a")], MeasurementOptions(providers=texts)).artifacts[0].runtime.providers
    assert (first.name, dict(first.options)) == ("delegate:/opt/a:b.so", {"backend": "htp", "port": "usb:0"})
    assert (second.name, dict(second.options)) == ("delegate:/opt/a=b/x.so", {})


@pytest.mark.parametrize("text", ["X:threads", "X:=2", ":a=b", "", "X:a=1,a=2"])
def test_a_provider_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_plan([artifact("a")], MeasurementOptions(providers=(text,)))
    assert repr(text) in str(caught.value)


def test_what_was_not_said_is_left_to_the_runtime() -> None:
    runtime = build_plan([artifact("a")], MeasurementOptions()).artifacts[0].runtime
    assert not runtime.HasField("spinning")
    assert not runtime.HasField("arena")
    assert runtime.graph_optimization == plan_pb2.GRAPH_OPTIMIZATION_UNSPECIFIED
    assert runtime.intra_op_thread_count == 1


def test_what_was_said_reaches_the_plan() -> None:
    options = MeasurementOptions(
        spinning=False,
        arena=True,
        graph_optimization="extended",
        thread_count=3,
        allow_fallback=True,
        memory_limit_bytes=1 << 20,
        cores=(2, 3),
        seed=7,
        block_timeout_s=1.5,
        sample_window_ms=20,
        input_shapes={"image": (1, 3, 8, 8)},
    )
    plan = build_plan([artifact("a")], options)
    planned = plan.artifacts[0]
    assert (planned.runtime.spinning, planned.runtime.arena, planned.runtime.allow_fallback) == (False, True, True)
    assert planned.runtime.graph_optimization == plan_pb2.GRAPH_OPTIMIZATION_EXTENDED
    assert planned.runtime.intra_op_thread_count == 3
    assert list(planned.input_shapes["image"].sizes) == [1, 3, 8, 8]
    assert (plan.memory_limit_bytes, list(plan.core_ids), plan.inputs.seed) == (1 << 20, [2, 3], 7)
    assert (plan.block_timeout_ms, plan.timing.sample_window_ms) == (1500, 20)


def test_a_shape_for_an_input_that_the_model_does_not_have_names_those_it_has() -> None:
    with pytest.raises(UsageError, match="image") as caught:
        build_plan([artifact("a")], MeasurementOptions(input_shapes={"imgae": (1,)}))
    assert "'imgae'" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("thread_count", 0),
        ("thread_count", 1025),
        ("sample_window_ms", 9),
        ("sample_window_ms", 60_001),
        ("block_timeout_s", 0.5),
        ("block_timeout_s", 3601.0),
        ("graph_optimization", "most"),
        ("budget_s", -1.0),
        ("device_wait_s", 1e12),
        ("seed", -1),
        ("memory_limit_bytes", 0),
        ("cores", (0, 65_536)),
        ("cores", "medium"),
    ],
)
def test_values_that_no_device_can_honour_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        MeasurementOptions(**{field: value})
    assert str(value).strip("()") in str(caught.value)


def test_a_runtime_may_be_one_of_another_environment() -> None:
    def runtime(text: str) -> plan_pb2.RuntimeSpec:
        return build_plan([artifact("net")], MeasurementOptions(runtime=text)).artifacts[0].runtime

    assert (runtime("openvino").name, runtime("openvino").environment) == ("openvino", "")
    assert (runtime("tflite-runtime@old").name, runtime("tflite-runtime@old").environment) == ("tflite-runtime", "old")
    with pytest.raises(UsageError, match="names no environment"):
        runtime("litert@")
