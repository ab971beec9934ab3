"""What only the adapters of TFLite interpreters do: those of tflite-runtime are LiteRT's."""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard_agent.runtimes import tflite_delegates
from steelyard_agent.runtimes.litert import LiteRt
from steelyard_agent.runtimes.tflite_errors import explain_load, explain_run
from steelyard_agent.runtimes.tflite_graph import node_counts
from steelyard_agent.runtimes.tflite_interpreter import _placements, _refuse_fallback
from steelyard_agent.worker.contract import LoadedModel, ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from tests.support.tflite_models import tflite_chain_model, tflite_linear_model

_DELEGATE = Path(__file__).parents[2] / "support" / "delegate" / "delegate.c"


def _refusal(path: Path, *providers: str, **options: object) -> BlockFailure:
    specs = tuple(ProviderSpec(name=name) for name in providers)
    with pytest.raises(BlockFailure) as caught:
        LiteRt().load(tflite_linear_model(path), RuntimeOptions(providers=specs, **options))
    return caught.value


def test_the_plain_kernels_can_be_asked_for(tmp_path: Path) -> None:
    options = RuntimeOptions(providers=(ProviderSpec(name="CPU"),))
    assert LiteRt().load(tflite_linear_model(tmp_path / "m.tflite"), options).providers == ("CPU",)


def test_a_fixed_batch_stays_a_number(tmp_path: Path) -> None:
    assert LiteRt().load(tflite_linear_model(tmp_path / "m.tflite"), RuntimeOptions()).inputs[0].shape == (1, 4)


def test_given_shapes_are_allocated_at_load(tmp_path: Path) -> None:
    path = tflite_linear_model(tmp_path / "m.tflite", dynamic_batch=True)
    model = LiteRt().load(path, RuntimeOptions(input_shapes={"x": (8, 4)}))
    assert model._interpreter.get_input_details()[0]["shape"].tolist() == [8, 4]


def test_settings_of_other_runtimes_are_refused(tmp_path: Path) -> None:
    failure = _refusal(tmp_path / "m.tflite", spinning=False)
    assert failure.status is BlockStatus.USER_ERROR
    assert "no setting 'spinning'" in str(failure)


@pytest.mark.parametrize("name", ["EdgeTPU", "edgetpu", "gpu", "nnapi", "delegate:/nowhere/libmagic.so"])
def test_a_delegate_without_its_library_says_what_was_looked_for(tmp_path: Path, name: str) -> None:
    failure = _refusal(tmp_path / "m.tflite", name)
    assert (failure.status, failure.reason) == (BlockStatus.UNSUPPORTED, "provider_unavailable")
    assert ".so" in str(failure)


