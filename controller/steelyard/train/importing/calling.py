"""Call a program that takes arguments by name, or returns something else than tensors side by side."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree

from steelyard.train.errors import ImportModelError

_Part = tuple[tuple[str, ...], torch.Tensor]


class Called(torch.nn.Module):  # type: ignore[misc]
    """A program that takes tensors by position and returns a tuple of them.

    ``keywords``: for each input the argument that it is given as, "" by position. ``form``: how an ExportedProgram
    wants its ``inputs``, which may be nested, and constants where they are no names.
    """

    def __init__(
        self, program: Any, *, keywords: Sequence[str] = (), form: Any = None, inputs: Sequence[Any] = ()
    ) -> None:
        super().__init__()
        self.program = program
        self._keywords = tuple(keywords)
        self._form = form
        self._inputs = tuple(inputs)

    def forward(self, *values: Any) -> Any:
        """Return the tensors in what the program returns, in order."""
        if self._form is not None:
            left = iter(values)
            whole = [next(left) if isinstance(one, str) else one for one in self._inputs]
            positional, named = _pytree.tree_unflatten(whole, self._form)
            return self.program(*positional, **named)
        return tuple(tensor for _, tensor in _parts(called_by(self.program, self._keywords, values)))


def called_by(program: Any, keywords: Sequence[str], values: Sequence[Any]) -> Any:
    """Return what a program returns for values, each given by its keyword, "" by position."""
    pairs = list(zip(keywords, values, strict=True))
    return program(*(value for name, value in pairs if not name), **{name: value for name, value in pairs if name})


def is_plain(form: Any, inputs: Sequence[Any]) -> bool:
    """Return whether an ExportedProgram takes its inputs by position, none of them nested or a constant."""
    positional, named = _pytree.tree_unflatten(list(inputs), form)
    return not named and list(positional) == list(inputs) and all(isinstance(one, str) for one in inputs)


def is_flat(made: Any) -> bool:
    """Return whether a program returns a tensor, or a tuple of them."""
    listed = made if isinstance(made, tuple | list) else [made]
    return bool(listed) and all(isinstance(one, torch.Tensor) for one in listed)


def output_names(made: Any, taken: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each tensor that a program returns: by its keys and fields, else output, output_0, output_1.

    ``taken`` are names that no output may have.

    Raises:
        ImportModelError: unsupported_outputs: there is something else than tensors and None in it, or nothing.
    """
    parts = list(_parts(made))
    if not parts:
        raise ImportModelError(
            "unsupported_outputs", f"the program returns no tensor ({type(made).__name__}); return one from forward"
        )
    if len(parts) == 1 and all(one.isdigit() for one in parts[0][0]):
        return ("output",)
    names: list[str] = []
    for at, (path, _) in enumerate(parts):
        name = re.sub(r"\W", "_", "_".join(path)) if any(not one.isdigit() for one in path) else f"output_{at}"
        names.append(f"output_{at}_{name}" if name in names or name in taken else name)
    return tuple(names)


def _parts(made: Any, path: tuple[str, ...] = ()) -> Iterator[_Part]:
    """Yield the tensors with their places; None is left out, as of a loss that is not asked for."""
    if isinstance(made, torch.Tensor):
        yield path, made
    elif made is not None:
        for key, value in _inside(made, path):
            yield from _parts(value, (*path, str(key)))


def _inside(made: Any, path: tuple[str, ...]) -> list[tuple[Any, Any]]:
    if isinstance(made, Mapping):
        return list(made.items())
    if dataclasses.is_dataclass(made):
        return [(one.name, getattr(made, one.name)) for one in dataclasses.fields(made)]
    if isinstance(made, tuple | list):
        return list(zip(getattr(made, "_fields", range(len(made))), made, strict=True))
    where = f" in its output {'.'.join(path)}" if path else ""
    raise ImportModelError(
        "unsupported_outputs",
        f"the program returns a {type(made).__name__}{where}; return tensors, alone or in tuples, dicts or dataclasses",
    )
