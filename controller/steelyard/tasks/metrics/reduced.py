"""A metric whose outputs a plugin's reducer makes, here: a device sends whole outputs, and runs no plugin."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import Answers, KnowsWhenUndefined, Metric, Reduction

if TYPE_CHECKING:
    from steelyard.plugins.contract import OutputReducer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """``metric`` on what ``reducer`` makes of whole outputs; it is called as the metric is."""

    metric: Metric
    reducer: OutputReducer

    @property
    def kind(self) -> str:
        """The metric's."""
        return self.metric.kind

    @property
    def label(self) -> str:
        """The metric's."""
        return self.metric.label

    @property
    def unit(self) -> str:
        """The metric's."""
        return self.metric.unit

    @property
    def higher_is_better(self) -> bool:
        """The metric's."""
        return self.metric.higher_is_better

    @property
    def truth_arrays(self) -> tuple[str, ...]:
        """The metric's."""
        return self.metric.truth_arrays

    @property
    def needs_parent_outputs(self) -> bool:
        """False: see ``reduced``."""
        return False

    @property
    def reduction(self) -> Reduction:
        """Whole outputs."""
        return Reduction(reducer="full")

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> Answers:
        """Reduce, then set against the truth; see ``Metric.answers``."""
        return self.metric.answers(truth, dict(self.reducer.reduce(outputs)))

    def undefined_reason(self, truth: Mapping[str, NDArray[Any]]) -> str | None:
        """Return why no answers to this truth have a value; None where the metric does not say."""
        return self.metric.undefined_reason(truth) if isinstance(self.metric, KnowsWhenUndefined) else None

    def reducer_table(self) -> dict[str, object]:
        """Return the kind and the settings of the reducer, as ``reduced`` takes them."""
        fields = dataclasses.fields(self.reducer)
        return {"kind": self.reducer.kind, **{field.name: getattr(self.reducer, field.name) for field in fields}}


def reduced(metric: Metric, table: object) -> Metric:
    """Return the metric behind the reducer that ``table`` describes: its kind, and its settings.

    Raises:
        TaskError: no such reducer, a setting that it refuses, or a metric against the parent's outputs.
        PluginError: the plugin cannot be used.
    """
    from steelyard.plugins.making import make
    from steelyard.plugins.roles import REDUCERS

    where = f"metric {metric.kind}"
    if not isinstance(table, Mapping) or not isinstance(table.get("kind"), str):
        raise TaskError("invalid_setting", f'{where}: reducer is {table!r}; write a table like {{ kind = "mine" }}')
    if metric.needs_parent_outputs:
        raise TaskError("invalid_setting", f"{where} compares whole outputs with the parent's; leave its reducer out")
    settings = {key: value for key, value in table.items() if key != "kind"}
    reducer = make(REDUCERS, table["kind"], settings, where=where)
    # Its class variables are properties here.
    return cast("Metric", Reduced(metric=metric, reducer=reducer))
