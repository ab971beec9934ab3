"""Build the traced graph of a lifted module, step by step, with a sample of every value at hand."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from steelyard.train.lift.ops import size_functions
from steelyard.train.lift.values import Made, Sizes, Stored, Value, is_weight

_NO_NAME = re.compile(r"[^0-9a-zA-Z_]+")
# torch's exporter (2.13) calls values val_0, val_1 and fails where a weight is called so, as in a file that it wrote.
_EXPORTERS_OWN = re.compile(r"^(?=val_\d+$)")


class Builder:
    """Adds calls, modules and stored tensors to a graph under one root.

    Every value carries what it is on sample inputs: ranks, types and sizes are looked at, never inferred. ``batch`` is
    the batch of the samples where the file fixes another one (``fixed_batch``), else None.
    """

    def __init__(self, *, fixed_batch: int | None, batch: int, has_open_sizes: bool) -> None:
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.fixed_batch = fixed_batch
        self.batch = batch
        self.has_open_sizes = has_open_sizes
        self.layers: dict[str, str] = {}
        self._weights: dict[str, nn.Parameter] = {}
        self._reference: Made | None = None

    def placeholder(self, name: str, sample: torch.Tensor) -> Made:
        """Add an input."""
        made = Made(node=self.graph.placeholder(_NO_NAME.sub("_", name)), sample=sample)
        self._reference = self._reference or made
        return made

    def reference(self) -> Made:
        """Return the first input: new tensors are made on its device."""
        assert self._reference is not None
        return self._reference

    def constant(self, tensor: torch.Tensor) -> Stored:
        """Return a tensor of the lifter's own as a stored one."""
        return Stored(tensor=tensor, key="")

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Value:
        """Add a call; where all it is given is known, it is made now and its result is stored."""
        sample = _with_sample(function, args, kwargs)
        if not _is_computed((args, kwargs)):
            return Stored(tensor=torch.as_tensor(sample), key="")
        node = self.graph.call_function(function, self._traced(args), self._traced(kwargs))
        return _value(node, sample)

    def call_many(self, function: Callable[..., Any], count: int, *args: Any, **kwargs: Any) -> list[Value]:
        """Add a call that returns ``count`` tensors."""
        samples = _with_sample(function, args, kwargs)
        if not _is_computed((args, kwargs)):
            return [Stored(tensor=sample, key="") for sample in samples[:count]]
        node = self.graph.call_function(function, self._traced(args), self._traced(kwargs))
        return self._unpacked(node, samples, count)

    def module(self, module: nn.Module, name: str, *args: Value | None) -> Value:
        """Add a layer under ``name`` (the ONNX node's) and call it."""
        sample, node = self._called(module, name, args)
        return Made(node=node, sample=sample)

    def module_many(self, module: nn.Module, name: str, count: int, *args: Value | None) -> list[Value]:
        """Add a layer that returns ``count`` tensors."""
        samples, node = self._called(module, name, args)
        return self._unpacked(node, samples, count)

    def weight(self, key: str, tensor: torch.Tensor) -> nn.Parameter:
        """Return a trainable copy; the same key gives the same parameter, as tied matrices are.

        Vectors are never tied: exporters store equal ones once (all zeros, all ones), and they learn different things.
        """
        if not key or tensor.dim() < 2:
            return nn.Parameter(tensor.detach().clone())
        if key not in self._weights:
            self._weights[key] = nn.Parameter(tensor.detach().clone())
        return self._weights[key]

    def output(self, values: list[Value]) -> None:
        """End the graph."""
        nodes = tuple(self._traced(self.as_tensor(value)) for value in values)
        self.graph.output(nodes[0] if len(nodes) == 1 else nodes)

    def as_tensor(self, value: Value) -> Made | Stored:
        """Return a value that is a tensor: sizes become one."""
        if not isinstance(value, Sizes):
            return value
        sample = size_functions.as_tensor(value.sample, torch.empty(0))
        node = self.graph.call_function(size_functions.as_tensor, (value.node, self.reference().node))
        return Made(node=node, sample=sample)

    def _called(self, module: nn.Module, name: str, args: tuple[Value | None, ...]) -> tuple[Any, fx.Node]:
        module.eval()
        with torch.no_grad():
            sample = module(*(None if arg is None else arg.sample for arg in args))
        child = self._free_name(name)
        self.root.add_module(child, module)
        self.layers[child] = name
        return sample, self.graph.call_module(child, tuple(self._traced(arg) for arg in args))

    def _unpacked(self, node: fx.Node, samples: Any, count: int) -> list[Value]:
        return [
            Made(node=self.graph.call_function(operator.getitem, (node, at)), sample=samples[at]) for at in range(count)
        ]

    def _traced(self, given: Any) -> Any:
        """Return what the graph is given in place of values."""
        if isinstance(given, Made | Sizes):
            return given.node
        if isinstance(given, Stored):
            return self._kept(given)
        if isinstance(given, list | tuple):
            return type(given)(self._traced(one) for one in given)
        if isinstance(given, dict):
            return {key: self._traced(one) for key, one in given.items()}
        return given

    def _kept(self, stored: Stored) -> fx.Node:
        """Register a stored tensor: a parameter where it is a weight, a buffer elsewhere."""
        name = self._free_name(_EXPORTERS_OWN.sub("stored_", stored.key) or "constant")
        if is_weight(stored.tensor):
            self.root.register_parameter(name, self.weight(stored.key, stored.tensor))
        else:
            self.root.register_buffer(name, stored.tensor.detach().clone())
        return self.graph.get_attr(name)

    def _free_name(self, name: str) -> str:
        base = _NO_NAME.sub("_", name).strip("_") or "layer"
        base = f"n{base}" if base[0].isdigit() else base
        candidate, count = base, 1
        while hasattr(self.root, candidate):
            count += 1
            candidate = f"{base}_{count}"
        return candidate


def _with_sample(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with torch.no_grad():
        return function(*_sampled(args), **_sampled(kwargs))


def _sampled(given: Any) -> Any:
    if isinstance(given, Stored | Made | Sizes):
        return given.sample
    if isinstance(given, list | tuple):
        return type(given)(_sampled(one) for one in given)
    if isinstance(given, dict):
        return {key: _sampled(one) for key, one in given.items()}
    return given


def _is_computed(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return any(_is_computed(one) for one in given)
    if isinstance(given, dict):
        return any(_is_computed(one) for one in given.values())
    return isinstance(given, Made | Sizes)


def _value(node: fx.Node, sample: Any) -> Value:
    return Made(node=node, sample=sample) if isinstance(sample, torch.Tensor) else Sizes(node=node, sample=sample)
