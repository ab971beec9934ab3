"""The layers and multiply-accumulates that another counter says: silabs-mltk's summaries (fixtures/operators)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "fixtures" / "operators"
SUMMARIES = ("image_classification", "visual_wake_words", "keyword_spotting")
_SHAPE = re.compile(r"([\dx]+) \((\w+)\)")
_SCALE = {"k": 1e3, "M": 1e6}


@dataclass(frozen=True)
class TrueLayer:
    """A row of a summary: the shapes of its inputs and of its output without their batch."""

    kind: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]

    @property
    def mac_count(self) -> int:
        """What the row multiplies: a kernel's taps for each element that it makes."""
        made = math.prod(self.output)
        if self.kind == "conv_2d":
            return made * math.prod(self.inputs[1])
        if self.kind == "depthwise_conv_2d":
            return made * math.prod(self.inputs[1][:2])
        return made * self.inputs[1][0] if self.kind == "fully_connected" else 0


def summary_text(name: str) -> str:
    return (FOLDER / f"{name}.tflite.summary.txt").read_text()


def true_layers(name: str) -> list[TrueLayer]:
    """The rows of a summary's table; further inputs of a layer stand in rows without a number."""
    rows: list[tuple[str, list, tuple[int, ...]]] = []
    for line in summary_text(name).splitlines():
        if not line.startswith("|") or "OpCode" in line:
            continue
        number, kind, given, made = (cell.strip() for cell in line.split("|")[1:5])
        if number:
            rows.append((kind, [], _shape(made)))
        rows[-1][1].append(_shape(given))
    return [TrueLayer(kind, tuple(inputs), output) for kind, inputs, output in rows]


def true_total(name: str) -> tuple[float, float]:
    """The total that the other counter says, and how far its rounding may be off."""
    number, unit = re.search(r"Total MACs: ([\d.]+) (\w)", summary_text(name)).groups()
    decimals = len(number.partition(".")[2])
    return float(number) * _SCALE[unit], 0.5 * _SCALE[unit] / 10**decimals


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in _SHAPE.fullmatch(text)[1].split("x"))
