"""The metric of a task as the statistics and reports see it: its name, its unit, its direction."""

from __future__ import annotations

from dataclasses import dataclass

# Shares of right answers: what people call accuracy.
_ACCURACIES = frozenset({"top1", "top5", "topk"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMetric:
    """What a task scores answers by.

    ``unit`` is "fraction" for 0 to 1, "dB" and the like, or "number" for values without a unit. Without arguments it is
    top-1 accuracy, the metric of every task that an older version stored.
    """

    kind: str = "top1"
    label: str = "top-1 accuracy"
    unit: str = "fraction"
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        """Refuse a metric without a name or a unit."""
        if not self.kind or not self.label or not self.unit:
            raise ValueError(
                f"a metric has a kind, a label and a unit, not {self.kind!r}, {self.label!r}, {self.unit!r}"
            )

    @property
    def name(self) -> str:
        """What it is called in tables and sentences: "accuracy", "top-5 accuracy", "rmse"."""
        if self.kind == "top1":
            return "accuracy"
        return self.label if self.is_accuracy else self.kind

    @property
    def title(self) -> str:
        """What a heading calls it: "Accuracy", "Root mean square error"."""
        words = self.name if self.kind == "top1" else self.label
        return words[:1].upper() + words[1:]

    @property
    def is_accuracy(self) -> bool:
        """Whether it is a share of right answers, which a requirement may call accuracy."""
        return self.kind in _ACCURACIES

    @property
    def drop_unit(self) -> str:
        """The unit of what a variant scores worse than its original."""
        return "pp" if self.unit == "fraction" else self.unit

    @property
    def shown_unit(self) -> str:
        """The unit as it is typed after a number: "", "dB"."""
        return "" if self.unit in {"fraction", "number"} else self.unit

    @property
    def example(self) -> str:
        """A requirement on it, to be filled in: "sqnr>VALUEdB"."""
        return f"{self.kind}{'>' if self.higher_is_better else '<'}VALUE{self.shown_unit}"
