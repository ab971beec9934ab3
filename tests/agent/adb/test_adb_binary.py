from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.adb.binary import command_line
from steelyard_agent.worker.block import KIND_LATENCY, Block
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


def words(options=RuntimeOptions(), **block):  # noqa: B008
    made = Block(kind=KIND_LATENCY, runtime_name="benchmark_model", model_path="m", **block)
    return shlex.split(command_line(made, options, program="/p/bench", model="/p/model", timeout_s=60.0))


def provider(name, **options):
    return RuntimeOptions(providers=(ProviderSpec(name=name, options=options),))


def test_a_block_becomes_plain_flags():
    assert words(RuntimeOptions(intra_op_thread_count=4)) == [
        "/p/bench",
        "--graph=/p/model",
        "--warmup_min_secs=0.5",
        "--min_secs=0.2",
        "--num_runs=10",
        "--max_secs=48",
        "--enable_op_profiling=false",
        "--report_peak_memory_footprint=true",
        "--memory_footprint_check_interval_ms=250",
        "--num_threads=4",
    ]


@pytest.mark.parametrize(
    ("asked", "flags"),
    [
        (provider("CPU"), ["--use_xnnpack=false"]),
        (provider("XNNPACK", xnnpack_force_fp16="true"), ["--use_xnnpack=true", "--xnnpack_force_fp16=true"]),
        (provider("GPU", gpu_backend="cl"), ["--use_gpu=true", "--gpu_backend=cl"]),
        (
            provider("NNAPI", nnapi_accelerator_name="google-edgetpu"),
            ["--use_nnapi=true", "--nnapi_accelerator_name=google-edgetpu"],
        ),
        (
            provider("delegate:/data/local/tmp/lib.so", backend="htp", level="3"),
            [
                "--external_delegate_path=/data/local/tmp/lib.so",
                "--external_delegate_options=backend:htp;level:3",
            ],
        ),
    ],
)
def test_providers_become_flags_of_delegates(asked, flags):
    assert [word for word in words(asked) if word in flags] == flags


def test_cores_are_pinned_by_a_mask_with_a_thread_each():
    found = words(core_ids=(4, 5, 6, 7))
    assert found[:3] == ["taskset", "f0", "/p/bench"]
    assert "--num_threads=4" in found


def test_shapes_are_told_by_input():
    found = words(RuntimeOptions(input_shapes={"images": (1, 3, 224, 224), "mask": (1, 10)}))
    assert "--input_layer=images,mask" in found
    assert "--input_layer_shape=1,3,224,224:1,10" in found


@pytest.mark.parametrize(
    "options",
    [
        RuntimeOptions(spinning=True),
        RuntimeOptions(graph_optimization="all"),
        RuntimeOptions(options={"output_filepath": "/sdcard/x"}),
        RuntimeOptions(input_shapes={"a,b": (1,)}),
        RuntimeOptions(providers=(ProviderSpec(name="GPU"), ProviderSpec(name="CPU"))),
        provider("GPU", graph="/etc/passwd"),
        provider("GPU", gpu_backend="cl; reboot"),
        provider("delegate:relative.so"),
        provider("delegate:/x.so", key="a;b"),
    ],
)
def test_what_the_program_does_not_have_is_refused(options):
    with pytest.raises(BlockFailure) as caught:
        words(options)
    assert caught.value.status is BlockStatus.USER_ERROR


def test_an_unknown_provider_is_unsupported():
    with pytest.raises(BlockFailure, match="XNNPACK, CPU, GPU, NNAPI") as caught:
        words(provider("CUDAExecutionProvider"))
    assert caught.value.status is BlockStatus.UNSUPPORTED


@given(st.text(min_size=1, max_size=30))
def test_no_text_of_a_plan_gets_past_the_shell(text):
    for options in (provider("GPU", gpu_backend=text), RuntimeOptions(input_shapes={text: (1,)}), provider(text)):
        block = Block(kind=KIND_LATENCY, runtime_name="benchmark_model", model_path="m")
        try:
            line = command_line(block, options, program="/p/bench", model="/p/model", timeout_s=60.0)
        except BlockFailure:
            continue
        assert shlex.split(line)[0] == "/p/bench"
        assert all(word.startswith("--") for word in shlex.split(line)[1:])
