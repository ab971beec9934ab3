"""How a detector's outputs are read: the settings of a detection metric."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.detection.anchors import anchor_count, anchor_shapes
from steelyard.tasks.metrics.detection.boxes import BOX_FORMS, CENTRE_FORMS
from steelyard.tasks.metrics.settings import (
    require_boolean,
    require_choice,
    require_number,
    require_positive_numbers,
    require_positive_whole_numbers,
    require_text,
    require_texts,
    require_whole,
)

AUTO = "auto"
_SCORE_FORMS = ("probabilities", "logits", "softmax")
_SIZE_CODINGS = ("exp", "linear")
_MOST_CLASSES = 100_000
_MOST_BOXES = 1000
_MOST_ANCHORS = 1_000_000
_NONE = -1
# Which settings only some ways to decode read; all others are read by each.
_USED_BY = {
    "output": ("yolo",),
    "objectness": ("yolo",),
    "boxes": ("anchors", "boxes"),
    "scores": ("anchors", "boxes"),
    "classes": ("boxes",),
    "detection_count": ("boxes",),
    "normalised": ("yolo", "boxes"),
    "strides": ("anchors",),
    "anchors": ("anchors",),
    "sizes": ("anchors",),
    "aspect_ratios": ("anchors",),
    "variances": ("anchors",),
    "size_coding": ("anchors",),
    "cell_offset": ("anchors",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSettings:
    """How to make boxes of a detector's outputs; docs/tasks.md says what each setting is.

    ``decode``: ``yolo``, one output [N, 4 + C, A] or [N, A, 4 + C]; ``anchors``, offsets [N, A, 4 or more] and scores
    [N, A, C]; ``boxes``, boxes [N, D, 4] that the model has decoded, scores [N, D] with classes [N, D], or scores
    [N, D, C]. Boxes are in pixels of the model's input in the end.
    """

    kind: ClassVar[str] = "map"

    decode: str = "yolo"
    output: str = ""
    boxes: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    classes: str = ""
    detection_count: str = ""
    box_form: str = AUTO
    normalised: bool = False
    image_size: tuple[int, ...] = ()
    score_form: str = "probabilities"
    objectness: bool = False
    class_count: int = 0
    background: int = _NONE
    class_offset: int = 0
    score_threshold: float = 0.001
    nms_overlap: float = 0.7
    max_detections: int = 100
    strides: tuple[int, ...] = ()
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    sizes: tuple[tuple[float, ...], ...] = ()
    aspect_ratios: tuple[float, ...] = (1.0,)
    variances: tuple[float, ...] = (0.1, 0.2)
    size_coding: str = "exp"
    cell_offset: float = 0.5

    def __post_init__(self) -> None:
        require_choice(self.kind, "decode", self.decode, ("yolo", "anchors", "boxes"))
        self._refuse_unused()
        for key in ("output", "classes", "detection_count"):
            require_text(self.kind, key, getattr(self, key))
        for key in ("boxes", "scores"):
            require_texts(self.kind, key, getattr(self, key))
        require_boolean(self.kind, "normalised", self.normalised)
        require_boolean(self.kind, "objectness", self.objectness)
        require_choice(self.kind, "box_form", self.box_form, (AUTO, *BOX_FORMS))
        require_choice(self.kind, "score_form", self.score_form, _SCORE_FORMS)
        require_whole(self.kind, "class_count", self.class_count, least=0, most=_MOST_CLASSES)
        require_whole(self.kind, "background", self.background, least=_NONE, most=_MOST_CLASSES)
        require_whole(self.kind, "class_offset", self.class_offset, least=-_MOST_CLASSES, most=_MOST_CLASSES)
        require_number(self.kind, "score_threshold", self.score_threshold, least=0.0, most=1.0)
        require_number(self.kind, "nms_overlap", self.nms_overlap, least=0.0, most=1.0)
        require_whole(self.kind, "max_detections", self.max_detections, least=1, most=_MOST_BOXES)
        if self.image_size or self.normalised or self.decode == "anchors":
            require_positive_whole_numbers(self.kind, "image_size", self.image_size, count=2)
        if self.decode != "yolo" and not (self.boxes and self.scores):
            raise self._refusal(
                f'decode = "{self.decode}" needs the names of the outputs with boxes and scores; write '
                'boxes = ["..."] and scores = ["..."]'
            )
        if self.decode == "anchors":
            self._check_anchors()

    def first_output(self) -> str:
        """Return the name of the output with the boxes, or the first part of it; "" for the model's first."""
        return self.output if self.decode == "yolo" else self.boxes[0]

    def anchor_shapes(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Return width and height in pixels of each level's anchors."""
        return self.anchors or anchor_shapes(self.sizes, self.aspect_ratios)

    def resolved_box_form(self) -> str:
        """Return the form of the boxes with "auto" resolved."""
        if self.box_form != AUTO:
            return self.box_form
        return "xyxy" if self.decode == "boxes" else "cxcywh"

    def _refuse_unused(self) -> None:
        for field in dataclasses.fields(self):
            users = _USED_BY.get(field.name, (self.decode,))
            if self.decode not in users and getattr(self, field.name) != field.default:
                raise self._refusal(
                    f'decode = "{self.decode}" does not read {field.name}, which belongs to {" and ".join(users)}; '
                    "leave it out, or correct decode"
                )

    def _check_anchors(self) -> None:
        require_positive_whole_numbers(self.kind, "strides", self.strides)
        require_positive_numbers(self.kind, "aspect_ratios", self.aspect_ratios)
        require_positive_numbers(self.kind, "variances", self.variances, count=2)
        require_choice(self.kind, "size_coding", self.size_coding, _SIZE_CODINGS)
        require_number(self.kind, "cell_offset", self.cell_offset, least=0.0, most=1.0)
        if self.box_form not in {AUTO, *CENTRE_FORMS}:
            raise self._refusal(
                f"box_form is {self.box_form!r} and offsets from anchors are of centres and sizes; write one of "
                f"{', '.join(CENTRE_FORMS)}"
            )
        if bool(self.anchors) == bool(self.sizes):
            raise self._refusal("anchors come from either anchors or sizes; write one of them, a list a stride")
        if self.anchors and self.aspect_ratios != (1.0,):
            raise self._refusal("anchors have widths and heights already; leave aspect_ratios out, or write sizes")
        levels: object = self.anchors or self.sizes
        if not self.strides or not isinstance(levels, tuple) or len(levels) != len(self.strides):
            raise self._refusal(f"{len(self.strides)} strides need as many lists of anchors or sizes; write one each")
        for number, level in enumerate(levels):
            pairs = level if self.anchors and isinstance(level, tuple) else (level,)
            for pair in pairs:
                where = f"{'anchors' if self.anchors else 'sizes'}[{number}]"
                require_positive_numbers(self.kind, where, pair, count=2 if self.anchors else None)
            if not level:
                raise self._refusal(f"the stride {self.strides[number]} has no anchor; add one, or drop the stride")
        count = anchor_count(self.image_size, self.strides, self.anchor_shapes())
        if count > _MOST_ANCHORS:
            raise self._refusal(
                f"these settings make {count} anchors, at most {_MOST_ANCHORS} are taken; check strides"
            )

    def _refusal(self, sentence: str) -> TaskError:
        return TaskError("invalid_setting", f"metric {self.kind}: {sentence}")
