"""Sizes for the dimensions that a model leaves open, and whether arrays fit a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

Shapes = dict[str, tuple[int, ...]]


def resolve_shapes(inputs: Sequence[TensorSpec], given: Mapping[str, tuple[int, ...]], batch_size: int) -> Shapes:
    """Return a size for every dimension of every input, by input name.

    A size that is given for one input also counts for the same named dimension of another. An open first dimension is
    the batch, and so is its name elsewhere; any other open dimension needs a size.

    Raises:
        BlockFailure: USER_ERROR, naming the input, the dimension and the flag.
    """
    sizes = dict.fromkeys(batch_names(inputs), batch_size) | _named_sizes(inputs, given)
    return {spec.name: _resolve(spec, given.get(spec.name), sizes, batch_size) for spec in inputs}


def batch_names(inputs: Sequence[TensorSpec]) -> set[str]:
    """Return the names of open first dimensions: recurrent layers have the batch second, behind their layers."""
    return {spec.shape[0] for spec in inputs if spec.shape and isinstance(spec.shape[0], str)} - {""}


def check_feeds(inputs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> None:
    """Refuse arrays whose names, dtypes or shapes do not fit the model.

    Raises:
        BlockFailure: USER_ERROR, naming the input, what came and what the model takes.
    """
    names = [spec.name for spec in inputs]
    if missing := sorted(set(names) - set(feeds)):
        raise _user_error("input_missing", f"no data for input {missing[0]!r}; the model takes {_listed(names)}")
    if unknown := sorted(set(feeds) - set(names)):
        raise _user_error("input_unknown", f"the model has no input {unknown[0]!r}; it takes {_listed(names)}")
    for spec in inputs:
        feed = feeds[spec.name]
        if feed.dtype.name != spec.dtype:
            raise _user_error(
                "wrong_dtype",
                f"input {spec.name!r} takes {spec.dtype}, the data is {feed.dtype.name}; convert the data",
            )
        if not _fits(spec.shape, feed.shape):
            raise _user_error(
                "wrong_shape",
                f"input {spec.name!r} takes shape {shape_text(spec.shape)}, the data has {shape_text(feed.shape)}",
            )


def fixed_batch(inputs: Sequence[TensorSpec]) -> int | None:
    """Return the size of the first dimension where the model fixes it, None where it is open.

    Raises:
        BlockFailure: USER_ERROR when two inputs fix it differently.
    """
    fixed = {size for spec in inputs for size in spec.shape[:1] if isinstance(size, int)}
    if len(fixed) > 1:
        raise _user_error(
            "no_batch", f"the inputs fix different first dimensions ({_listed(sorted(fixed))}): no batch can be made"
        )
    return fixed.pop() if fixed else None


def holds_whole_inferences(ranks: Mapping[str, int], inputs: Sequence[TensorSpec]) -> bool:
    """Return whether data has one axis more than the model's inputs: each sample is then all that one inference takes.

    Inputs without a batch (a scalar, a state that begins with its layers) can be fed no other way.

    Args:
        ranks: of the array of each input, how many axes it has.
        inputs: of the model; data of one input is for a model's only input, whatever its name.
    """
    wanted = {spec.name: len(spec.shape) for spec in inputs}
    if len(ranks) == len(wanted) == 1:
        wanted = dict.fromkeys(ranks, *wanted.values())
    return bool(ranks) and all(rank == wanted.get(name, -1) + 1 for name, rank in ranks.items())


def shape_text(shape: Sequence[int | str]) -> str:
    """Return a shape for people: "1x3xheightxwidth", "?" for a dimension without a name, "()" for a scalar."""
    return "x".join(str(size) if size != "" else "?" for size in shape) or "()"


def _named_sizes(inputs: Sequence[TensorSpec], given: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    specs = {spec.name: spec for spec in inputs}
    sizes: dict[str, int] = {}
    for name, shape in given.items():
        if name not in specs:
            raise _user_error(
                "input_unknown", f"--shape names the input {name!r}, the model takes {_listed(list(specs))}"
            )
        if not _fits(specs[name].shape, shape):
            raise _user_error(
                "wrong_shape",
                f"--shape {name}={shape_text(shape)} does not fit the model's {shape_text(specs[name].shape)}",
            )
        sizes |= {str(symbol): size for symbol, size in zip(specs[name].shape, shape, strict=True) if symbol != ""}
    return sizes


def _resolve(
    spec: TensorSpec, given: tuple[int, ...] | None, sizes: Mapping[str, int], batch_size: int
) -> tuple[int, ...]:
    if given is not None:
        return given
    resolved = []
    for index, size in enumerate(spec.shape):
        if isinstance(size, int):
            resolved.append(size)
        elif size in sizes:
            resolved.append(sizes[size])
        elif index == 0:
            resolved.append(batch_size)
        else:
            label = f"dimension {index} ({size!r})" if size else f"dimension {index}"
            raise _user_error(
                "dynamic_shape",
                f"input {spec.name!r} has shape {shape_text(spec.shape)} and no size for {label}; "
                f"give one like --shape {spec.name}={_example(spec.shape)}",
            )
    return tuple(resolved)


def _example(shape: Sequence[int | str]) -> str:
    sizes = [size if isinstance(size, int) else 224 if len(shape) == 4 else 128 for size in shape]
    if shape and not isinstance(shape[0], int):
        sizes[0] = 1
    return "x".join(str(size) for size in sizes)


def _fits(spec: Sequence[int | str], shape: Sequence[int]) -> bool:
    return len(spec) == len(shape) and all(
        wanted == size for wanted, size in zip(spec, shape, strict=True) if isinstance(wanted, int)
    )


def _listed(names: Sequence[object]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def _user_error(reason: str, message: str) -> BlockFailure:
    return BlockFailure(BlockStatus.USER_ERROR, reason, message)
