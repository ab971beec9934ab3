"""What the models of one plan are called in it and in its results: short, and each its own."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2

# What agents take for a label.
MOST_LABEL_CHARACTERS = 100
_CUT = ".."


def model_labels(
    artifacts: Sequence[control_pb2.Artifact], given: tuple[str, ...], *, room: int = MOST_LABEL_CHARACTERS
) -> list[str]:
    """Return unique names: those given, else the recipe of a variant or "original", numbered when they repeat.

    Those that are not given have ``room`` characters at most; of longer ones the middle goes.

    Raises:
        UsageError: bad_labels: not one name for each model.
    """
    if given:
        if len(given) != len(artifacts) or len(set(given)) != len(given):
            raise UsageError("bad_labels", f"{len(given)} labels for {len(artifacts)} models: name each one once")
        return list(given)
    labels: list[str] = []
    names = _of_one_family(artifacts) or [artifact.name for artifact in artifacts]
    for name in names:
        base = _cut(name, room)
        label, count = base, 2
        while label in labels:
            label, count = f"{_cut(name, room - len(f'-{count}'))}-{count}", count + 1
        labels.append(label)
    return labels


def _of_one_family(artifacts: Sequence[control_pb2.Artifact]) -> list[str]:
    """Return names by recipe; nothing where not all are variants of one model, or of the first of them."""
    first, *others = artifacts
    if others and all(one.lineage.parent_digest == first.digest for one in others):
        return ["original", *(one.lineage.recipe_name or one.name for one in others)]
    if len({one.lineage.parent_digest or one.digest for one in artifacts}) > 1:
        return []
    return [(one.lineage.recipe_name or one.name) if one.HasField("lineage") else "original" for one in artifacts]


def _cut(name: str, room: int) -> str:
    if len(name) <= room:
        return name
    tail = max(1, (room - len(_CUT)) // 2)
    return name[: max(1, room - len(_CUT) - tail)] + _CUT + name[-tail:]
