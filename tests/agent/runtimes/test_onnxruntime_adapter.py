"""What only the adapter of ONNX Runtime does."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from steelyard_agent.runtimes import onnxruntime as adapter
from steelyard_agent.runtimes.onnxruntime import OnnxRuntime
from steelyard_agent.runtimes.onnxruntime_errors import explain_load, explain_run, useful_line
from steelyard_agent.runtimes.onnxruntime_libraries import why_not_loadable
from steelyard_agent.runtimes.onnxruntime_providers import CPU, PROVIDERS, known_provider
from steelyard_agent.runtimes.provider_names import options_for
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from tests.support import models

AZURE = (ProviderSpec(name="AzureExecutionProvider"),)


def _refusal(path: Path, options: RuntimeOptions = RuntimeOptions()) -> BlockFailure:  # noqa: B008 - frozen
    with pytest.raises(BlockFailure) as caught:
        OnnxRuntime().load(path, options)
    return caught.value


def test_every_option_reaches_the_session(tmp_path: Path) -> None:
    options = RuntimeOptions(
        intra_op_thread_count=1,
        inter_op_thread_count=2,
        graph_optimization="basic",
        spinning=False,
        arena=False,
        options={"session.disable_prepacking": "1"},
    )
    session = OnnxRuntime().load(models.linear_model(tmp_path / "m.onnx"), options)._session.get_session_options()
    assert (session.intra_op_num_threads, session.inter_op_num_threads) == (1, 2)
    assert session.execution_mode.name == "ORT_PARALLEL"
    assert session.graph_optimization_level.name == "ORT_ENABLE_BASIC"
    assert session.enable_cpu_mem_arena is False
    for key in ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning"):
        assert session.get_session_config_entry(key) == "0"
    assert session.get_session_config_entry("session.disable_prepacking") == "1"


def test_without_options_the_session_has_the_runtimes_defaults(tmp_path: Path) -> None:
    session = OnnxRuntime().load(models.linear_model(tmp_path / "m.onnx"), RuntimeOptions())._session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (0, 0)
    assert options.graph_optimization_level.name == "ORT_ENABLE_ALL"
    assert options.enable_cpu_mem_arena is True


@pytest.mark.parametrize("providers", [AZURE, (*AZURE, ProviderSpec(name="CPUExecutionProvider"))])
def test_a_provider_that_cannot_run_the_model_is_a_fallback(
    tmp_path: Path, providers: tuple[ProviderSpec, ...]
) -> None:
    failure = _refusal(models.linear_model(tmp_path / "m.onnx"), RuntimeOptions(providers=providers))
    assert failure.status is BlockStatus.FALLBACK
    assert "AzureExecutionProvider cannot run all of m.onnx" in str(failure)


def test_an_allowed_fallback_is_reported_by_the_nodes_that_ran(tmp_path: Path) -> None:
    model = OnnxRuntime().load(
        models.linear_model(tmp_path / "m.onnx"), RuntimeOptions(providers=AZURE, allow_fallback=True)
    )
    assert model.providers == ("CPUExecutionProvider",)
    assert "1 on CPUExecutionProvider" in model.notes[0]


def test_an_allowed_fallback_counts_the_nodes_by_provider(tmp_path: Path) -> None:
    model = OnnxRuntime().load(
        models.linear_model(tmp_path / "m.onnx"), RuntimeOptions(providers=AZURE, allow_fallback=True)
    )
    assert model.placements == {"CPUExecutionProvider": 1}


def test_a_provider_of_another_build_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    for name in ("cuda", "CUDA", "CUDAExecutionProvider"):
        failure = _refusal(
            models.linear_model(tmp_path / "m.onnx"), RuntimeOptions(providers=(ProviderSpec(name=name),))
        )
        assert (failure.status, failure.reason) == (BlockStatus.UNSUPPORTED, "provider_unavailable")
        assert "CUDAExecutionProvider is not in the installed build; it comes with pip install onnxruntime-gpu" in str(
            failure
        )


def test_a_provider_that_the_release_has_dropped_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    options = RuntimeOptions(providers=(ProviderSpec(name="acl"),))
    failure = _refusal(models.linear_model(tmp_path / "m.onnx"), options)
    assert "ACLExecutionProvider is not in the installed build; it comes with a build of your own" in str(failure)


def test_a_probe_says_of_every_provider_in_the_table_whether_it_is_there_or_why_not() -> None:
    reasons = {probe.name: probe.reason for probe in OnnxRuntime().probe()}
    assert set(PROVIDERS) <= set(reasons)
    assert all(reasons[name] for name in PROVIDERS if name != CPU)


def test_a_name_that_is_nearly_right_says_what_was_meant(tmp_path: Path) -> None:
    options = RuntimeOptions(providers=(ProviderSpec(name="CPUExecutionProvidr"),))
    assert "did you mean CPUExecutionProvider?" in str(_refusal(models.linear_model(tmp_path / "m.onnx"), options))


@pytest.fixture
def build_without_its_libraries(tmp_path: Path) -> SimpleNamespace:
    """A build for CUDA on a machine that has none: its library is there and what that one needs is not."""
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"no library at all")
    return SimpleNamespace(__file__=str(tmp_path / "__init__.py"))


def test_a_provider_whose_library_cannot_be_loaded_says_what_the_loader_says(
    build_without_its_libraries: SimpleNamespace,
) -> None:
    why = why_not_loadable(build_without_its_libraries, "CUDAExecutionProvider")
    assert "libonnxruntime_providers_cuda.so" in why
    assert why_not_loadable(build_without_its_libraries, "CPUExecutionProvider") == ""
    failure = adapter._not_loadable(build_without_its_libraries, "CUDAExecutionProvider")
    assert failure is not None
    assert (failure.status, failure.reason) == (BlockStatus.UNSUPPORTED, "provider_unavailable")


def test_xnnpack_gets_the_threads_and_the_session_keeps_none_of_its_own() -> None:
    import onnxruntime

    options = RuntimeOptions(intra_op_thread_count=4)
    session = adapter._session_options(onnxruntime, options, "XnnpackExecutionProvider")
    assert session.intra_op_num_threads == 1
    assert session.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_missing_external_data_names_the_file(tmp_path: Path) -> None:
    path = models.external_data_model(tmp_path / "m.onnx")
    assert OnnxRuntime().load(path, RuntimeOptions()).inputs
    (tmp_path / "m.onnx.data").unlink()
    failure = _refusal(path)
    assert (failure.status, failure.reason) == (BlockStatus.INVALID_MODEL, "external_data_missing")
    assert "the file m.onnx.data that holds weights of m.onnx" in str(failure)


def test_an_op_without_a_kernel_and_a_custom_op_are_named(tmp_path: Path) -> None:
    assert "MatMul(13)" in str(_refusal(models.no_kernel_model(tmp_path / "m.onnx")))
    custom = models.unknown_op_model(tmp_path / "c.onnx", domain="com.example")
    assert "the op com.example:Frobnicate" in str(_refusal(custom))


def test_a_file_of_two_gigabytes_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 31)
    failure = _refusal(path)
    assert failure.status is BlockStatus.INVALID_MODEL
    assert "save its weights as external data" in str(failure)


def test_a_session_option_that_is_not_valid_is_a_sentence(tmp_path: Path) -> None:
    options = RuntimeOptions(options={"x" * 5000: "1"})
    failure = _refusal(models.linear_model(tmp_path / "m.onnx"), options)
    assert len(str(failure)) < 500


def test_without_the_library_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BlockFailure, match=r"pip install 'steelyard\[onnxruntime\]'") as caught:
        OnnxRuntime().version()
    assert caught.value.status is BlockStatus.RUNTIME_MISSING


def test_a_runtime_without_the_inner_session_still_runs(tmp_path: Path) -> None:
    model = OnnxRuntime().load(models.linear_model(tmp_path / "m.onnx"), RuntimeOptions())

    class Wrapped:
        """A session as a fork of ONNX Runtime might offer it."""

        def __init__(self, session: object) -> None:
            self.io_binding = session.io_binding
            self.run_with_iobinding = session.run_with_iobinding

    model._session = Wrapped(model._session)
    model.bind({"x": np.ones((1, 4), np.float32)})()
    assert model.fetch()["logits"].shape == (1, 3)


@pytest.mark.parametrize(
    ("text", "status", "part"),
    [
        ("std::bad_alloc", BlockStatus.OUT_OF_MEMORY, "could not get memory"),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:Unsupported model IR version: 99, max 13",
            BlockStatus.UNSUPPORTED,
            "newer than ONNX Runtime 1.0 reads: Unsupported model IR version: 99",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Deserialize tensor w failed.GetFileLength for [w.bin] failed",
            BlockStatus.INVALID_MODEL,
            "the file w.bin",
        ),
        ("external data is odd", BlockStatus.INVALID_MODEL, "weights of m.onnx: external data is odd"),
        ("[ONNXRuntimeError] : 1 : FAIL : Type error", BlockStatus.INVALID_MODEL, "cannot load m.onnx: Type error"),
    ],
)
def test_texts_of_the_runtime_become_sentences(text: str, status: BlockStatus, part: str) -> None:
    failure = explain_load(RuntimeError(text), Path("m.onnx"), "1.0", "CPUExecutionProvider")
    assert failure is not None
    assert failure.status is status
    assert part in str(failure)


def test_running_out_of_memory_in_a_run_has_its_status() -> None:
    failure = explain_run(RuntimeError("Failed to allocate memory for requested buffer of size 99"))
    assert failure is not None
    assert failure.status is BlockStatus.OUT_OF_MEMORY


def test_other_peoples_errors_pass_through_loading() -> None:
    assert explain_load(KeyError("x"), Path("m.onnx"), "1", "CPU") is None


def test_the_useful_line_is_bounded_and_without_source_places() -> None:
    assert useful_line("[ONNXRuntimeError] : 1 : FAIL : /a/b.cc:12 onnx::Do It broke.\nmore") == "It broke"
    assert len(useful_line("x" * 1000)) == 240
    assert useful_line("") == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TensorrtExecutionProvider", {"trt_engine_cache_enable": "1", "trt_engine_cache_path": "/cache"}),
        ("OpenVINOExecutionProvider", {"cache_dir": "/cache"}),
        ("CoreMLExecutionProvider", {"ModelCacheDirectory": "/cache"}),
    ],
)
def test_providers_that_compile_are_given_the_cache_folder(name: str, expected: dict[str, str]) -> None:
    provider = known_provider(name)
    assert provider.compiles
    with_folder = options_for(provider, {}, None, "/cache")
    assert expected.items() <= with_folder.items()
    assert not expected.keys() & options_for(provider, {}, None).keys()
    mine = dict.fromkeys(expected, "mine")
    assert mine.items() <= options_for(provider, mine, None).items()
    with pytest.raises(BlockFailure, match="the agent keeps what is compiled"):
        options_for(provider, mine, None, "/cache")


@pytest.mark.parametrize("name", ["CPUExecutionProvider", "CUDAExecutionProvider", "XnnpackExecutionProvider"])
def test_providers_that_compile_nothing_are_not_prepared(name: str) -> None:
    assert not known_provider(name).compiles
    assert (
        options_for(known_provider(name), {}, None, "/cache").keys()
        == options_for(known_provider(name), {}, None).keys()
    )


def test_qnn_writes_a_context_model_once_and_loads_it_afterwards(tmp_path: Path) -> None:
    options = RuntimeOptions(cache_folder=str(tmp_path))
    context = adapter._context_model("QNNExecutionProvider", options)
    assert context == tmp_path / "context.onnx"
    assert adapter._context_entries(context) == {"ep.context_enable": "1", "ep.context_file_path": str(context)}
    context.write_bytes(b"compiled")
    assert adapter._context_entries(context) == {}
    assert adapter._context_model("QNNExecutionProvider", RuntimeOptions()) is None
    assert adapter._context_model("CPUExecutionProvider", options) is None
    assert adapter._context_entries(None) == {}
