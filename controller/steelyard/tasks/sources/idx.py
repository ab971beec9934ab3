"""IDX files, plain or gzipped, as MNIST and Fashion-MNIST come.

The format (https://yann.lecun.com/exdb/mnist): two zero bytes, a type, the number of dimensions, their sizes as 32-bit
big-endian numbers, the values.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS
from steelyard.tasks.npz_source import free_memory_bytes, refuse_special_file
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.splitting import drawn_data
from steelyard.tasks.task import ONLY_INPUT, Split

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxFiles:
    """``images`` and ``labels`` to evaluate on; all other splits are drawn from ``train_images``.

    Without ``train_images`` all splits are drawn, disjoint, from the one pair of files.
    """

    kind: ClassVar[str] = "idx"

    images: str
    labels: str
    train_images: str = ""
    train_labels: str = ""
    seed: int = 0
    evaluation_count: int = 0
    calibration_count: int = 0
    validation_count: int = 0
    training_count: int = 0

    def __post_init__(self) -> None:
        """Refuse images to train on without labels when validation samples are drawn from them."""
        if self.train_images and self.validation_count and not self.train_labels:
            raise TaskError("missing_key", "idx: validation_count needs train_labels; name the file")

    def read(self, folder: Path) -> SourceData:
        """Return the samples; see ``Source.read``."""
        images, labels = read_idx(folder / self.images), read_idx(folder / self.labels)
        if len(images) != len(labels):
            raise TaskError(
                "lengths_differ",
                f"{self.images} has {len(images)} samples and {self.labels} {len(labels)}; correct one",
            )
        told = {"kind": self.kind, "images": self.images, "train_images": self.train_images}
        own = Draw(
            seed=self.seed,
            evaluation=self.evaluation_count,
            calibration=0 if self.train_images else self.calibration_count,
            validation=0 if self.train_images else self.validation_count,
            training=0 if self.train_images else self.training_count,
        )
        data = drawn_data(images, {LABELS: labels.astype(np.int64)}, own, source=folder / self.images, told=told)
        if not self.train_images:
            return data
        training = self._from_training(folder)
        return SourceData(
            evaluation=data.evaluation,
            calibration=training.get("calibration"),
            validation=training.get("validation"),
            training=training.get("training"),
            drawn={
                **data.drawn,
                "calibration_count": self.calibration_count,
                "validation_count": self.validation_count,
                **({"training_count": self.training_count} if self.training_count else {}),
            },
        )

    def _from_training(self, folder: Path) -> dict[str, Split]:
        images = read_idx(folder / self.train_images)
        labels = read_idx(folder / self.train_labels).astype(np.int64) if self.train_labels else None
        draw = Draw(
            seed=self.seed,
            calibration=self.calibration_count,
            validation=self.validation_count,
            training=self.training_count,
        )
        taken = draw.indexes(len(images), folder / self.train_images, is_evaluated=False)
        splits: dict[str, Split] = {}
        for name in ("calibration", "validation", "training"):
            if name in taken:
                truth = {} if labels is None or name == "calibration" else {LABELS: labels[taken[name]]}
                splits[name] = Split(inputs={ONLY_INPUT: images[taken[name]]}, truth=truth)
        return splits


def read_idx(path: Path) -> NDArray[Any]:
    """Return the array of an IDX file, in the byte order of this machine.

    Raises:
        TaskError: a file that is missing, damaged, no IDX, or larger than the memory.
    """
    try:
        refuse_special_file(path)
        content = path.read_bytes()
        if content[:2] == _GZIP:
            content = _unzipped(content, path)
    except FileNotFoundError as error:
        raise TaskError("data_not_found", f"there is no file {path}; check the path") from error
    except (OSError, EOFError, zlib.error) as error:
        raise TaskError("invalid_idx", f"{path} cannot be read ({error}); get it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES or not 1 <= content[3] <= 8:
        raise TaskError(
            "invalid_idx", f"{path} is no IDX file, it begins with {content[:4].hex() or 'nothing'!r}; get it again"
        )
    head_bytes = 4 + 4 * content[3]
    if len(content) < head_bytes:
        raise TaskError("invalid_idx", f"{path} ends in its head; get it again")
    shape = struct.unpack(f">{content[3]}I", content[4:head_bytes])
    dtype = np.dtype(_TYPES[content[2]])
    wanted = dtype.itemsize
    for size in shape:
        wanted *= size
    if len(content) - head_bytes != wanted:
        raise TaskError(
            "invalid_idx",
            f"{path} holds {len(content) - head_bytes} bytes of values and its head says {wanted}; get it again",
        )
    array = np.frombuffer(content, dtype=dtype, offset=head_bytes).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _unzipped(content: bytes, path: Path) -> bytes:
    limit = free_memory_bytes()
    with gzip.open(path) as file:
        unpacked = file.read(limit + 1)
    if len(unpacked) > limit:
        raise TaskError("data_too_large", f"{path} unpacks to more than the {limit} bytes of memory that are free")
    return unpacked
