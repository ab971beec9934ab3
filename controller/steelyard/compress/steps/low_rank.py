"""Low rank: two small layers in place of a large one, by singular value decomposition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from steelyard.compress.contract import FLOAT32, ONNX, SAME_FORM, StepContext, StepReport
from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import (
    require_boolean,
    require_choice,
    require_count,
    require_globs,
    require_number,
)
from steelyard.compress.tools import tool_versions
from steelyard.compress.weights.editing import GraphEdit, left_note, storage_note, write_model
from steelyard.compress.weights.factor_nodes import CHANNEL, SPATIAL, Cut, cuts, reason_not_to_cut
from steelyard.compress.weights.finding import Weight, find_weights, refuse_idle_globs
from steelyard.compress.weights.moments import stream_moments
from steelyard.compress.weights.second_moment import SecondMoment

if TYPE_CHECKING:
    from onnx import ModelProto

_FACTORED = ("Conv", "Gemm", "MatMul")
_DEFAULT_ENERGY = 0.95
_WAYS = {"auto": (CHANNEL, SPATIAL), "channel": (CHANNEL,), "spatial": (SPATIAL,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRank:
    """Cut matrix products and convolutions in two where that needs fewer multiply-accumulates.

    How far is said by one of: ``energy``, the share of squared singular values that stays; ``ratio``, the share of the
    layer's multiply-accumulates; ``rank``. ``conv`` says how convolutions are cut: "channel" (kxk to few channels, then
    1x1; Zhang et al., "Accelerating Very Deep Convolutional Networks", 2015), "spatial" (kx1, then 1xk; Jaderberg et
    al., "Speeding up Convolutional Neural Networks with Low Rank Expansions", 2014), or "auto", the better of the two.
    ``data_aware`` weighs errors by what the layers' inputs are on calibration data (matrix products and 1x1
    convolutions). ``keep`` has patterns of names of nodes and tensors that stay whole.
    """

    kind: ClassVar[str] = "low-rank"
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = False

    energy: float = _DEFAULT_ENERGY
    ratio: float = 0.0
    rank: int = 0
    conv: str = "auto"
    data_aware: bool = False
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings of another type, and two rules for the rank at once."""
        require_number(self.kind, "energy", self.energy, least=0.01, most=1)
        require_number(self.kind, "ratio", self.ratio, least=0, most=1)
        require_count(self.kind, "rank", self.rank, least=0)
        require_choice(self.kind, "conv", self.conv, tuple(_WAYS))
        require_boolean(self.kind, "data_aware", self.data_aware)
        require_globs(self.kind, "keep", self.keep)
        given = [
            name
            for name, is_given in (
                ("energy", self.energy != _DEFAULT_ENERGY),
                ("ratio", self.ratio != 0),
                ("rank", self.rank != 0),
            )
            if is_given
        ]
        if len(given) > 1:
            raise RecipeError(
                "impossible_setting", f"{self.kind}: {' and '.join(given)} both say how far to go; write one of them"
            )

    @property
    def needs_calibration(self) -> bool:
        """Whether calibration data is read."""
        return self.data_aware

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the model with the factors.

        Raises:
            CompressionInputError: nothing_to_factor: no layer would need fewer multiply-accumulates; unknown_operator;
                too_large; or no or unfit calibration data.
            CompressionError: onnxruntime could not run the model on calibration data.
        """
        import onnx

        model = onnx.load_model(model_path)
        macs_before = _model_macs(model)
        found = find_weights(model, _FACTORED)
        refuse_idle_globs(found, self.keep, f"{self.kind}: keep")
        weights, left = self._considered(found)
        edit = GraphEdit(model)
        told, unsaved = self._cut(model, weights, edit, context)
        if not told:
            raise CompressionInputError(
                "nothing_to_factor",
                f"{model_path.name} has no layer that needs fewer multiply-accumulates at this rank; lower energy, "
                "ratio or rank",
            )
        edit.apply()
        write_model(model, out_path)
        layers = f"{len(told)} of {len(weights)} layers were cut in two: {'; '.join(told)}"
        notes = (layers, *_macs_note(macs_before, _model_macs(model)), storage_note(model_path, out_path))
        return StepReport(
            settings=step_settings(self),
            tool_versions=tool_versions(*(["onnxruntime"] if self.data_aware else []), "onnx", "numpy"),
            notes=(*notes, *left_note({**left, **unsaved})),
        )

    def _considered(self, weights: Sequence[Weight]) -> tuple[list[Weight], dict[str, str]]:
        reasons = {
            weight.name: "by the setting keep" if weight.matches(self.keep) else reason_not_to_cut(weight)
            for weight in weights
        }
        left = {name: reason for name, reason in reasons.items() if reason}
        return [weight for weight in weights if weight.name not in left], left

    def _cut(
        self, model: ModelProto, weights: Sequence[Weight], edit: GraphEdit, context: StepContext
    ) -> tuple[list[str], dict[str, str]]:
        """Cut each layer that it saves; return what was done, and why the others were left."""
        told: list[str] = []
        unsaved: dict[str, str] = {}
        for done, (weight, moment) in enumerate(self._with_moments(model, weights, context)):
            context.progress("decomposing weights", done, len(weights))
            best = self._best(cuts(weight, _WAYS[self.conv], moment))
            if best is None:
                unsaved[weight.name] = "two factors would need as many multiply-accumulates"
                continue
            cut, rank = best
            cut.replace(edit, rank)
            told.append(_told(cut, rank))
        context.progress("decomposing weights", len(weights), len(weights))
        return told, unsaved

    def _with_moments(
        self, model: ModelProto, weights: Sequence[Weight], context: StepContext
    ) -> Iterator[tuple[Weight, SecondMoment | None]]:
        if self.data_aware:
            yield from stream_moments(model, weights, context, what=f"{self.kind} with data_aware")
        else:
            yield from ((weight, None) for weight in weights)

    def _best(self, found: Sequence[Cut]) -> tuple[Cut, int] | None:
        ranked = [(cut, self._rank(cut)) for cut in found]
        saving = [(cut, rank) for cut, rank in ranked if cut.decomposition.saves(rank)]
        if not saving:
            return None
        if self.ratio or self.rank:
            return max(saving, key=lambda one: one[0].decomposition.kept[one[1] - 1])
        return min(saving, key=lambda one: one[1] * one[0].decomposition.macs_by_rank)

    def _rank(self, cut: Cut) -> int:
        if self.rank:
            return self.rank
        if self.ratio:
            return cut.decomposition.rank_of_ratio(self.ratio)
        return cut.decomposition.rank_of_energy(self.energy)


def _model_macs(model: ModelProto) -> int | None:
    """Return the multiply-accumulates of one inference, None where a shape is not known."""
    from steelyard.layers.onnx_macs import count_macs
    from steelyard.layers.onnx_shapes import known_tensors

    tensors = known_tensors(model, {}, 1)
    counts = [count_macs(node, tensors).count for node in model.graph.node]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _macs_note(before: int | None, after: int | None) -> tuple[str, ...]:
    if before is None or after is None:
        return ()
    return (f"the model needs {after:,} multiply-accumulates, {before:,} before (batch of 1); speed must be measured",)


def _told(cut: Cut, rank: int) -> str:
    found = cut.decomposition
    return (
        f"{cut.weight.name!r} {cut.way} rank {rank} of {len(found.kept)} ({rank * found.macs_by_rank:,} of "
        f"{found.macs_before:,} multiply-accumulates a position, {100 * float(found.kept[rank - 1]):.1f} % of the "
        "energy)"
    )
