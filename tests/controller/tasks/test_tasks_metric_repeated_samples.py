"""A sample counted several times is worth as many copies of it: what a bootstrap rests on, for every metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.tasks.metrics.contract import Metric
from steelyard.tasks.metrics.registry import metric, metric_kinds

_COUNT = 12
Arrays = dict[str, "np.ndarray[Any, Any]"]
Case = tuple[Metric, Arrays, Arrays]


def _labelled(kind: str, outputs: Callable[[np.random.Generator], Arrays], **settings_: object) -> Any:
    def case(rng: np.random.Generator) -> Case:
        return metric(kind, settings_), {"labels": rng.integers(0, 4, _COUNT)}, outputs(rng)

    return case


def _argmax(rng: np.random.Generator) -> Arrays:
    return {"argmax": rng.integers(-1, 4, _COUNT)}


def _best(rng: np.random.Generator, count: int) -> Arrays:
    indices = np.argsort(rng.random((_COUNT, 8)), axis=1)[:, :count]
    return {"indices": indices, "scores": np.ones(indices.shape, np.float32)}


def _scores(rng: np.random.Generator) -> Arrays:
    return {"y": rng.integers(0, 6, (_COUNT, 4)).astype(np.float32)}


def _texts(rng: np.random.Generator) -> Case:
    texts = np.array(["".join(rng.choice(["a", "b"], int(rng.integers(0, 5)))) for _ in range(_COUNT)])
    return metric("edit-distance", {"alphabet": "ab"}), {"texts": texts}, {"argmax": rng.integers(0, 3, (_COUNT, 7))}


def _regression(kind: str) -> Any:
    def case(rng: np.random.Generator) -> Case:
        targets = rng.integers(0, 3, (_COUNT, 2)).astype(np.float64)
        return metric(kind), {"targets": targets}, {"y": (targets + rng.random((_COUNT, 2))).astype(np.float32)}

    return case


def _masks(rng: np.random.Generator) -> Case:
    masks = rng.choice([0, 1, 2, 255], (_COUNT, 3, 2))
    return metric("miou"), {"masks": masks}, {"argmax": rng.integers(0, 4, masks.shape)}


def _parents(kind: str) -> Any:
    def case(rng: np.random.Generator) -> Case:
        parent = rng.standard_normal((_COUNT, 5)).astype(np.float32)
        return metric(kind), {"y": parent}, {"y": parent + rng.integers(0, 2, (_COUNT, 1)).astype(np.float32)}

    return case


def _detected(rng: np.random.Generator) -> Case:
    """Make boxes with equal scores in different samples, but never within one."""
    truth_samples = np.sort(rng.integers(0, _COUNT, 20))
    corner = rng.integers(0, 6, (20, 2)).astype(np.float32)
    boxes = np.concatenate((corner, corner + rng.integers(4, 9, (20, 2))), axis=1).astype(np.float32)
    found = np.zeros((_COUNT, 4, 4), np.float32)
    for sample in range(_COUNT):
        found[sample] = boxes[rng.integers(0, 20, 4)] + rng.integers(0, 2, (4, 4))
    outputs = {
        "b": found,
        "s": np.stack([rng.permutation(8)[:4] for _ in range(_COUNT)]).astype(np.float32) / 8,
        "c": rng.integers(0, 2, (_COUNT, 4)).astype(np.float32),
    }
    names = {"decode": "boxes", "boxes": ["b"], "scores": ["s"], "classes": "c", "nms_overlap": 1.0}
    truth = {"boxes": boxes, "box_labels": rng.integers(0, 2, 20), "box_samples": truth_samples}
    return metric("map", names), truth, outputs


_CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "top1": _labelled("top1", _argmax),
    "top5": _labelled("top5", lambda rng: _best(rng, 5)),
    "topk": _labelled("topk", lambda rng: _best(rng, 2), k=2),
    "auc": _labelled("auc", _scores),
    "auc of one class": _labelled("auc", _scores, positive=1),
    "f1": _labelled("f1", _argmax),
    "f1 micro": _labelled("f1", _argmax, average="micro"),
    "f1 binary": _labelled("f1", _argmax, average="binary"),
    "edit-distance": _texts,
    "mae": _regression("mae"),
    "rmse": _regression("rmse"),
    "r2": _regression("r2"),
    "miou": _masks,
    "map": _detected,
    "cosine": _parents("cosine"),
    "sqnr": _parents("sqnr"),
}


def test_every_metric_is_among_the_cases() -> None:
    assert set(metric_kinds()) <= set(_CASES)


def _repeated(arrays: Arrays, counts: np.ndarray[Any, Any]) -> Arrays:
    """Return each sample as often as it counts; boxes follow their sample."""
    if "box_samples" not in arrays:
        return {name: np.repeat(array, counts, axis=0) for name, array in arrays.items()}
    copies = np.repeat(np.arange(counts.size), counts)
    places = [np.flatnonzero(arrays["box_samples"] == sample) for sample in copies]
    chosen = np.concatenate(places)
    return {
        "boxes": arrays["boxes"][chosen],
        "box_labels": arrays["box_labels"][chosen],
        "box_samples": np.repeat(np.arange(copies.size), [own.size for own in places]),
    }


@pytest.mark.parametrize("name", list(_CASES))
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(0, 4), min_size=_COUNT, max_size=_COUNT).filter(any),
)
@settings(max_examples=40, deadline=None)
def test_counts_are_worth_copies(name: str, seed: int, counts: list[int]) -> None:
    found, truth, outputs = _CASES[name](np.random.default_rng(seed))
    weights = np.array(counts, dtype=np.int64)
    copied = found.answers(_repeated(truth, weights), _repeated(outputs, weights))
    assert copied.sample_count == weights.sum()
    counted = found.answers(truth, outputs).value(weights)
    assert counted == (None if (value := copied.value()) is None else pytest.approx(value, rel=1e-9, abs=1e-12))


@pytest.mark.parametrize("name", list(_CASES))
def test_counting_each_sample_once_changes_nothing(name: str) -> None:
    found, truth, outputs = _CASES[name](np.random.default_rng(1))
    answers = found.answers(truth, outputs)
    assert answers.value(np.ones(answers.sample_count, np.int64)) == answers.value()


@pytest.mark.parametrize("name", [name for name in _CASES if not name.startswith("top")])
def test_another_number_of_counts_than_of_samples_is_a_bug(name: str) -> None:
    found, truth, outputs = _CASES[name](np.random.default_rng(1))
    with pytest.raises(ValueError, match="do not fit 12 samples"):
        found.answers(truth, outputs).value(np.ones(3, np.int64))
