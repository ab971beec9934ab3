"""Boxes as COCO's annotation files have them: pictures, categories, boxes as x, y, width, height."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import BOX_LABELS, BOX_SAMPLES, BOXES
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.geometry import Geometry, Placing
from steelyard.tasks.sources.pictures import read_pictures
from steelyard.tasks.task import ONLY_INPUT, Split

_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoFiles:
    """``annotations`` (COCO's JSON) and ``images``, the folder of the files that it names.

    Boxes go through the same geometry as their pictures; classes are numbered in the order of the category ids. Crowd
    regions are left out, and counted in ``drawn``.
    """

    kind: ClassVar[str] = "coco"

    annotations: str
    images: str = "."
    seed: int = 0
    evaluation_count: int = 0
    calibration_count: int = 0
    validation_count: int = 0
    training_count: int = 0
    geometry: Geometry = field(default_factory=Geometry)

    def read(self, folder: Path) -> SourceData:
        """Return the pictures with their boxes; see ``Source.read``."""
        path = folder / self.annotations
        content = _json(path)
        pictures = sorted(_rows(content, "images", path), key=lambda one: str(one.get("id")))
        categories = sorted(_rows(content, "categories", path), key=lambda one: int(one["id"]))
        numbers = {one["id"]: number for number, one in enumerate(categories)}
        boxes: dict[Any, list[tuple[list[float], int]]] = {}
        crowd_count = 0
        for one in _rows(content, "annotations", path):
            if one.get("iscrowd"):
                crowd_count += 1
                continue
            boxes.setdefault(one["image_id"], []).append(_box(one, numbers, path))
        draw = Draw.of(self)
        splits = {}
        for name, indexes in draw.indexes(len(pictures), path).items():
            chosen = [pictures[index] for index in indexes]
            files = [folder / self.images / str(one["file_name"]) for one in chosen]
            pixels, placings = read_pictures(files, self.geometry)
            truth = {} if name == "calibration" else _truth([boxes.get(one["id"], []) for one in chosen], placings)
            splits[name] = Split(inputs={ONLY_INPUT: pixels}, truth=truth)
        return SourceData(
            evaluation=splits["evaluation"],
            calibration=splits.get("calibration"),
            validation=splits.get("validation"),
            training=splits.get("training"),
            class_names=tuple(str(one.get("name", one["id"])) for one in categories),
            drawn={
                "kind": self.kind,
                "annotations": self.annotations,
                "crowd_regions_left_out": crowd_count,
                **draw.told(),
            },
        )


def _truth(boxes: list[list[tuple[list[float], int]]], placings: list[Placing]) -> dict[str, NDArray[Any]]:
    corners, labels, samples = [], [], []
    for sample, (found, placing) in enumerate(zip(boxes, placings, strict=True)):
        if not found:
            continue
        placed = placing.boxes(np.array([corner for corner, _ in found], dtype=np.float32))
        # A box that was cut off with the edge is nothing that could be found.
        kept = (placed[:, 2] > placed[:, 0]) & (placed[:, 3] > placed[:, 1])
        corners.append(placed[kept])
        labels += [label for (_, label), is_kept in zip(found, kept, strict=True) if is_kept]
        samples += [sample] * int(kept.sum())
    return {
        BOXES: np.concatenate(corners) if corners else np.empty((0, 4), np.float32),
        BOX_LABELS: np.array(labels, dtype=np.int64),
        BOX_SAMPLES: np.array(samples, dtype=np.int64),
    }


def _box(one: dict[str, Any], numbers: dict[Any, int], path: Path) -> tuple[list[float], int]:
    try:
        left, top, width, height = sizes = [float(value) for value in one["bbox"]]
        label = numbers[one["category_id"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TaskError(
            "invalid_annotation",
            f"{path}: annotation {one.get('id')!r} has no box of four numbers or no known category ({error})",
        ) from error
    if not all(map(math.isfinite, sizes)) or min(width, height) < 0:
        raise TaskError(
            "invalid_annotation", f"{path}: annotation {one.get('id')!r} has the box {sizes}; correct or remove it"
        )
    return [left, top, left + width, top + height], label


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TaskError("data_too_large", f"{path} has more than {_MOST_BYTES} bytes; take fewer annotations")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TaskError("data_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        raise TaskError("invalid_annotation", f"{path} is no JSON ({error}); get it again") from error
    if not isinstance(content, dict):
        raise TaskError(
            "invalid_annotation", f"{path} holds no object with images, annotations and categories; export it as COCO"
        )
    return content


def _rows(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    rows = content.get(key)
    wanted = {"images": ("id", "file_name"), "categories": ("id",), "annotations": ("image_id",)}[key]
    if not isinstance(rows, list) or not all(
        isinstance(one, dict) and all(name in one for name in wanted) for one in rows
    ):
        raise TaskError(
            "invalid_annotation", f"{path}: {key!r} is no list of objects with {', '.join(wanted)}; export it as COCO"
        )
    number = "image_id" if key == "annotations" else "id"
    odd = [one[number] for one in rows if not _is_id(one[number], key)]
    if odd:
        raise TaskError(
            "invalid_annotation", f"{path}: {key!r} has the {number} {str(odd[0])[:40]!r}, which is none; correct it"
        )
    return rows


def _is_id(value: object, key: str) -> bool:
    """Return whether something names a row: COCO's ids are integers, and some tools write them as texts."""
    if isinstance(value, str):
        return key != "categories" or (value.isdecimal() and len(value) < 10)
    return isinstance(value, int) and not isinstance(value, bool)
