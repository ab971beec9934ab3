"""LSTM, GRU and RNN, where torch's layers compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.values import Made, Stored, Value

# The gates of torch (LSTM: in, forget, cell, out; GRU: reset, update, new) in the order of ONNX (iofc; zrh).
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_LAYERS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
_ACTIVATIONS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
_LENGTHS, _FIRST_STATE, _FIRST_CELL, _PEEPHOLES = 4, 5, 6, 7


class Recurrent(nn.Module):  # type: ignore[misc]
    """A recurrent layer as ONNX has it: ``layer`` is torch's.

    Takes [T,B,IN] and first states [D,B,HIDDEN] or None; returns all outputs [T,D,B,HIDDEN] and last states
    [D,B,HIDDEN] (D directions). ``backwards`` reads from the last step to the first.
    """

    def __init__(self, layer: Any, *, backwards: bool) -> None:
        super().__init__()
        self.layer = layer
        self.backwards = backwards

    def forward(self, values: Any, state: Any = None, cell: Any = None) -> Any:
        """Return all outputs, the last state, and of an LSTM the last cell."""
        values = values.flip(0) if self.backwards else values
        first = self._first(values, state, cell)
        made, last = self.layer(values, first)
        made = made.flip(0) if self.backwards else made
        directions = 2 if self.layer.bidirectional else 1
        made = made.reshape(made.shape[0], made.shape[1], directions, -1).permute(0, 2, 1, 3)
        return (made, *last) if isinstance(last, tuple) else (made, last)

    def _first(self, values: Any, state: Any, cell: Any) -> Any:
        if state is None and cell is None:
            return None
        if isinstance(self.layer, nn.LSTM):
            given = state if state is not None else cell
            zeros = torch.zeros_like(given)
            return (_for_batch(state, values, zeros), _for_batch(cell, values, zeros))
        return _for_batch(state, values, state)


def _for_batch(state: Any, values: Any, zeros: Any) -> Any:
    state = zeros if state is None else state
    return state.expand(-1, values.shape[1], -1) if state.shape[1] == 1 else state


def _recurrent(call: Call) -> list[Value]:
    kind = call.operation.op_type
    _refuse_other_forms(call, kind)
    weights, again = call.stored(1), call.stored(2)
    directions, hidden = weights.shape[0], again.shape[2]
    has_bias = call.has(3)
    layer = _LAYERS[kind](weights.shape[2], hidden, bias=has_bias, bidirectional=directions == 2, dtype=weights.dtype)
    order = _GATES[kind]
    for at, ending in enumerate(("", "_reverse")[:directions]):
        _set(layer, f"weight_ih_l0{ending}", _torch_gates(weights[at], order))
        _set(layer, f"weight_hh_l0{ending}", _torch_gates(again[at], order))
        if has_bias:
            given, recurrent = call.stored(3)[at].chunk(2)
            _set(layer, f"bias_ih_l0{ending}", _torch_gates(given, order))
            _set(layer, f"bias_hh_l0{ending}", _torch_gates(recurrent, order))
    return _called(call, Recurrent(layer, backwards=call.attribute("direction", "forward") == "reverse"), kind)


def _set(layer: Any, name: str, values: torch.Tensor) -> None:
    setattr(layer, name, nn.Parameter(values.detach().clone()))


def _torch_gates(values: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """Return blocks of gates [GATES * HIDDEN, ...] in torch's order; ``order`` gives the place in ONNX's of each."""
    blocks = values.chunk(len(order))
    return torch.cat([blocks[at] for at in order])


def _called(call: Call, module: Recurrent, kind: str) -> list[Value]:
    batch_first = bool(call.attribute("layout", 0))
    values: Value = call.tensor(0)
    values = call.call(torch.transpose, values, 0, 1) if batch_first else values
    states = [
        _state(call, at, batch_first) for at in ((_FIRST_STATE, _FIRST_CELL) if kind == "LSTM" else (_FIRST_STATE,))
    ]
    count = 3 if kind == "LSTM" else 2
    made = call.build.module_many(module, call.name, count, values, *states)
    if not batch_first:
        return made
    # [T,D,B,H] -> [B,T,D,H], and states [D,B,H] -> [B,D,H].
    return [
        call.call(torch.permute, made[0], [2, 0, 1, 3]),
        *(call.call(torch.transpose, one, 0, 1) for one in made[1:]),
    ]


def _state(call: Call, at: int, batch_first: bool) -> Value | None:
    """Return a first state; stored zeros are none, and the batch that the file stores them for does not matter."""
    if not call.has(at):
        return None
    given = call.tensor(at)
    if isinstance(given, Stored) and not bool(given.tensor.any()):
        return None
    return call.call(torch.transpose, given, 0, 1) if batch_first else given


def _refuse_other_forms(call: Call, kind: str) -> None:
    names = [str(one).lower() for one in call.attribute("activations", [])]
    wanted = _ACTIVATIONS[kind]
    if names and names != wanted * (len(names) // len(wanted)):
        call.refuse(f"has the activations {', '.join(names)}, which torch's layer has not")
    if call.attribute("clip") is not None or call.attribute("input_forget", 0) or call.has(_PEEPHOLES):
        call.refuse("clips, couples its gates or has peepholes, which torch's layer does not")
    if kind == "GRU" and not call.attribute("linear_before_reset", 0):
        call.refuse("resets before its matrix product (linear_before_reset=0), which torch's layer does not")
    if call.has(_LENGTHS) and not _are_full(call):
        call.refuse("has a length of its own for each sequence")


def _are_full(call: Call) -> bool:
    steps = call.sample(0).shape[1 if call.attribute("layout", 0) else 0]
    given = call.tensor(_LENGTHS)
    return not isinstance(given, Made) and bool((given.sample == steps).all())


RULES: dict[str, Rule] = dict.fromkeys(_LAYERS, _recurrent)
