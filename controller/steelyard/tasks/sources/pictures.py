"""Read picture files: turned as their EXIF data says, bounded in size, a broken one named."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz_source import free_memory_bytes
from steelyard.tasks.sources.geometry import Geometry, Placing

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


def pictures_below(folder: Path) -> list[Path]:
    """Return the picture files below a folder in the order of their names; links to folders are not followed.

    Raises:
        TaskError: data_not_found or empty_data.
    """
    if not folder.is_dir():
        raise TaskError("data_not_found", f"there is no folder {folder}; check the path")
    found = sorted(
        Path(base) / name
        for base, _, names in os.walk(folder, followlinks=False)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES
    )
    if not found:
        raise TaskError("empty_data", f"{folder} holds no picture ({', '.join(SUFFIXES)}); check the folder")
    return found


def read_pictures(paths: Sequence[Path], geometry: Geometry) -> tuple[NDArray[np.uint8], list[Placing]]:
    """Return pictures as uint8 [N, height, width, channels], and where each came to lie.

    Raises:
        TaskError: a picture that cannot be read, sizes that differ, or more pixels than there is memory for.
    """
    pixels: NDArray[np.uint8] | None = None
    placings: list[Placing] = []
    for index, path in enumerate(paths):
        one, placing = geometry.apply(_opened(path))
        if pixels is None:
            pixels = _room(len(paths), one, path)
        if one.shape != pixels.shape[1:]:
            raise TaskError(
                "shapes_differ",
                f"{path} is {_shape_text(one.shape)} and {paths[0].name} {_shape_text(pixels.shape[1:])}; give size, "
                "letterbox or crop in [source.geometry]",
            )
        pixels[index] = one
        placings.append(placing)
    if pixels is None:
        raise TaskError("empty_data", "no picture was named; add samples")
    return pixels, placings


def read_mask(path: Path, geometry: Geometry) -> NDArray[np.int64]:
    """Return a mask of class numbers as int64 [height, width].

    Raises:
        TaskError: a picture that cannot be read.
    """
    return geometry.apply_to_mask(_opened(path))


def _opened(path: Path) -> Image:
    import PIL.Image
    import PIL.ImageOps

    try:
        with warnings.catch_warnings():
            # A picture of a hundred million pixels is a mistake or an attack.
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(path) as image:
                turned = PIL.ImageOps.exif_transpose(image)
                turned.load()
                return turned
    except FileNotFoundError as error:
        raise TaskError("data_not_found", f"there is no picture {path}; check the path") from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise TaskError("picture_too_large", f"{path} has too many pixels ({error}); make it smaller first") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise TaskError(
            "picture_unreadable", f"{path} cannot be read as a picture ({error}); repair or remove it"
        ) from error


def _room(count: int, one: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    needed, free = count * one.nbytes, free_memory_bytes()
    if needed > free:
        raise TaskError(
            "data_too_large",
            f"{count} pictures like {path.name} take {needed} bytes and this machine has {free} bytes of memory free; "
            "take fewer, or make them smaller in [source.geometry]",
        )
    return np.empty((count, *one.shape), dtype=np.uint8)


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
