"""What only the adapter of OpenVINO does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from steelyard_agent.runtimes import openvino as adapter
from steelyard_agent.runtimes.onnxruntime import OnnxRuntime
from steelyard_agent.runtimes.openvino import OpenVino
from steelyard_agent.runtimes.openvino_errors import explain_load, explain_run, useful_line
from steelyard_agent.worker.cache_witness import CacheWitness
from steelyard_agent.worker.contract import LoadedModel, ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from tests.support import models, tflite_models


def _load(path: Path, *providers: str, **settings: object) -> LoadedModel:
    specs = tuple(ProviderSpec(name=name) for name in providers)
    return OpenVino().load(path, RuntimeOptions(providers=specs, **settings))


def _refusal(path: Path, *providers: str, **settings: object) -> BlockFailure:
    with pytest.raises(BlockFailure) as caught:
        _load(path, *providers, **settings)
    return caught.value


def test_it_computes_in_float32_unless_it_is_told_otherwise_and_says_so(tmp_path: Path) -> None:
    path = models.conv_model(tmp_path / "m.onnx", depth=3)
    values = np.random.default_rng(0).standard_normal((4, 1, 12, 12)).astype(np.float32)

    def outputs(model: LoadedModel) -> np.ndarray:
        model.bind({"image": values})()
        return model.fetch()["logits"]

    expected = outputs(OnnxRuntime().load(path, RuntimeOptions()))
    model = _load(path)
    assert model.notes == ("OpenVINO computes in f32",)
    assert np.allclose(outputs(model), expected, atol=1e-5)
    # Its own choice is what the processor is fastest in; the note tells it in any case.
    loose = _load(path, options={"EXECUTION_MODE_HINT": "PERFORMANCE"})
    assert loose.notes[0].startswith("OpenVINO computes in ")


def test_every_option_reaches_the_compiled_model(tmp_path: Path) -> None:
    path = models.linear_model(tmp_path / "m.onnx")
    options = RuntimeOptions(
        providers=(ProviderSpec(name="cpu", options={"ENABLE_CPU_PINNING": "NO"}),),
        intra_op_thread_count=1,
        options={"NUM_STREAMS": "1"},
    )
    compiled = OpenVino().load(path, options)._compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_given_shapes_are_fixed_before_compiling(tmp_path: Path) -> None:
    model = _load(models.linear_model(tmp_path / "m.onnx"), input_shapes={"x": (8, 4)})
    assert model._compiled.inputs[0].shape[0] == 8


def test_all_executed_nodes_are_counted_for_the_device(tmp_path: Path) -> None:
    model = _load(models.conv_model(tmp_path / "m.onnx"))
    assert model.providers == ("CPU",)
    assert model.placements["CPU"] > 1


def test_what_auto_chose_is_what_is_reported(tmp_path: Path) -> None:
    model = _load(models.linear_model(tmp_path / "m.onnx"), "auto")
    assert set(model.providers) <= {"CPU", "GPU", "NPU"}
    assert model.notes == (f"AUTO chose {', '.join(model.providers)}", "OpenVINO computes in f32")


def test_nodes_of_several_devices_are_counted_apart() -> None:
    class Core:
        def query_model(self, model: object, device: str) -> dict[str, str]:
            assert device == "HETERO:GPU,CPU"
            return {"conv": "GPU", "pool": "GPU", "odd": "CPU"}

    assert adapter._placements(Core(), None, None, "HETERO:GPU,CPU") == {"GPU": 2, "CPU": 1}


def test_a_fallback_is_a_device_list_only_where_it_is_allowed() -> None:
    class Core:
        available_devices = ("CPU", "GPU.0", "GPU.1")

    gpu = (ProviderSpec(name="GPU"),)
    assert adapter._device(Core(), RuntimeOptions(providers=gpu)) == "GPU"
    assert adapter._device(Core(), RuntimeOptions(providers=gpu, allow_fallback=True)) == "HETERO:GPU,CPU"
    second = (ProviderSpec(name="gpu.1"),)
    assert adapter._device(Core(), RuntimeOptions(providers=second)) == "GPU.1"
    assert adapter._device(Core(), RuntimeOptions(allow_fallback=True)) == "CPU"


def test_a_probe_says_what_an_absent_device_lacks() -> None:
    class Core:
        available_devices = ("CPU",)

        def get_property(self, name: str, key: str) -> str:
            if name == "GPU":
                raise RuntimeError('Cannot load library "x.so": libOpenCL.so.1: cannot open shared object file')
            raise RuntimeError("Unsupported configuration key")

    assert adapter._why_not(Core(), "GPU") == "no driver for it: libOpenCL.so.1 is not here"
    assert adapter._why_not(Core(), "NPU") == "no such device here, or no driver for it"


def test_a_device_that_is_not_here_is_unavailable_with_its_reason(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(adapter, "_why_not", lambda _core, _name: "no driver for it: libze.so is not here")
    failure = _refusal(models.linear_model(tmp_path / "m.onnx"), "NPU")
    assert (failure.status, failure.reason) == (BlockStatus.UNSUPPORTED, "provider_unavailable")
    assert "OpenVINO cannot use NPU: no driver for it: libze.so is not here; it has CPU" in str(failure)


def test_settings_and_options_that_it_does_not_have_are_refused(tmp_path: Path) -> None:
    path = models.linear_model(tmp_path / "m.onnx")
    assert "openvino has no setting 'arena'" in str(_refusal(path, arena=False))
    failure = _refusal(path, options={"INFERENCE_PRECISION_HNT": "f32"})
    assert "did you mean INFERENCE_PRECISION_HINT?" in str(failure)


def test_a_value_that_an_option_cannot_have_is_a_user_error(tmp_path: Path) -> None:
    failure = _refusal(models.linear_model(tmp_path / "m.onnx"), options={"INFERENCE_PRECISION_HINT": "f99"})
    assert failure.status in {BlockStatus.USER_ERROR, BlockStatus.INVALID_MODEL}
    assert "\n" not in str(failure)


def test_its_own_files_are_read(tmp_path: Path) -> None:
    import openvino

    openvino.save_model(openvino.Core().read_model(str(models.linear_model(tmp_path / "m.onnx"))), tmp_path / "m.xml")
    model = _load(tmp_path / "m.xml")
    model.bind({"x": np.ones((2, 4), np.float32)})()
    assert model.fetch()["logits"].shape == (2, 3)


def test_a_tflite_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tflite_models.tflite_linear_model(tmp_path / "blob")
    assert _load(path).inputs[0].shape == (1, 4)


def test_the_import_loads_no_converter_and_nothing_that_reports_to_its_maker() -> None:
    code = (
        "import sys; from steelyard_agent.runtimes.openvino import OpenVino; OpenVino().version();"
        "print(sorted(name for name in sys.modules if 'telemetry' in name or name.endswith('tools.ovc')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_without_the_library_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BlockFailure, match=r"pip install 'steelyard\[openvino\]'") as caught:
        OpenVino().version()
    assert caught.value.status is BlockStatus.RUNTIME_MISSING


@pytest.mark.parametrize(
    ("text", "status", "part"),
    [
        ("std::bad_alloc", BlockStatus.OUT_OF_MEMORY, "could not get memory"),
        ("Exception from a.cpp:1:\nNotFound: Unsupported property FOO by CPU", BlockStatus.USER_ERROR, "property FOO"),
        ("Check 'x' failed at a.cpp:1:\nodd shape.", BlockStatus.INVALID_MODEL, "cannot load m.onnx on CPU: odd shape"),
        ("", BlockStatus.INVALID_MODEL, "no reason was given"),
    ],
)
def test_texts_of_the_runtime_become_sentences(text: str, status: BlockStatus, part: str) -> None:
    failure = explain_load(RuntimeError(text), Path("m.onnx"), "1.0", "CPU")
    assert failure.status is status
    assert part in str(failure)


def test_failures_of_a_run_are_explained() -> None:
    odd, empty = explain_run(RuntimeError("node 3 failed")), explain_run(RuntimeError("out of memory"))
    assert odd is not None
    assert odd.reason == "inference_failed"
    assert empty is not None
    assert empty.status is BlockStatus.OUT_OF_MEMORY


def test_the_useful_line_is_bounded() -> None:
    assert len(useful_line("x" * 1000)) == 240


def test_a_second_load_is_proven_to_come_from_the_cache(tmp_path: Path) -> None:
    path = models.conv_model(tmp_path / "m.onnx")
    cache = tmp_path / "cache"
    cache.mkdir()
    options = RuntimeOptions(intra_op_thread_count=1, cache_folder=str(cache))
    first = OpenVino().load(path, options)
    before = CacheWitness.of(cache)
    second = OpenVino().load(path, options)
    assert (first.loaded_from_cache, second.loaded_from_cache) == (False, True)
    assert before.proves_hit(CacheWitness.of(cache))
    other = models.linear_model(tmp_path / "other.onnx")
    assert OpenVino().load(other, options).loaded_from_cache is False
    assert not before.proves_hit(CacheWitness.of(cache))


def test_without_a_cache_folder_nothing_is_kept(tmp_path: Path) -> None:
    path = models.conv_model(tmp_path / "m.onnx")
    assert OpenVino().load(path, RuntimeOptions()).loaded_from_cache is False
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]


def test_a_cache_of_ones_own_is_refused_where_the_agent_keeps_one(tmp_path: Path) -> None:
    path = models.linear_model(tmp_path / "m.onnx")
    mine = (ProviderSpec(name="cpu", options={"CACHE_DIR": str(tmp_path / "mine")}),)
    with pytest.raises(BlockFailure, match="cannot be given 'CACHE_DIR'") as caught:
        OpenVino().load(path, RuntimeOptions(providers=mine, cache_folder=str(tmp_path)))
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, "own_cache")
    assert not (tmp_path / "mine").exists()


def test_the_name_of_a_kind_is_probed_beside_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        available_devices = ("CPU", "GPU.0", "GPU.1")

        def get_property(self, name: str, key: str) -> str:
            raise RuntimeError(f"{name} has no {key}")

    class Library:
        @staticmethod
        def Core() -> Core:
            return Core()

    monkeypatch.setattr(adapter, "_library", lambda: Library)
    probes = OpenVino().probe()
    compiling = [probe.name for probe in probes if probe.compiles]
    assert compiling == ["CPU", "GPU.0", "GPU.1", "GPU", "AUTO"]
    assert [probe.name for probe in probes if probe.reason] == ["NPU"]


def test_every_device_compiles_and_the_cpu_comes_first() -> None:
    probes = OpenVino().probe()
    assert probes[0].name == "CPU"
    assert all(probe.compiles for probe in probes if not probe.reason)
