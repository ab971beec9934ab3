"""Where a training computes and in which precision, and what a machine is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.checkpoints import Checkpoints
from steelyard.train.loop.place import Place
from tests.controller.train.loop.small_trainings import network, settings, trainer

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.usefixtures("without_gpu")
def test_a_processor_computes_in_float32() -> None:
    place = Place.of(settings())
    assert (place.device, place.precision, place.is_mixed) == ("cpu", "float32", False)


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize(
    ("wanted", "reason", "words"),
    [
        ({"device": "cuda"}, "no_gpu", 'device is "cuda", and PyTorch finds no GPU here'),
        ({"precision": "float16"}, "no_precision", "precision is float16, which needs a GPU"),
    ],
    ids=["device", "precision"],
)
def test_what_needs_a_gpu_is_refused_without(wanted: dict[str, str], reason: str, words: str) -> None:
    with pytest.raises(TrainingInputError, match=words) as caught:
        Place.of(settings(**wanted))
    assert caught.value.reason == reason


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize(("has_halves", "precision"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_computes_in_the_halves_that_it_has(
    has_halves: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_halves)
    assert Place.of(settings()) == Place(device="cuda", precision=precision)
    assert Place.of(settings(device="cpu")) == Place(device="cpu", precision="float32")


def test_a_network_learns_in_mixed_precision_and_keeps_its_weights_in_float32(tmp_path: Path) -> None:
    model = network(normalized=True)
    seen: set[object] = set()
    model.module[0].register_forward_hook(lambda layer, inputs, output: seen.add(output.dtype))
    outcome = trainer(model, Checkpoints(tmp_path), settings=settings(device="cpu", precision="bfloat16")).run()
    assert outcome.kept.value > 0.9
    # In training and in validation.
    assert seen == {torch.bfloat16, torch.float32}
    assert {one.dtype for one in model.module.parameters()} == {torch.float32}
