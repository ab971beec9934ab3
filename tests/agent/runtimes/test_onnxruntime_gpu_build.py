"""The whole load on NVIDIA's providers, against a build of ours that answers as onnxruntime-gpu does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from steelyard_agent.runtimes import onnxruntime as adapter
from steelyard_agent.runtimes.onnxruntime import OnnxRuntime
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


class SessionOptions:
    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


class GpuBuild:
    """A module in place of ``onnxruntime``; its sessions place nodes as ``nodes`` says."""

    __version__ = "1.31.1"
    SessionOptions = SessionOptions

    def __init__(self, folder: Path, nodes: Mapping[str, int]) -> None:
        self.__file__ = str(folder / "__init__.py")
        self._nodes = nodes
        self.asked_for: dict[str, dict[str, str]] = {}
        self.entries: dict[str, str] = {}

    def get_all_providers(self) -> list[str]:
        return [TENSORRT, CUDA, "OpenVINOExecutionProvider", CPU]

    def get_available_providers(self) -> list[str]:
        return [TENSORRT, CUDA, CPU]

    def InferenceSession(
        self,
        _path: str,
        options: SessionOptions,
        *,
        providers: Sequence[tuple[str, dict[str, str]]],
        enable_fallback: int,
    ) -> SimpleNamespace:
        assert enable_fallback == 0, "it would run the model on the CPU and say nothing"
        self.asked_for, self.entries = dict(providers), options.entries
        parts = [
            SimpleNamespace(ep_name=name, get_nodes=lambda count=count: range(count))
            for name, count in self._nodes.items()
        ]
        return SimpleNamespace(
            get_inputs=list,
            get_outputs=list,
            get_providers=lambda: list(dict.fromkeys([*self.asked_for, CPU])),
            get_provider_graph_assignment_info=lambda: parts,
        )


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def build(**nodes: int) -> GpuBuild:
        names = {"cuda": CUDA, "tensorrt": TENSORRT, "cpu": CPU}
        made = GpuBuild(tmp_path, {names[name]: count for name, count in nodes.items()})
        monkeypatch.setattr(adapter, "_library", lambda: made)
        return made

    return build


def load(folder: Path, *names: str, allow_fallback: bool = False, cache_folder: str = "", **options: str):
    path = folder / "model.onnx"
    path.write_bytes(b"read by the build alone")
    providers = tuple(ProviderSpec(name=name, options=options if name == names[0] else {}) for name in names)
    wanted = RuntimeOptions(providers=providers, allow_fallback=allow_fallback, cache_folder=cache_folder)
    return OnnxRuntime().load(path, wanted)


def test_cuda_by_its_short_name_runs_every_node_with_the_options_given(build, tmp_path: Path) -> None:
    made = build(cuda=42)
    model = load(tmp_path, "cuda", device_id="1", use_tf32="0")
    assert made.asked_for == {CUDA: {"device_id": "1", "use_tf32": "0"}}
    assert made.entries["session.disable_cpu_ep_fallback"] == "1"
    assert made.entries["session.record_ep_graph_assignment_info"] == "1"
    assert (model.providers, model.placements, model.notes) == ((CUDA,), {CUDA: 42}, ())


def test_tensorrt_before_cuda_is_placed_by_node_and_keeps_its_engine(build, tmp_path: Path) -> None:
    made = build(tensorrt=40, cuda=2)
    model = load(tmp_path, "tensorrt", "cuda", allow_fallback=True, cache_folder="/state/engine", trt_fp16_enable="1")
    assert list(made.asked_for) == [TENSORRT, CUDA]
    assert made.asked_for[TENSORRT] == {
        "trt_fp16_enable": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": "/state/engine",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": "/state/engine",
    }
    assert made.asked_for[CUDA] == {}
    assert "session.disable_cpu_ep_fallback" not in made.entries
    assert model.placements == {TENSORRT: 40, CUDA: 2}
    assert model.notes == (f"fell back: of 42 nodes, 40 on {TENSORRT}, 2 on {CUDA}",)


def test_nodes_that_tensorrt_leaves_to_cuda_are_a_fallback_unless_that_is_allowed(build, tmp_path: Path) -> None:
    build(tensorrt=40, cuda=2)
    with pytest.raises(BlockFailure, match=f"{TENSORRT} was asked for; of 42 nodes") as caught:
        load(tmp_path, "tensorrt", "cuda")
    assert caught.value.status is BlockStatus.FALLBACK


def test_the_probe_has_both_and_says_where_the_others_are(build) -> None:
    build(cuda=1)
    probes = {probe.name: probe for probe in OnnxRuntime().probe()}
    assert (probes[CUDA].reason, probes[CUDA].compiles) == ("", False)
    assert (probes[TENSORRT].reason, probes[TENSORRT].compiles) == ("", True)
    assert "onnxruntime-openvino" in probes["OpenVINOExecutionProvider"].reason
