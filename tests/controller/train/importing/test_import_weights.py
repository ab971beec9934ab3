"""Weights are found under what wraps them, and what does not fit is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steelyard.train.errors import ImportModelError
from steelyard.train.importing.weights import load_weights

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

State = dict[str, Any]


def module() -> Any:
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def under(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrapped",
    [
        under(""),
        under("module."),
        under("module._orig_mod."),
        lambda state: {key.replace("0.", "0._orig_mod."): value for key, value in state.items()},
        lambda state: {"state_dict": {**under("model.")(state), "loss.weight": torch.ones(2)}, "epoch": 3},
        lambda state: {**under("module.")(state), "n_averaged": torch.tensor(3)},
    ],
    ids=["bare", "data-parallel", "compiled", "partly-compiled", "lightning", "averaged"],
)
def test_weights_are_found_under_the_prefixes_of_wrappers(tmp_path: Path, wrapped: Callable[[State], State]) -> None:
    given, taken = module(), module()
    torch.save(wrapped(given.state_dict()), tmp_path / "net.pt")
    load_weights(taken, tmp_path / "net.pt", allow_pickle=False)
    assert all(torch.equal(taken.state_dict()[key], value) for key, value in given.state_dict().items())


@pytest.mark.parametrize(
    ("wrapped", "words"),
    [
        (lambda state: under("ema.")(state) | under("online.")(state), "several times (under ema. and online.)"),
        (lambda state: {f"module.{key}": state[key] for key in list(state)[1:]}, "module: it lacks 0.weight;"),
        (lambda state: state | {"extra": torch.ones(1)}, "the module has no extra;"),
        (lambda state: state | {"0.bias": torch.ones(7)}, "it has 0.bias of 7 for 3;"),
        (lambda state: {"state_dict": state, "arguments": SimpleNamespace(a=1)}, "more than tensors (types.SimpleN"),
        (lambda state: [state], "holds a list and no state dict"),
    ],
    ids=["twice", "missing", "extra", "size", "objects", "list"],
)
def test_what_does_not_fit_is_named(tmp_path: Path, wrapped: Callable[[State], Any], words: str) -> None:
    torch.save(wrapped(module().state_dict()), tmp_path / "net.pt")
    with pytest.raises(ImportModelError) as caught:
        load_weights(module(), tmp_path / "net.pt", allow_pickle=False)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("x.pt", "or is no file of torch"), ("x.safetensors", "torch.save(")])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"no file of torch")
    with pytest.raises(ImportModelError) as caught:
        load_weights(module(), tmp_path / name, allow_pickle=False)
    assert words in str(caught.value)
