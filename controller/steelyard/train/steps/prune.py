"""Take channels, neurons and heads out of a model, and train what is left."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from steelyard.compress.contract import FLOAT32, StepContext, StepReport
from steelyard.compress.errors import RecipeError
from steelyard.compress.recipe import step_settings
from steelyard.compress.settings import (
    require_boolean,
    require_choice,
    require_count,
    require_globs,
    require_number,
)
from steelyard.train.distill.settings import TaughtSettings
from steelyard.train.errors import TrainingInputError
from steelyard.train.prune.latency_target import LatencyTarget
from steelyard.train.prune.ranking import SCOPES

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel
    from steelyard.train.prune.latency_amount import LatencyPruning
    from steelyard.train.prune.pruner import PrunedModel, Pruner
    from steelyard.train.steps.training import StepTraining, Trained

TARGETS = ("macs", "parameters")
# Below this share of the amount that was asked for, a note says why.
_COARSE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune(TaughtSettings):
    """Take out the channels that count least, with all that hangs on them (Fang et al. 2023), then train the rest.

    ``amount`` is the share of the multiply-accumulates, or of the parameters (``target``), that is left. ``importance``
    says how much a channel counts: "l1", "l2" (of its weights), "taylor" (Molchanov et al. 2019), "bn-scale" (Liu et
    al. 2017), "fpgm" (He et al. 2019), "lamp" (Lee et al. 2021), "hessian" (LeCun et al. 1990), "activation", "random",
    or one of a plugin; those that look at samples look at ``sample_batches`` batches. Channels are ranked over the
    model ("global"), over groups of one structure ("isomorphic") or within each layer ("layer"), and widths rounded to
    multiples of ``round_to``, with the share ``least`` of each layer left. Attention loses whole heads, or with
    ``heads`` false the same dimensions of each. ``keep`` has patterns of names of layers that stay as they are; those
    that give an output do in any case.

    ``layers`` below 1 first leaves that share of alike blocks, spread evenly. In ``rounds`` the target is reached in as
    many parts, with ``round_epochs`` epochs behind each but the last; behind that come ``epochs``, 0 for none.

    With ``latency``, a share of the time of the model that the step starts from ("0.5x") or a time ("2ms"), the amount
    is found: candidates of the same ranking are measured on the device until one is within the share
    ``latency_tolerance`` of it, ``latency_candidates`` at most (as in NetAdapt, Yang et al. 2018). ``latency_trades``
    further ones are measured to keep more in the same time, by single layers wider and others narrower.
    """

    kind: ClassVar[str] = "prune"
    produces: ClassVar[str] = FLOAT32
    least_epochs: ClassVar[int] = 0

    target: str = "macs"
    amount: float = 0.5
    importance: str = "l2"
    scope: str = "isomorphic"
    round_to: int = 4
    least: float = 0.1
    heads: bool = True
    keep: tuple[str, ...] = ()
    layers: float = 1.0
    rounds: int = 1
    round_epochs: int = 1
    sample_batches: int = 8
    latency: str = ""
    latency_tolerance: float = 0.05
    latency_candidates: int = 8
    latency_trades: int = 0

    def __post_init__(self) -> None:
        """Refuse settings of another type, targets of nothing, and rounds without training."""
        TaughtSettings.__post_init__(self)
        require_choice(self.kind, "target", self.target, TARGETS)
        require_number(self.kind, "amount", self.amount, least=0.001, most=0.999)
        require_number(self.kind, "least", self.least, least=0, most=1)
        require_number(self.kind, "layers", self.layers, least=0.01, most=1)
        require_choice(self.kind, "scope", self.scope, SCOPES)
        require_boolean(self.kind, "heads", self.heads)
        require_globs(self.kind, "keep", self.keep)
        require_number(self.kind, "latency_tolerance", self.latency_tolerance, least=0.001, most=0.5)
        for key in ("round_to", "rounds", "round_epochs", "sample_batches", "latency_candidates"):
            require_count(self.kind, key, getattr(self, key))
        require_count(self.kind, "latency_trades", self.latency_trades, least=0)
        self._check_importance()
        if self.rounds > 1 and self.epochs == 0:
            raise RecipeError(
                "impossible_setting",
                f"prune: rounds is {self.rounds} and epochs 0; rounds are for training between them",
            )
        if self.latency != "":
            LatencyTarget.parse(self.latency)
        if self.latency_trades and (self.latency == "" or self.scope == "layer"):
            raise RecipeError(
                "impossible_setting",
                f"prune: latency_trades is {self.latency_trades}, and single layers are traded to keep more in a "
                "latency; write a latency, and another scope than one share for each layer, or leave it out",
            )

    def _check_importance(self) -> None:
        from steelyard.train.prune.importances import require_importance

        if not isinstance(self.importance, str) or not self.importance:
            raise RecipeError("invalid_setting", f"prune: importance is {self.importance!r}; write a kind in quotes")
        # A misspelt one is told of before hours of training in the steps before this one, not behind them.
        require_importance(self.importance)

    @property
    def needs_latency(self) -> bool:
        """Whether candidates are measured on a device."""
        return self.latency != ""

    @property
    def needs_training(self) -> bool:
        """Whether it trains, or its importance looks at samples."""
        from steelyard.train.prune.importances import looks_at_samples

        return self.epochs > 0 or looks_at_samples(self.importance)

    @property
    def plugin_origins(self) -> tuple[str, ...]:
        """Where an importance of a plugin comes from, for keys."""
        from steelyard.plugins.lookup import origin_text
        from steelyard.plugins.roles import IMPORTANCES

        found = origin_text(IMPORTANCES, self.importance)
        return (found,) if found else ()

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        """Write the pruned and trained model.

        Raises:
            LiftError, TrainingInputError: the model, the task, a teacher or the target does not suit.
            TrainingError, ExportError: it could not be trained, or not be written.
        """
        from steelyard.train.steps.model_files import lifted_model, training_tools, write_model
        from steelyard.train.steps.training import StepTraining

        context.progress("reading the model", 0, 1)
        lifted = lifted_model(model_path)
        training = StepTraining(self, model_path, context) if self.needs_training else None
        run = _Pruning(self, context, training, lifted, model_path)
        for number in range(1, self.rounds + 1):
            run.round(number)
        context.progress("writing the model", 0, 1)
        write_model(run.lifted, out_path)
        return StepReport(settings=run.settings(), tool_versions=training_tools("torch-pruning"), notes=run.notes())


class _Pruning:
    """The rounds of one pruning."""

    def __init__(
        self, step: Prune, context: StepContext, training: StepTraining | None, lifted: LiftedModel, model_path: Path
    ) -> None:
        from steelyard.train.prune.costs import COSTS
        from steelyard.train.prune.fused_heads import with_heads_apart
        from steelyard.train.prune.importances import importance_of

        self._start = {name: cost(lifted) for name, cost in COSTS.items()}
        shortened_to = ""
        if step.layers < 1:
            from steelyard.train.distill.students import shortened

            lifted, shortened_to = shortened(lifted, step.layers)
        self.lifted, apart = with_heads_apart(lifted)
        self._prepared = (shortened_to, apart)
        self._step = step
        self._context = context
        self._training = training
        self._importance = importance_of(step.importance)
        self._cost = COSTS[step.target]
        self._pruned: PrunedModel | None = None
        self._trained: Trained | None = None
        self._left: Mapping[str, str] = {}
        self._latency = _latency_pruning(step, context, model_path)
        self._amount = step.amount
        self._told: tuple[str, ...] = ()
        self._whole: Mapping[str, int] = {}

    def round(self, number: int) -> None:
        """Take out what is to go in this round, and train."""
        from steelyard.train.loop.memory import smaller_batch_proposed
        from steelyard.train.prune.pruner import Pruner, PruneRules

        step, count = self._step, self._step.rounds
        self._context.progress(f"round {number} of {count}: choosing channels", 0, 1)
        rules = PruneRules(scope=step.scope, round_to=step.round_to, least=step.least, keep=step.keep, heads=step.heads)
        with smaller_batch_proposed(step.batch_size):
            pruner = Pruner(self.lifted, self._importance, self._statistics(), rules, whole=self._whole)
        self._whole = self._whole or pruner.unit_counts
        self._pruned = self._to_target(pruner, number)
        self._left = pruner.left
        self.lifted = self._pruned.lifted
        self._train(number)

    def _to_target(self, pruner: Pruner, number: int) -> PrunedModel:
        """Return the model of a round; with a latency, the first and the last round look for their amount."""
        step, whole = self._step, self._start[self._step.target]
        found = None
        if self._latency is not None and number in (1, step.rounds):
            pruned, found = self._latency.prune(
                pruner,
                self._cost,
                whole,
                start=self._latency.first_amount if number == 1 else self._amount,
                is_reference=number == 1 and step.layers == 1,
            )
            self._amount, self._told = found.best.left, (*self._told, *self._latency.notes(found, step.target))
        if found is not None and number == step.rounds:
            return pruned
        return pruner.to_target(self._cost, self._amount ** (number / step.rounds) * whole)

    def settings(self) -> Mapping[str, object]:
        """Return the settings with "auto" resolved, and the amount that was found."""
        told = step_settings(self._step) if self._trained is None else self._trained.settings
        return {**told, "amount": round(self._amount, 4)} if self._latency is not None else told

    def notes(self) -> tuple[str, ...]:
        """Return what was taken out, what stayed whole, and what became of the training."""
        from steelyard.train.prune.costs import COSTS

        shares = ", ".join(
            f"{name} {cost(self.lifted):,.0f} of {self._start[name]:,.0f} ({cost(self.lifted) / self._start[name]:.1%})"
            for name, cost in COSTS.items()
        )
        assert self._pruned is not None
        widths = ", ".join(f"{name} {before} to {after}" for name, (before, after) in self._pruned.widths.items())
        whole = "; ".join(f"{name}: {why}" for name, why in self._left.items())
        notes = (
            *self._told,
            *self._prepared,
            f"left: {shares}",
            self._coarse(),
            f"widths in the last round: {widths}",
            f"whole: {whole}" if whole else "",
        )
        return (*(one for one in notes if one), *(() if self._trained is None else self._trained.notes))

    def _coarse(self) -> str:
        """Return why much less was left than was asked for, "" where it was not."""
        left = self._cost(self.lifted) / self._start[self._step.target]
        if self._latency is not None or self._step.round_to == 1 or left > _COARSE * self._step.amount:
            return ""
        return (
            f"less is left than the {self._step.amount:.1%} that were asked for: widths are multiples of "
            f"{self._step.round_to}; round_to=1 comes nearer"
        )

    def _statistics(self) -> Any:
        from steelyard.train.loop.trainable import TrainableModel
        from steelyard.train.prune.importances import looks_at_samples
        from steelyard.train.prune.statistics import Statistics

        model = TrainableModel.of(self.lifted)
        if self._training is None or not looks_at_samples(self._step.importance):
            return Statistics(model, objective=None, batches=None, seed=self._context.seed)
        feeding = self._training.plain_feeding()
        return Statistics(
            model,
            objective=self._training.objective(model, device="cpu"),
            batches=lambda: feeding.plain(self._step.sample_batches),
            seed=self._context.seed,
        )

    def _train(self, number: int) -> None:
        from steelyard.train.loop.trainable import TrainableModel

        if self._training is None or self._step.epochs == 0:
            return
        is_last = number == self._step.rounds
        settings = self._step if is_last else dataclasses.replace(self._step, epochs=self._step.round_epochs)
        model = TrainableModel.of(self.lifted)
        self._training.renew_statistics(model)
        self._trained = self._training.run(model, settings=settings, part=f"round-{number}")


def _latency_pruning(step: Prune, context: StepContext, model_path: Path) -> LatencyPruning | None:
    """Return how the step's latency is reached, None for a step without one."""
    from steelyard.train.prune.latency_amount import LatencyPruning

    if not step.needs_latency:
        return None
    if context.latency is None:
        raise TrainingInputError(
            "no_device", f"prune: latency is {step.latency!r}, and no device measures it; name one with --device NAME"
        )
    return LatencyPruning(
        target=LatencyTarget.parse(step.latency),
        tolerance=step.latency_tolerance,
        most=step.latency_candidates,
        trades=step.latency_trades,
        oracle=context.latency,
        reference=model_path,
        work_dir=context.work_dir,
        progress=context.progress,
    )
