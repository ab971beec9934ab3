"""Names and options of providers: what a person types becomes what the runtime takes, or a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.runtimes.onnxruntime_providers import CPU, PROVIDERS, SUFFIX, known_provider, why_absent
from steelyard_agent.runtimes.provider_names import check_options, full_name, options_for, refuse_unknown
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


@pytest.mark.parametrize("short", ["cpu", "xnnpack", "nnapi", "coreml", "tensorrt", "cuda", "openvino", "acl", "qnn"])
def test_every_provider_has_a_short_name_and_a_source(short: str) -> None:
    name = full_name(short, PROVIDERS, suffix=SUFFIX)
    assert name.lower() == f"{short}executionprovider"
    assert full_name(name, PROVIDERS, suffix=SUFFIX) == name
    assert known_provider(name).source.startswith("https://")
    assert name == CPU or "it comes with" in why_absent(name)


def test_the_names_are_those_of_the_runtime() -> None:
    import onnxruntime

    assert set(PROVIDERS) <= {*onnxruntime.get_all_providers(), "ACLExecutionProvider"}


@given(st.text())
def test_a_name_that_is_not_known_stays_as_it_was_typed(text: str) -> None:
    found = full_name(text, PROVIDERS, suffix=SUFFIX)
    assert found == text or found in PROVIDERS


def _refusal(name: str, **options: str) -> str:
    with pytest.raises(BlockFailure) as caught:
        options_for(known_provider(name), options, None)
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, "unknown_option")
    return str(caught.value)


def test_a_slip_in_an_option_says_what_was_meant() -> None:
    assert "did you mean trt_fp16_enable?" in _refusal("TensorrtExecutionProvider", trt_fp16_enabled="1")
    assert "did you mean MLComputeUnits?" in _refusal("CoreMLExecutionProvider", mlcomputeunits="ALL")


def test_a_provider_whose_options_are_all_known_takes_no_other() -> None:
    assert "it has intra_op_num_threads" in _refusal("XnnpackExecutionProvider", fast_math="1")
    # The Python binding passes no flags to it.
    assert "it has none" in _refusal("NnapiExecutionProvider", NNAPI_FLAG_USE_FP16="1")


def test_a_provider_that_grows_options_takes_new_ones() -> None:
    assert options_for(known_provider("CUDAExecutionProvider"), {"brand_new": "1"}, None) == {"brand_new": "1"}
    assert options_for(known_provider("OddExecutionProvider"), {"anything": "1"}, 2) == {"anything": "1"}


def test_defaults_fit_unless_the_caller_says_otherwise() -> None:
    qnn = known_provider("QNNExecutionProvider")
    assert options_for(qnn, {}, 1) == {"backend_path": "libQnnHtp.so"}
    assert options_for(qnn, {"backend_path": "libQnnCpu.so"}, 1) == {"backend_path": "libQnnCpu.so"}
    assert options_for(qnn, {"backend_type": "gpu"}, 1) == {"backend_type": "gpu"}


def test_threads_reach_a_provider_that_has_its_own() -> None:
    assert options_for(known_provider("XnnpackExecutionProvider"), {}, 3) == {"intra_op_num_threads": "3"}
    openvino = known_provider("OpenVINOExecutionProvider")
    assert options_for(openvino, {}, 2) == {"device_type": "CPU", "num_of_threads": "2"}
    assert options_for(openvino, {"load_config": "{}"}, 2) == {"load_config": "{}"}
    assert "num_of_threads" not in options_for(openvino, {}, None)


def test_a_slip_in_the_name_of_a_provider_that_is_not_there_is_seen_as_well() -> None:
    failure = refuse_unknown("cudda", [CPU], "this build", known=["cuda"])
    assert str(failure) == f"this build knows no provider 'cudda'; did you mean cuda? It has {CPU}"
    assert str(refuse_unknown("magic", [CPU], "this build")) == f"this build knows no provider 'magic'; it has {CPU}"


def test_an_own_place_for_what_is_compiled_is_refused_where_the_agent_keeps_it() -> None:
    tensorrt = known_provider("TensorrtExecutionProvider")
    mine = {"trt_engine_cache_path": "/mine"}
    assert options_for(tensorrt, mine, None) == mine
    with pytest.raises(BlockFailure, match="cannot be given 'trt_engine_cache_path'") as caught:
        options_for(tensorrt, mine, None, "/ours")
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, "own_cache")


def test_options_that_are_known_pass() -> None:
    check_options("X", {"a": "1"}, {"a", "b"})
