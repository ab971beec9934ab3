"""Queries, keys and values out of one product: however its parts are moved to the attention, heads can go."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.train.export.example import Interface
from steelyard.train.export.onnx_program import export_lifted, export_onnx
from steelyard.train.lift import lift_checked
from steelyard.train.lift.lifted import LiftedModel, TensorForm
from steelyard.train.prune.costs import parameter_count
from steelyard.train.prune.fused_heads import with_heads_apart
from steelyard.train.prune.width import narrowed
from tests.controller.train.prune.test_train_pruner import counts_of_heads, pruner

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")
nn, functional = torch.nn, torch.nn.functional

STEPS, WIDTH, HEADS = 5, 16, 4
SIZE = WIDTH // HEADS


def plain(query: Any, key: Any, value: Any) -> Any:
    """Attention over [B,H,T,D] with the scale in front, as it was written before there was a function for it."""
    return torch.softmax((query * SIZE**-0.5) @ key.transpose(-2, -1), dim=-1) @ value


def batched(query: Any, key: Any, value: Any) -> Any:
    """The same, with samples and heads on one axis."""
    query, key, value = (one.reshape(-1, STEPS, SIZE) for one in (query, key, value))
    made = torch.bmm(torch.softmax(torch.bmm(query, key.transpose(1, 2)) * SIZE**-0.5, dim=-1), value)
    return made.reshape(-1, HEADS, STEPS, SIZE)


def unbound(x: Any) -> Any:
    return x.reshape(x.shape[0], STEPS, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4).unbind(0)


def split(x: Any) -> Any:
    return [one.reshape(x.shape[0], STEPS, HEADS, SIZE).transpose(1, 2) for one in x.chunk(3, dim=-1)]


def by_head(x: Any) -> Any:
    """Each head has its queries, keys and values beside each other."""
    return x.reshape(x.shape[0], STEPS, HEADS, 3 * SIZE).transpose(1, 2).chunk(3, dim=-1)


def interleaved(x: Any) -> Any:
    return x.reshape(x.shape[0], STEPS, HEADS, SIZE, 3).permute(4, 0, 2, 1, 3).unbind(0)


class Fused(nn.Module):
    def __init__(self, cut: Callable[..., Any] = unbound, attend: Callable[..., Any] = plain) -> None:
        super().__init__()
        self.product, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.cut, self.attend = cut, attend

    def forward(self, x: Any) -> Any:
        made = self.attend(*self.cut(self.product(x)))
        return self.out(made.transpose(1, 2).reshape(x.shape[0], STEPS, WIDTH))


class OfTorch(nn.Module):
    """Steps, or ``samples_first``; ``across``: all steps ask the last three, with products of their own."""

    def __init__(self, *, samples_first: bool = True, across: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=samples_first)
        nn.init.normal_(self.attention.in_proj_bias)
        nn.init.normal_(self.attention.out_proj.bias)
        self.turned, self.first_asked = not samples_first, 2 if across else 0

    def forward(self, x: Any) -> Any:
        asked = x[:, self.first_asked :] if self.first_asked else x
        query = x.transpose(0, 1) if self.turned else x
        # One tensor, not two alike, is what the module has one product for.
        key = query if asked is x else asked
        made = self.attention(query, key, key, need_weights=False)[0]
        return made.transpose(0, 1) if self.turned else made


class Network(nn.Module):
    def __init__(self, *attentions: nn.Module) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(attentions)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Any) -> Any:
        for attention in self.attentions:
            x = torch.tanh(attention(x))
        return self.head(x.mean(dim=1))


def lifted(folder: Path, network: nn.Module, *, batch: int | None = None) -> LiftedModel:
    form = TensorForm(name="x", dtype="float32", shape=(batch, STEPS, WIDTH), sample_shape=(batch or 2, STEPS, WIDTH))
    interface = Interface(inputs=(form,), output_names=("y",), open_batch=batch is None)
    export_onnx(network.eval(), interface, folder / "m.onnx")
    return lift_checked(folder / "m.onnx")


_sdpa = functional.scaled_dot_product_attention
CASES: dict[str, tuple[Callable[[], nn.Module], int | None]] = {
    "unbound": (lambda: Fused(unbound, plain), None),
    "unbound-sdpa": (lambda: Fused(unbound, _sdpa), None),
    "unbound-one-sample": (lambda: Fused(unbound, _sdpa), 1),
    "unbound-bmm": (lambda: Fused(unbound, batched), None),
    "split": (lambda: Fused(split, plain), None),
    "split-sdpa": (lambda: Fused(split, _sdpa), None),
    "by-head": (lambda: Fused(by_head, plain), None),
    "interleaved": (lambda: Fused(interleaved, _sdpa), None),
    "torch": (OfTorch, None),
    "torch-steps-first": (lambda: OfTorch(samples_first=False), None),
    "torch-steps-first-one-sample": (lambda: OfTorch(samples_first=False), 1),
    "torch-across": (lambda: OfTorch(across=True), None),
}


@pytest.mark.parametrize(("attention", "batch"), CASES.values(), ids=CASES)
def test_heads_go_whichever_way_the_parts_of_a_product_are_moved(
    tmp_path: Path, attention: Callable[[], nn.Module], batch: int | None
) -> None:
    torch.manual_seed(0)
    whole = lifted(tmp_path, Network(attention()), batch=batch)
    apart, told = with_heads_apart(whole)
    assert told == "1 product of queries, keys and values taken apart, so that heads can go"
    assert counts_of_heads(apart) == [HEADS]
    assert parameter_count(apart) == parameter_count(whole)
    made, _ = narrowed(whole, 0.5)
    assert counts_of_heads(made) == [HEADS // 2]
    assert parameter_count(made) < 0.55 * parameter_count(whole)
    assert export_lifted(made, tmp_path / "pruned.onnx").difference < 1e-4


class Masked(Fused):
    """Which steps are looked at is said for each sample."""

    def forward(self, x: Any) -> Any:
        query, key, value = self.cut(self.product(x))
        hidden = (x[:, :, 0] > 1.0).float() * -1e4
        scores = query @ key.transpose(-2, -1) / SIZE**0.5 + hidden[:, None, None, :]
        made = torch.softmax(scores, dim=-1) @ value
        return self.out(made.transpose(1, 2).reshape(x.shape[0], STEPS, WIDTH))


def test_a_mask_stays_where_it_was(tmp_path: Path) -> None:
    whole = lifted(tmp_path, Network(Masked(split)))
    made, _ = narrowed(whole, 0.5)
    assert counts_of_heads(made) == [HEADS // 2]
    assert export_lifted(made, tmp_path / "pruned.onnx").difference < 1e-4


def test_layers_of_a_product_are_named_by_it_and_kept_with_it(tmp_path: Path) -> None:
    whole = lifted(tmp_path, Network(Fused(), Fused()))
    apart, _ = with_heads_apart(whole)
    linear = [name for name, layer in apart.module.named_children() if isinstance(layer, nn.Linear)]
    assert {name.rsplit("_", 1)[1] for name in linear[-6:]} == {"query", "key", "value"}
    (product,) = {apart.layers[name] for name in linear[-6:-3]}
    assert product in whole.layers.values()
    one = pruner(apart, scope="layer", keep=(product,))
    assert counts_of_heads(one.pruned(0.5, parameter_count).lifted) == [HEADS, HEADS // 2]


class Normalized(Fused):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(SIZE)

    def forward(self, x: Any) -> Any:
        query, key, value = self.cut(self.product(x))
        made = self.attend(self.norm(query), key, value)
        return self.out(made.transpose(1, 2).reshape(x.shape[0], STEPS, WIDTH))


class Rectified(Fused):
    def forward(self, x: Any) -> Any:
        query, key, value = self.cut(torch.relu(self.product(x)))
        return self.out(self.attend(query, key, value).transpose(1, 2).reshape(x.shape[0], STEPS, WIDTH))


class Watched(Fused):
    """The product is read beside the attention."""

    def forward(self, x: Any) -> Any:
        made = self.product(x)
        attended = self.attend(*self.cut(made)).transpose(1, 2).reshape(x.shape[0], STEPS, WIDTH)
        return self.out(attended) + made[:, :, :WIDTH]


class AlikeAsked(Fused):
    """Queries are the keys, out of weights that would be there twice."""

    def __init__(self) -> None:
        super().__init__()
        self.product = nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, x: Any) -> Any:
        parts = self.product(x).reshape(x.shape[0], STEPS, 2, HEADS, SIZE)
        key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        return self.out(self.attend(key, key, value).transpose(1, 2).reshape(x.shape[0], STEPS, WIDTH))


class Shared(Network):
    """Two attentions of one product's weights (as ALBERT's layers)."""

    def __init__(self) -> None:
        attention = Fused()
        super().__init__(attention, attention)


@pytest.mark.parametrize(
    "network",
    [
        lambda: Network(Normalized()),
        lambda: Network(Rectified()),
        lambda: Network(Watched()),
        lambda: Network(AlikeAsked()),
        Shared,
    ],
    ids=["normalized", "rectified", "watched", "alike-asked", "shared"],
)
def test_what_is_more_than_moved_stays_as_it_is(tmp_path: Path, network: Callable[[], nn.Module]) -> None:
    whole = lifted(tmp_path, network())
    assert with_heads_apart(whole) == (whole, "")


def test_a_model_without_attention_is_returned_itself(tmp_path: Path) -> None:
    whole = lifted(tmp_path, Network(nn.Linear(WIDTH, WIDTH)))
    assert with_heads_apart(whole) == (whole, "")


class OneSequence(Fused):
    """Steps are the first axis, of any size: what is read off an example as their count is none."""

    def forward(self, x: Any) -> Any:
        query, key, value = self.product(x).reshape(-1, 3, HEADS, SIZE).permute(1, 2, 0, 3).unbind(0)
        return self.out(self.attend(query, key, value).transpose(0, 1).reshape(-1, WIDTH))


class AcrossSamples(Fused):
    """Samples look at each other, step by step, behind a product over all of them below each other."""

    def forward(self, x: Any) -> Any:
        parts = self.product(x.reshape(-1, WIDTH)).reshape(-1, STEPS, 3, HEADS, SIZE)
        made = self.attend(*parts.permute(2, 1, 3, 0, 4).unbind(0))
        return self.out(made.permute(2, 0, 1, 3).reshape(-1, WIDTH)).reshape(-1, STEPS, WIDTH)


@pytest.mark.parametrize(
    ("attention", "shape"),
    [(OneSequence, (WIDTH,)), (AcrossSamples, (STEPS, WIDTH))],
    ids=["one-sequence", "across-samples"],
)
def test_steps_on_the_open_axis_have_no_count(
    tmp_path: Path, attention: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    network = nn.Sequential(nn.Linear(WIDTH, WIDTH), attention(), nn.Tanh(), nn.Linear(WIDTH, 3))
    form = TensorForm(name="x", dtype="float32", shape=(None, *shape), sample_shape=(2, *shape))
    export_onnx(network.eval(), Interface(inputs=(form,), output_names=("y",)), tmp_path / "m.onnx")
    whole = lift_checked(tmp_path / "m.onnx")
    assert with_heads_apart(whole) == (whole, "")


class Decided(Network):
    def forward(self, x: Any) -> Any:
        return super().forward(x) > 0


def test_heads_go_where_a_model_gives_yes_and_no(tmp_path: Path) -> None:
    apart, _ = with_heads_apart(lifted(tmp_path, Decided(Fused())))
    assert counts_of_heads(apart) == [HEADS]


class OfAnyLength(Fused):
    """Steps of any number; the scale is computed of sizes as the file runs: of ``scaled_by``, counted from the end."""

    def __init__(self, scaled_by: int = 1) -> None:
        super().__init__()
        self.scaled_by = scaled_by

    def forward(self, x: Any) -> Any:
        batch, steps, _ = x.shape
        query, key, value = self.product(x).reshape(batch, steps, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-2, -1) / query.shape[-self.scaled_by] ** 0.5
        made = torch.softmax(scores, dim=-1) @ value
        return self.out(made.transpose(1, 2).reshape(made.shape[0], -1, WIDTH))


def scripted(folder: Path, attention: nn.Module, *, open_axes: dict[int, str]) -> LiftedModel:
    """Export as older PyTorch does, with sizes that are read off values on the way."""
    path = folder / "m.onnx"
    network, sample = Network(attention).eval(), torch.randn(2, STEPS, WIDTH)
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": open_axes, "y": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (sample,), path, dynamo=False, opset_version=17, **names)
    return lift_checked(path)


@pytest.mark.parametrize(
    ("attention", "open_axes"),
    [
        (lambda: Fused(unbound, _sdpa), {0: "n"}),
        (lambda: Fused(split, plain), {0: "n"}),
        (lambda: OfTorch(samples_first=False), {0: "n"}),
        (OfAnyLength, {0: "n"}),
        (OfAnyLength, {0: "n", 1: "steps"}),
    ],
    ids=["unbound-sdpa", "split", "torch-steps-first", "computed-scale", "any-length"],
)
def test_heads_go_where_sizes_are_read_on_the_way(
    tmp_path: Path, attention: Callable[[], nn.Module], open_axes: dict[int, str]
) -> None:
    whole = scripted(tmp_path, attention(), open_axes=open_axes)
    made, _ = narrowed(whole, 0.5)
    assert counts_of_heads(made) == [HEADS // 2]
    assert export_lifted(made, tmp_path / "pruned.onnx").difference < 1e-4
    apart, _ = with_heads_apart(whole)
    sizes = (STEPS, 3, 11) if 1 in open_axes else (STEPS,)
    for given in (torch.randn(batch, steps, WIDTH) for batch in (1, 4) for steps in sizes):
        torch.testing.assert_close(apart.module(given), whole.module(given), rtol=1e-4, atol=1e-5)


def test_a_scale_of_an_open_size_is_no_number(tmp_path: Path) -> None:
    whole = scripted(tmp_path, OfAnyLength(scaled_by=2), open_axes={0: "n", 1: "steps"})
    assert with_heads_apart(whole) == (whole, "")
