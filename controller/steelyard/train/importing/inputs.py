"""Example inputs as people type them: 1x3x224x224, tokens=1x128:int64."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard.train.errors import ImportModelError

DTYPES = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
_FORM = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<sizes>\d+(?:x\d+)*)(?::(?P<dtype>\w+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleInput:
    """The shape, the type and perhaps the name of an input of a program."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse a shape that holds nothing, and an unknown type."""
        if not self.shape or min(self.shape) < 1:
            raise ImportModelError("invalid_input", f"an input of {self.shape} holds nothing; give sizes of 1 or more")
        if self.dtype not in DTYPES:
            raise ImportModelError(
                "invalid_input", f"{self.dtype} is no type of an input; there are {', '.join(DTYPES)}"
            )


def parse_input(text: str) -> ExampleInput:
    """Return an input of [NAME=]SIZExSIZE...[:TYPE].

    Raises:
        ImportModelError: invalid_input.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ImportModelError(
            "invalid_input", f"{text!r} is no input; give its sizes as 1x3x224x224, or tokens=1x128:int64"
        )
    return ExampleInput(
        shape=tuple(int(size) for size in found["sizes"].split("x")),
        dtype=found["dtype"] or "float32",
        name=found["name"] or "",
    )
