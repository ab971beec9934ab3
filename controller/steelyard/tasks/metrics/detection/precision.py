"""Average precision of detections, for samples that count any number of times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.metrics.detection.boxes import overlaps
from steelyard.tasks.metrics.detection.detections import Detections
from steelyard.tasks.metrics.detection.matching import matched
from steelyard.tasks.metrics.weights import sample_counts

# The recalls at which precision is read (101-point interpolation), and the smallest number that COCO adds to a
# denominator; both to the last bit those of pycocotools.
_RECALLS = np.linspace(0.0, 1.0, 101)
_SPACING = float(np.spacing(1))
# COCO's evaluation looks at no more detections of one class in one sample.
_MOST_A_CLASS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueBoxes:
    """``boxes`` float64 [M, 4] as corners in pixels, with ``labels`` and ``samples`` int64 [M]."""

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    samples: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedClass:
    """Detections of one class over all samples, best first.

    ``samples`` int64 [D]; ``hits``, for each threshold the places of the detections that meet a true box, int64;
    ``box_counts`` int64 [N], the true boxes of each sample.
    """

    samples: NDArray[np.int64]
    hits: tuple[NDArray[np.int64], ...]
    box_counts: NDArray[np.int64]

    def precisions(self, counts: NDArray[np.int64]) -> list[float] | None:
        """Return the average precision at each threshold; None where no true box is counted."""
        box_count = int(counts @ self.box_counts)
        if box_count == 0:
            return None
        found_to = np.cumsum(counts[self.samples])
        return [_average_precision(counts[self.samples[hits]], found_to[hits], box_count) for hits in self.hits]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrecisionAnswers:
    """The ranked detections of each class that has true boxes.

    A sample counted several times is worth as many copies of it. Only where it has two detections of one class with
    the same score does their order differ: each with its copies here, copy after copy with real ones.
    """

    sample_count: int
    classes: tuple[RankedClass, ...]

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the mean over thresholds and over the classes with true boxes; None without a true box."""
        weights = sample_counts(counts, self.sample_count)
        found = [values for ranked in self.classes if (values := ranked.precisions(weights)) is not None]
        return float(np.mean(found)) if found else None


def ranked_answers(true: TrueBoxes, found: Detections, thresholds: NDArray[np.float64]) -> PrecisionAnswers:
    """Match detections with true boxes, class by class; ``thresholds`` float64 [T] are the least overlaps of a match.

    Detections of a class without true boxes are left out, as COCO does.
    """
    return PrecisionAnswers(
        sample_count=found.sample_count,
        classes=tuple(_ranked_class(true, found, int(label), thresholds) for label in np.unique(true.labels)),
    )


def _ranked_class(true: TrueBoxes, found: Detections, label: int, thresholds: NDArray[np.float64]) -> RankedClass:
    is_true, is_found = true.labels == label, found.labels == label
    true_samples, found_samples = true.samples[is_true], found.samples[is_found]
    order = np.argsort(true_samples, kind="stable")
    true_boxes, true_ends = true.boxes[is_true][order], np.cumsum(np.bincount(true_samples, minlength=1))
    boxes, scores = found.boxes[is_found], found.scores[is_found]
    # Detections are sorted by sample, and best first within one.
    hits = np.zeros((thresholds.size, found_samples.size), dtype=np.bool_)
    is_counted = np.ones(found_samples.size, dtype=np.bool_)
    for sample in np.unique(found_samples):
        start, end = np.searchsorted(found_samples, (sample, sample + 1))
        is_counted[start + _MOST_A_CLASS : end] = False
        end = min(end, start + _MOST_A_CLASS)
        if sample >= true_ends.size:
            continue
        first, last = (true_ends[sample - 1] if sample else 0), true_ends[sample]
        hits[:, start:end] = matched(overlaps(boxes[start:end], true_boxes[first:last]), thresholds)
    ranks = np.argsort(-scores[is_counted], kind="stable")
    ranked_hits = hits[:, is_counted][:, ranks]
    return RankedClass(
        samples=found_samples[is_counted][ranks],
        hits=tuple(np.flatnonzero(row) for row in ranked_hits),
        box_counts=np.bincount(true_samples, minlength=found.sample_count).astype(np.int64),
    )


def _average_precision(weights: NDArray[np.int64], found_to: NDArray[np.int64], box_count: int) -> float:
    """Return the mean over 101 recalls of the best precision at that recall or a higher one.

    Precision rises at hits alone and recall moves there alone, so that other detections matter by their number only.

    Args:
        weights: how often each hit counts, int64 [H], best first.
        found_to: how many detections there are up to each hit, itself included, int64 [H].
        box_count: of true boxes, above 0.
    """
    hits_to = np.cumsum(weights)
    precision = hits_to / (found_to + _SPACING)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(np.mean(best[np.searchsorted(hits_to / box_count, _RECALLS, side="left")]))
