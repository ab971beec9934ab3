"""Run a program once before it is traced: whether it takes the inputs, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ImportModelError
from steelyard.train.export.example import FEW, Interface, as_arguments, example_feed
from steelyard.train.export.onnx_program import TOLERANCE
from steelyard.train.export.program import at_line
from steelyard.train.importing.arguments import Given
from steelyard.train.importing.calling import Called, called_by, is_flat, output_names
from steelyard.train.lift.lifted import TensorForm
from steelyard.train.parity import largest_difference, module_outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a program takes and gives by position, and by which names it is called for that ("" by position)."""

    interface: Interface
    keywords: tuple[str, ...]
    is_plain: bool

    def called(self, module: Any) -> Any:
        """Return the program as a module that takes tensors by position and returns a tensor or a tuple of them."""
        return module if self.is_plain else Called(module, keywords=self.keywords)


def tried(module: Any, given: Sequence[Given], *, open_batch: bool) -> Trial:
    """Run a program on drawn inputs.

    Raises:
        ImportModelError: batches_differ; does_not_run, naming the line; unsupported_outputs; outputs_vary.
    """
    inputs = tuple(_form(one, open_batch=open_batch) for one in given)
    _refuse_other_batches(inputs, open_batch=open_batch)
    keywords = tuple(one.keyword for one in given)
    alone = Interface(inputs=inputs, output_names=("output",), open_batch=open_batch)
    try:
        made = _made(module, keywords, alone)
    except ImportModelError as error:
        if not isinstance(error.__cause__, IndexError):
            raise
        inputs = tuple(replace(one, below=FEW) for one in inputs)
        made = _made(module, keywords, replace(alone, inputs=inputs))
    names = output_names(made, alone.input_names)
    trial = Trial(
        interface=Interface(inputs=inputs, output_names=names, open_batch=open_batch),
        keywords=keywords,
        is_plain=not any(keywords) and is_flat(made),
    )
    _refuse_chance(trial.called(module), trial.interface)
    return trial


def _form(one: Given, *, open_batch: bool) -> TensorForm:
    sizes = one.example.shape
    # torch takes a size of 1 for one that stays so.
    sample = (max(2, sizes[0]), *sizes[1:]) if open_batch else sizes
    shape: tuple[int | str | None, ...] = (None, *sizes[1:]) if open_batch else sizes
    return TensorForm(name=one.name, dtype=one.example.dtype, shape=shape, sample_shape=sample)


def _refuse_other_batches(inputs: Sequence[TensorForm], *, open_batch: bool) -> None:
    if open_batch and len({one.sample_shape[0] for one in inputs}) > 1:
        told = ", ".join(f"{one.name} {one.sample_shape[0]}" for one in inputs)
        raise ImportModelError(
            "batches_differ",
            f"the first size of every input is the batch, and these have several ({told}); give each the same, or add "
            "--fixed-batch where one has no batch",
        )


def _made(module: Any, keywords: Sequence[str], interface: Interface) -> Any:
    import torch

    values = as_arguments(interface, example_feed(interface))
    try:
        with torch.no_grad():
            return called_by(module, keywords, values)
    except Exception as error:
        shapes = ", ".join("x".join(map(str, one.sample_shape)) for one in interface.inputs)
        raise ImportModelError(
            "does_not_run",
            f"the program does not run with inputs of {shapes}{at_line(error)} "
            f"({type(error).__name__}: {first_line(error)}); {_next_step(module, interface)}",
        ) from error


def _next_step(module: Any, interface: Interface) -> str:
    own = next((str(one.dtype).removeprefix("torch.") for one in module.parameters() if one.is_floating_point()), "")
    other = next(
        (one for one in interface.inputs if one.dtype.startswith("float") and own not in ("", one.dtype)), None
    )
    if other is None:
        return "give the sizes and types that it takes (--input ids=1x128:int64), or --fixed-batch"
    sizes = "x".join(str(size or 1) for size in other.shape)
    # onnxruntime has hardly any layer in float64.
    typed = f", or give --input {other.name}={sizes}:{own}" if own == "float16" else ""
    return f"its weights are {own}: have the factory return module.float(){typed}"


def _refuse_chance(module: Any, interface: Interface) -> None:
    feed = example_feed(interface)
    first, again = (
        module_outputs(module, feed, inputs=interface.input_names, outputs=interface.output_names) for _ in range(2)
    )
    if largest_difference(again, first) > TOLERANCE:
        raise ImportModelError(
            "outputs_vary",
            "the program gives other outputs when it is run again with the same inputs; take what is drawn or "
            "remembered out of its forward",
        )
