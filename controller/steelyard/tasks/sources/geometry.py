"""What is done to a picture before a model sees it: declared, in this order: colour, size, letterbox or crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.spelling import meant
from steelyard.tasks.errors import TaskError

if TYPE_CHECKING:
    from PIL.Image import Image

_COLOURS = ("RGB", "BGR", "grey")
_RESAMPLING = ("nearest", "bilinear", "bicubic", "lanczos")
_MOST_SIDE = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Where a picture of ``width`` x ``height`` came to lie: scaled by (x, y), then moved by (x, y), in pixels."""

    scale: tuple[float, float]
    offset: tuple[float, float]
    size: tuple[int, int]  # width, height of the result

    def boxes(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes [M, 4] (x1, y1, x2, y2) of the stored picture in the result, cut off at its edges."""
        scale = np.array([*self.scale, *self.scale], dtype=np.float64)
        moved = boxes * scale + np.array([*self.offset, *self.offset], dtype=np.float64)
        width, height = self.size
        return np.clip(moved, 0.0, np.array([width, height, width, height], dtype=np.float64)).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Settings of ``[source.geometry]``.

    ``size`` [height, width] resizes exactly; ``short_side`` keeps the proportions; ``letterbox`` [height, width] keeps
    them and fills the rest with ``fill``; ``crop`` [height, width] cuts the centre out afterwards.
    """

    colour: str = "RGB"
    size: tuple[int, ...] = ()
    short_side: int = 0
    letterbox: tuple[int, ...] = ()
    crop: tuple[int, ...] = ()
    fill: int = 114
    resample: str = "bilinear"

    def __post_init__(self) -> None:
        """Refuse what cannot be done together, and sizes that no picture has."""
        for name, known in (("colour", _COLOURS), ("resample", _RESAMPLING)):
            if getattr(self, name) not in known:
                raise TaskError("invalid_setting", f"geometry.{name}: {meant(str(getattr(self, name)), known)}")
        for name in ("size", "letterbox", "crop"):
            _check_pair(name, getattr(self, name))
        _check_side("short_side", self.short_side, least=0)
        if sum(bool(one) for one in (self.size, self.short_side, self.letterbox)) > 1:
            raise TaskError("invalid_setting", "geometry: size, short_side and letterbox exclude each other; keep one")
        if isinstance(self.fill, bool) or not isinstance(self.fill, int) or not 0 <= self.fill <= 255:
            raise TaskError("invalid_setting", f"geometry.fill is {self.fill!r}; write a value from 0 to 255")

    def apply(self, image: Image) -> tuple[NDArray[np.uint8], Placing]:
        """Return a picture as uint8 [height, width, channels], and where it came to lie."""
        import PIL.Image

        way = PIL.Image.Resampling[self.resample.upper()]
        turned = image.convert("L" if self.colour == "grey" else "RGB")
        placed, placing = self._placed(turned, way)
        pixels = np.asarray(placed, dtype=np.uint8)
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        return np.ascontiguousarray(pixels[:, :, ::-1] if self.colour == "BGR" else pixels), placing

    def apply_to_mask(self, mask: Image) -> NDArray[np.int64]:
        """Return a mask of class numbers as int64 [height, width]: the same places, nearest neighbours, 255 around."""
        import PIL.Image

        flat = mask if mask.mode in {"L", "P", "I", "I;16"} else mask.convert("L")
        placed, _ = self._placed(flat, PIL.Image.Resampling.NEAREST, fill=255)
        return np.asarray(placed).astype(np.int64)

    def _placed(self, image: Image, way: Any, *, fill: int | None = None) -> tuple[Image, Placing]:
        import PIL.Image

        width, height = self._scaled(image.width, image.height)
        scale = (width / image.width, height / image.height)
        placed = image if (width, height) == image.size else image.resize((width, height), way)
        left = top = 0
        if self.letterbox:
            target = (self.letterbox[1], self.letterbox[0])
            colour: Any = self.fill if fill is None else fill
            canvas = PIL.Image.new(placed.mode, target, (colour,) * 3 if placed.mode == "RGB" else colour)
            left, top = (target[0] - width) // 2, (target[1] - height) // 2
            canvas.paste(placed, (left, top))
            placed = canvas
        if self.crop:
            crop_height, crop_width = self.crop
            cut_left, cut_top = round((placed.width - crop_width) / 2), round((placed.height - crop_height) / 2)
            placed = placed.crop((cut_left, cut_top, cut_left + crop_width, cut_top + crop_height))
            left, top = left - cut_left, top - cut_top
        return placed, Placing(scale=scale, offset=(float(left), float(top)), size=(placed.width, placed.height))

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        if self.size:
            return self.size[1], self.size[0]
        factor = 1.0
        if self.short_side:
            factor = self.short_side / min(width, height)
        elif self.letterbox:
            factor = min(self.letterbox[0] / height, self.letterbox[1] / width)
        return max(1, round(width * factor)), max(1, round(height * factor))


def _check_pair(name: str, pair: object) -> None:
    if not isinstance(pair, tuple) or len(pair) not in {0, 2}:
        raise TaskError("invalid_setting", f"geometry.{name} is {pair!r}; write [height, width]")
    for side in pair:
        _check_side(name, side, least=1)


def _check_side(name: str, side: object, *, least: int) -> None:
    if isinstance(side, bool) or not isinstance(side, int) or not least <= side <= _MOST_SIDE:
        raise TaskError("invalid_setting", f"geometry.{name} is {side!r}; write pixels, {_MOST_SIDE} at most")
