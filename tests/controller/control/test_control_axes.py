"""Axes: the combinations of a plan, their labels, and what is refused."""

from __future__ import annotations

import pytest

from steelyard.control.axes import AXES, parse_axis
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.errors import UsageError
from steelyard.report.varied import varied_text
from steelyard_protocol.v1 import control_pb2, plan_pb2


def artifact(name: str = "net") -> control_pb2.Artifact:
    made = control_pb2.Artifact(digest=name.ljust(64, "0"), name=name, size_bytes=10)
    made.signature.inputs.add(name="ids", dtype="int64")
    made.signature.inputs.add(name="mask", dtype="int64")
    return made


def planned(vary: dict[str, object], *artifacts: control_pb2.Artifact, **options: object) -> plan_pb2.Plan:
    return build_plan(artifacts or [artifact()], MeasurementOptions(vary=vary, **options))


def test_every_combination_is_an_artifact_with_a_label_that_says_which() -> None:
    plan = planned({"threads": (1, 2), "spinning": (True, False)})
    assert [one.label for one in plan.artifacts] == [
        "original threads=1 spinning=on",
        "original threads=1 spinning=off",
        "original threads=2 spinning=on",
        "original threads=2 spinning=off",
    ]
    runtimes = [one.runtime for one in plan.artifacts]
    assert [(one.intra_op_thread_count, one.spinning) for one in runtimes] == [
        (1, True),
        (1, False),
        (2, True),
        (2, False),
    ]
    assert varied_text(plan) == "threads 1, 2; spinning on, off"


def test_models_keep_their_order_and_the_first_combination_of_the_first_is_the_reference() -> None:
    plan = planned({"batch": ("1", "8")}, artifact("a"), artifact("b"))
    assert [one.label for one in plan.artifacts] == ["a batch=1", "a batch=8", "b batch=1", "b batch=8"]
    assert [one.batch_size for one in plan.artifacts] == [1, 8, 1, 8]


@pytest.mark.parametrize(
    ("text", "values", "read"),
    [
        ("runtime=onnxruntime,openvino@old", "onnxruntime, openvino@old", lambda one: one.runtime.name),
        ("env=own,tflite", ", tflite", lambda one: one.runtime.environment),
        (
            "provider=CPU;OpenVINO:device_type=CPU,num_of_threads=2",
            "CPU, OpenVINO",
            lambda one: one.runtime.providers[0].name,
        ),
        ("threads=1,4", "1, 4", lambda one: str(one.runtime.intra_op_thread_count)),
        ("cores=0-1;2,3", "0+1, 2+3", lambda one: "+".join(map(str, one.core_ids))),
        ("cores=big,little", "1, 2", lambda one: str(one.core_selection)),
        ("spinning=on,off", "True, False", lambda one: str(one.runtime.spinning)),
        ("arena=off,on", "False, True", lambda one: str(one.runtime.arena)),
        ("graph-optimization=disabled,all", "1, 4", lambda one: str(one.runtime.graph_optimization)),
        ("batch=1,8", "1, 8", lambda one: str(one.batch_size)),
        (
            "shape=ids=1x16,mask=1x16;ids=1x64,mask=1x64",
            "16/16, 64/64",
            lambda one: "/".join(str(one.input_shapes[name].sizes[1]) for name in ("ids", "mask")),
        ),
    ],
)
def test_each_axis_takes_values_as_its_flag_does(text: str, values: str, read: object) -> None:
    name, texts = parse_axis(text)
    plan = planned({name: texts})
    shown = ", ".join(read(one) for one in plan.artifacts)
    assert shown == values.replace("openvino@old", "openvino")
    assert varied_text(plan)


def test_the_axes_of_the_test_above_are_all_there_are() -> None:
    assert set(AXES) == {
        *("runtime", "env", "provider", "threads", "cores"),
        *("spinning", "arena", "graph-optimization", "batch", "shape"),
    }


def test_an_environment_is_joined_with_the_runtime_that_is_asked_for() -> None:
    plan = planned({"env": ("own", "old")}, runtime="openvino@other")
    assert [(one.runtime.name, one.runtime.environment) for one in plan.artifacts] == [
        ("openvino", ""),
        ("openvino", "old"),
    ]


def test_the_plans_own_cores_stay_where_they_are_not_varied() -> None:
    assert list(planned({"threads": (1, 2)}, cores=(0, 1)).core_ids) == [0, 1]
    varied = planned({"cores": ("big", "0")}, cores=(0, 1))
    assert list(varied.core_ids) == [0, 1]
    assert [list(one.core_ids) for one in varied.artifacts] == [[], [0]]


def test_given_labels_name_the_models_in_front_of_the_settings() -> None:
    plan = planned({"arena": ("on", "off")}, artifact("a"), labels=("old",))
    assert [one.label for one in plan.artifacts] == ["old arena=on", "old arena=off"]


@pytest.mark.parametrize(
    ("vary", "sentence"),
    [
        ({"thread": (1, 2)}, "--vary thread is no axis: vary one of runtime, env"),
        ({"threads": (1,)}, "--vary threads=1 varies nothing"),
        ({"threads": (1, "1")}, "--vary threads has the value '1' twice"),
        ({"threads": ("1", "")}, "--vary threads has an empty value"),
        ({"threads": (1, "two")}, "--vary threads: 'two' is not a whole number above 0"),
        ({"threads": (1, 2000)}, "2000 threads is not a count from 1 to 1024"),
        ({"spinning": ("on", "maybe")}, "--vary spinning: 'maybe' is not on or off"),
        ({"cores": ("big", "middle")}, "--vary cores: 'middle' is not big, little or cores such as"),
        ({"graph-optimization": ("all", "most")}, "graph optimization 'most' is not one of"),
        ({"shape": ("ids=1x2", "ids")}, "--vary shape: 'ids' is not a shape such as"),
        ({"batch": range(1, 10), "threads": range(1, 10)}, "9 x 9 = 81 combinations, more than 64"),
    ],
)
def test_an_axis_that_makes_no_sense_is_one_sentence(vary: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        MeasurementOptions(vary=vary)
    assert sentence in str(caught.value)


def test_what_only_the_models_show_is_refused_when_the_plan_is_made() -> None:
    with pytest.raises(UsageError, match="5 models in 16 combinations are 80 to measure, more than 64"):
        planned({"batch": range(1, 17)}, *(artifact(name) for name in "abcde"))
    with pytest.raises(UsageError, match=r"has 12\d characters, more than 100: vary fewer axes"):
        planned({"threads": (1, 2)}, artifact("n"), labels=("n" * 110,))
    with pytest.raises(UsageError, match="model net has no input 'tokens'; it has ids, mask"):
        planned({"shape": ("tokens=1x2", "tokens=1x4")})
    with pytest.raises(UsageError, match="is not AXIS=VALUE,VALUE"):
        parse_axis("threads")


def test_a_plan_without_axes_says_that_nothing_is_varied() -> None:
    assert varied_text(build_plan([artifact("a"), artifact("b")], MeasurementOptions())) == ""