def test_a_library_that_is_no_delegate_is_refused(tmp_path: Path) -> None:
    failure = _refusal(tmp_path / "m.tflite", f"delegate:{ctypes.util.find_library('c')}")
    assert "lacks tflite_plugin_create_delegate" in str(failure)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delegate that a real interpreter loads, asks and hands nodes to."""
    if shutil.which("gcc") is None:
        pytest.skip("needs a C compiler")
    built = tmp_path_factory.mktemp("delegate") / "libdelegate.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(built), str(_DELEGATE)], check=True)
    return built


def _delegated(path: Path, name: str, options: dict[str, str], *, allow_fallback: bool = False) -> LoadedModel:
    asked = RuntimeOptions(providers=(ProviderSpec(name=name, options=options),), allow_fallback=allow_fallback)
    return LiteRt().load(tflite_chain_model(path, 3), asked)


def test_a_delegate_whose_device_is_not_plugged_in_is_refused_with_its_own_words(tmp_path: Path, library: Path) -> None:
    with pytest.raises(BlockFailure, match="no device found; see that its device is plugged in") as caught:
        _delegated(tmp_path / "m.tflite", f"delegate:{library}", {"most_nodes": "-1"})
    assert (caught.value.status, caught.value.reason) == (BlockStatus.UNSUPPORTED, "provider_unavailable")


def test_a_delegate_that_takes_every_node_is_placed_by_the_interpreters_own_word(tmp_path: Path, library: Path) -> None:
    name = f"delegate:{library}"
    model = _delegated(tmp_path / "m.tflite", name, {})
    assert (model.providers, dict(model.placements)) == ((name,), {name: 3})


def test_options_reach_a_delegate_and_what_it_leaves_is_counted(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A known delegate is its library under a name.
    monkeypatch.setitem(tflite_delegates._LIBRARIES, "GPU", str(library))
    assert [probe.reason for probe in LiteRt().probe() if probe.name == "GPU"] == [""]
    path = tmp_path / "m.tflite"
    model = _delegated(path, "gpu", {"most_nodes": "2"}, allow_fallback=True)
    assert dict(model.placements) == {"GPU": 2, "CPU": 1}
    with pytest.raises(BlockFailure, match="GPU runs only part of this model, the rest falls back to CPU"):
        _delegated(path, "gpu", {"most_nodes": "2"})
    assert dict(_delegated(path, "gpu", {"most_nodes": "0"}, allow_fallback=True).placements) == {"CPU": 3}
    with pytest.raises(BlockFailure, match="the only option is most_nodes"):
        _delegated(path, "gpu", {"fast": "1"})


class FakeGraph:
    """An interpreter whose nodes are 0 -> 1 -> 2, of which a delegate took some."""

    def __init__(self, *delegates: tuple[list[int], list[int]]) -> None:
        self._delegates = delegates

    def _get_ops_details(self) -> list[dict]:
        nodes = [("CONV_2D", [0, 7], [1]), ("SOFTMAX", [1], [2])]
        nodes += [("DELEGATE", inputs, outputs) for inputs, outputs in self._delegates]
        return [{"op_name": name, "inputs": inputs, "outputs": outputs} for name, inputs, outputs in nodes]

    def get_output_details(self) -> list[dict]:
        return [{"index": 2}]


def test_the_nodes_that_a_delegate_took_over_are_counted() -> None:
    assert node_counts(FakeGraph(([0, 7], [2]))) == (2, 0)
    assert node_counts(FakeGraph(([0], [1]), ([1], [2]))) == (2, 0)
    assert node_counts(FakeGraph(([0, 7], [1]))) == (1, 1)
    assert node_counts(FakeGraph(([1], [2]))) == (1, 1)
    assert node_counts(FakeGraph()) == (0, 2)


def test_nodes_are_placed_by_who_runs_them() -> None:
    assert _placements(FakeGraph(([0, 7], [2])), ["GPU"]) == {"GPU": 2}
    assert _placements(FakeGraph(([0, 7], [1])), ["XNNPACK"]) == {"XNNPACK": 1, "CPU": 1}
    assert _placements(FakeGraph(), ["GPU"]) == {"CPU": 2}
    # Two delegates, and no node that says which of them took it.
    assert _placements(FakeGraph(([0, 7], [1])), ["GPU", "XNNPACK"]) == {"GPU": None, "XNNPACK": None, "CPU": 1}


@pytest.mark.parametrize(("placements", "part"), [({"GPU": 1, "CPU": 1}, "only part"), ({"CPU": 2}, "nothing")])
def test_a_part_that_falls_back_is_refused_unless_it_is_allowed(placements: dict[str, int], part: str) -> None:
    with pytest.raises(BlockFailure, match=f"GPU runs {part} .* falls back to CPU") as caught:
        _refuse_fallback(placements, "GPU", allow_fallback=False)
    assert caught.value.status is BlockStatus.FALLBACK
    _refuse_fallback(placements, "GPU", allow_fallback=True)
    _refuse_fallback(placements, "", allow_fallback=False)
    _refuse_fallback({"GPU": 2}, "GPU", allow_fallback=False)


def test_an_option_that_looks_like_a_slip_says_what_was_meant(tmp_path: Path) -> None:
    spec = ProviderSpec(name="edgetpu", options={"performance": "Max"})
    with pytest.raises(BlockFailure, match="EdgeTPU has no option 'performance'; did you mean Performance") as caught:
        LiteRt().load(tflite_linear_model(tmp_path / "m.tflite"), RuntimeOptions(providers=(spec,)))
    assert caught.value.status is BlockStatus.USER_ERROR


def test_a_probe_says_who_has_the_delegates_that_are_not_here() -> None:
    reasons = {probe.name: probe.reason for probe in LiteRt().probe()}
    assert "libedgetpu1-std" in reasons["EdgeTPU"]
    assert "NNAPI" in reasons["NNAPI"]


def test_without_the_library_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(BlockFailure, match=r"pip install 'steelyard\[litert\]'"):
        LiteRt().version()


@pytest.mark.parametrize(
    ("text", "status", "part"),
    [
        ("std::bad_alloc", BlockStatus.OUT_OF_MEMORY, "could not get memory"),
        ("Didn't find op for builtin opcode 'CONV_3D' version '9'", BlockStatus.UNSUPPORTED, "the op CONV_3D"),
        ("Op builtin_code out of range: 300. Are you", BlockStatus.UNSUPPORTED, "the op number 300"),
        ("\n  tensor 3 is odd.\nmore", BlockStatus.INVALID_MODEL, "cannot load m.tflite: tensor 3 is odd"),
        ("", BlockStatus.INVALID_MODEL, "no reason was given"),
        ("x" * 900, BlockStatus.INVALID_MODEL, "xxx..."),
    ],
)
def test_texts_of_the_runtime_become_sentences(text: str, status: BlockStatus, part: str) -> None:
    failure = explain_load(RuntimeError(text), Path("m.tflite"), "LiteRT 2.0")
    assert failure.status is status
    assert part in str(failure)


def test_failures_of_a_run_are_explained() -> None:
    odd, empty = (explain_run(RuntimeError(text), "LiteRT 2.0") for text in ("node 3 failed", "out of memory"))
    assert odd is not None
    assert odd.reason == "inference_failed"
    assert empty is not None
    assert empty.status is BlockStatus.OUT_OF_MEMORY
