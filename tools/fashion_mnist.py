"""Read Fashion-MNIST from IDX files and draw the labelled subset that ships with the demo."""

from __future__ import annotations

import gzip
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

DEFAULT_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts its four gz files."""

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PIXEL_MEAN = 0.2860
PIXEL_STD = 0.3530

_UINT8_TYPE_CODE = 0x08  # the third byte of an IDX header, from the MNIST file description

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """Images uint8 [N,28,28] with their class numbers uint8 [N]."""

    images: UInt8Array
    labels: UInt8Array

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        if self.images.shape != (len(self.labels), 28, 28):
            raise ValueError(f"{len(self.labels)} labels do not fit images of shape {self.images.shape}.")

    def take(self, indices: npt.NDArray[np.int64]) -> LabelledImages:
        """Return the images at `indices`, in that order."""
        return LabelledImages(images=self.images[indices], labels=self.labels[indices])


def load_split(folder: Path, split: str) -> LabelledImages:
    """Load the split `train` (60,000) or `t10k` (10,000)."""
    return LabelledImages(
        images=_read_idx(folder / f"{split}-images-idx3-ubyte.gz"),
        labels=_read_idx(folder / f"{split}-labels-idx1-ubyte.gz"),
    )


def balanced_sample(source: LabelledImages, per_class: int, *, seed: int, excluding: UInt8Array) -> LabelledImages:
    """Draw `per_class` images of every class, none equal in content to one of `excluding`, none twice.

    The classes follow each other in turn, so that any leading multiple of ten images is balanced too.
    """
    used = image_digests(excluding)
    random = np.random.default_rng(seed)
    columns: list[list[int]] = []
    for label in range(len(CLASS_NAMES)):
        column: list[int] = []
        for index in random.permutation(np.flatnonzero(source.labels == label)):
            digest = _digest(source.images[index])
            if digest not in used:
                used.add(digest)
                column.append(int(index))
            if len(column) == per_class:
                break
        else:
            raise ValueError(f"Class {label} has only {len(column)} usable images, {per_class} were asked for.")
        columns.append(column)
    return source.take(np.array(columns, dtype=np.int64).T.reshape(-1))


def image_digests(images: UInt8Array) -> set[bytes]:
    """Return the set of content digests of `images`, to compare two sets of images by content."""
    return {_digest(image) for image in images}


def normalise(images: UInt8Array) -> npt.NDArray[np.float32]:
    """Turn uint8 [N,28,28] into the models' input, float32 [N,1,28,28]."""
    scaled = images.astype(np.float32)[:, None] / np.float32(255.0)
    return (scaled - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_STD)


def _digest(image: UInt8Array) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


def _read_idx(path: Path) -> UInt8Array:
    content = gzip.decompress(path.read_bytes())
    _, _, type_code, dimensions = struct.unpack_from(">BBBB", content)
    if type_code != _UINT8_TYPE_CODE:
        raise ValueError(f"{path} holds IDX type {type_code:#x}, expected unsigned bytes.")
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
