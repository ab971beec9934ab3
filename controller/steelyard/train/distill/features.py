"""What layers give while a model runs, and which layers of two models belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steelyard.compress.settings import AUTO
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.trainable import TrainableModel

if TYPE_CHECKING:
    from torch import Tensor, nn

# Student's layer, teacher's layer.
Pair = tuple[str, str]


@contextmanager
def recorded(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yield a mapping that is filled with what the named layers give while the module runs.

    Maps are [B, C, H, W], those of one axis [B, C, T, 1]; sequences [B, T, C] and vectors [B, C].
    """
    given: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(layer: Any, _inputs: Any, output: Any) -> None:
            if hasattr(output, "shape"):
                given[name] = output.unsqueeze(-1) if output.dim() == 3 and _is_by_channel(layer) else output

        return hook

    handles = [module.get_submodule(name).register_forward_hook(keep(name)) for name in dict.fromkeys(names)]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()


def _is_by_channel(layer: Any) -> bool:
    """Return whether what a layer gives has its channels behind the batch, and not at the end."""
    from torch.nn.modules import batchnorm, conv, instancenorm, normalization

    kinds = (conv._ConvNd, batchnorm._BatchNorm, instancenorm._InstanceNorm, normalization.GroupNorm)  # noqa: SLF001
    return isinstance(layer, kinds)


def layers_of(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers without parts of their own, in their order."""
    return tuple(name for name, one in module.named_modules() if name and not list(one.children()))


def pairs_of(
    wanted: Sequence[str], student: TrainableModel, teacher: TrainableModel, inputs: Mapping[str, Tensor]
) -> tuple[Pair, ...]:
    """Return the pairs that "LAYER" and "STUDENTS:TEACHERS" name, or for "auto" those of the same size.

    Raises:
        TrainingInputError: unknown_layer: one of them has no such layer; no_pairs: "auto" finds none.
    """
    if tuple(wanted) == (AUTO,):
        return _pairs_by_size(_sites(student, inputs), _sites(teacher, inputs))
    found = []
    for text in wanted:
        own, _, other = text.partition(":")
        pair = (own, other or own)
        for whose, name, module in (("student", pair[0], student.module), ("teacher", pair[1], teacher.module)):
            if name not in layers_of(module):
                raise TrainingInputError(
                    "unknown_layer",
                    f"the {whose} has no layer {name!r}; its layers are {', '.join(layers_of(module)[:12])} and so on",
                )
        found.append(pair)
    return tuple(found)


def _sites(model: TrainableModel, inputs: Mapping[str, Tensor]) -> list[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Return layers that give maps or sequences, each with what it is and its sizes beside batch and width."""
    import torch

    layers = layers_of(model.module)
    with torch.no_grad(), recorded(model.module, layers) as given:
        model.run(inputs)
    sites = []
    for name in layers:
        rank = given[name].dim() if name in given else 0
        if rank >= 4:
            sites.append((name, ("map", tuple(given[name].shape[2:]))))
        elif rank == 3 and isinstance(model.module.get_submodule(name), torch.nn.LayerNorm):
            sites.append((name, ("sequence", tuple(given[name].shape[1:2]))))
    return sites


def _pairs_by_size(
    own: Sequence[tuple[str, tuple[str, tuple[int, ...]]]], others: Sequence[tuple[str, tuple[str, tuple[int, ...]]]]
) -> tuple[Pair, ...]:
    """Pair the last layers that give maps of a size; sequences keep their size, and are paired by depth."""
    pairs: list[Pair] = []
    for form in dict.fromkeys(form for _, form in own):
        mine = [name for name, one in own if one == form]
        theirs = [name for name, one in others if one == form]
        if not theirs:
            continue
        if form[0] == "map":
            pairs.append((mine[-1], theirs[-1]))
            continue
        for place, name in enumerate(mine):
            pairs.append((name, theirs[max(0, round((place + 1) * len(theirs) / len(mine)) - 1)]))
    if not pairs:
        raise TrainingInputError(
            "no_pairs",
            "no layers of student and teacher give maps or sequences of the same size; name pairs: "
            '["STUDENTS:TEACHERS"]',
        )
    return tuple(pairs)
