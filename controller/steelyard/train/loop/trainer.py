"""The training loop: epochs over batches, a validation after each, a checkpoint that it goes on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from steelyard.compress.contract import Progress
from steelyard.compress.lack_of_memory import is_lack_of_memory
from steelyard.plural import counted
from steelyard.train.errors import TrainingError
from steelyard.train.loop.batchnorm import reestimate
from steelyard.train.loop.checkpoints import Checkpoints
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.feeding import Feeding
from steelyard.train.loop.memory import smaller_batch_proposed
from steelyard.train.loop.memory_order import lay_as_usual, lay_channels_last
from steelyard.train.loop.objective import Batch, Objective, TrainingHook
from steelyard.train.loop.optimizers import learning_rate_of, make_optimizer, set_rate
from steelyard.train.loop.place import Place
from steelyard.train.loop.progress_of_epochs import EpochRecord, TrainingOutcome
from steelyard.train.loop.settings import TrainingSettings
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.loop.validation import Score, Validator

# An epoch whose mean loss is this many times the lowest before has lost what was learnt.
_DIVERGED_TIMES = 5.0
# Below such a loss multiples say nothing.
_LEAST_LOSS = 0.05


class _NotFiniteError(Exception):
    """The loss of a batch is no number."""


class Trainer:
    """One training of one model; ``run`` leaves the model that stays in its module, on the processor, to evaluate."""

    def __init__(
        self,
        model: TrainableModel,
        *,
        training: TrainingData,
        validation: TrainingData,
        objective: Objective,
        settings: TrainingSettings,
        checkpoints: Checkpoints,
        progress: Progress,
        seed: int = 0,
        hooks: Sequence[TrainingHook] = (),
        place: Place | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is trained yet.

        Args:
            model: what is trained; its module is changed in place.
            training: the samples to learn from.
            validation: those that epochs are compared by; they share none with ``training``.
            objective: what is minimised.
            settings: how.
            checkpoints: what an interrupted run of the same training kept is gone on from.
            progress: told each batch and each epoch.
            seed: of all that is drawn.
            hooks: look in, in this order.
            place: where to compute, None: by the settings.
            clock: seconds that grow, for budgets of time.

        Raises:
            TrainingInputError: settings that do not fit the samples or this machine.
        """
        self._model = model
        self._objective = objective
        self._settings = settings
        self._checkpoints = checkpoints
        self._progress = progress
        self._hooks = tuple(hooks)
        self._seed = seed
        self._clock = clock
        self._place = place or Place.of(settings)
        self._feeding = Feeding.of(
            training, batch_size=settings.batch_size, augment=settings.augment, seed=seed, place=self._place
        )
        self._validator = Validator(validation, objective, self._place, batch_size=settings.batch_size)
        self._update_count = settings.epochs * self._feeding.batch_count
        self._records: list[EpochRecord] = []
        self._terms: dict[str, float] = {}
        self._kept: tuple[int, Score] | None = None
        self._before = Score(name="", value=math.nan, higher_is_better=True)
        self._began_anew = False
        self._spent_s = 0.0
        self._started_s = 0.0

    @property
    def augmentations(self) -> tuple[str, ...]:
        """What "auto" was resolved to."""
        return self._feeding.augmentation.kinds

    @property
    def place(self) -> Place:
        """Where it computes."""
        return self._place

    def run(self) -> TrainingOutcome:
        """Train.

        Raises:
            TrainingError: not_a_number or diverged in the first epoch, out_of_memory, checkpoint_unreadable or
                checkpoint_unwritable.
            TrainingInputError: samples that the model cannot take.
        """
        self._started_s = self._clock()
        self._model.module.to(self._place.device)
        if self._objective.extra is not None:
            self._objective.extra.to(self._place.device)
        with smaller_batch_proposed(self._feeding.batch_size):
            self._lay_out()
            optimizer = make_optimizer(self._settings, self._model.module, self._objective.extra)
            scaler = self._place.scaler()
            resumed = self._resume(optimizer, scaler)
            stopped = self._epochs(resumed, optimizer, scaler)
            if self._kept is None:
                stopped = self._finish_early(stopped)
            kept_epoch, kept = self._take_kept()
            self._renew_statistics()
        lay_as_usual(self._model.module.to("cpu").eval())
        return TrainingOutcome(
            records=tuple(self._records),
            before=self._before,
            kept_epoch=kept_epoch,
            kept=kept,
            epoch_count=max(len(self._records), kept_epoch),
            stopped=stopped,
            resumed_from=resumed,
            began_anew=self._began_anew,
            terms=self._terms,
        )

    # -- epochs ---------------------------------------------------------------------------------------------------

    def _epochs(self, first: int, optimizer: Any, scaler: Any) -> str:
        """Train from an epoch on, and return why it ended early, "" when it did not."""
        epochs = self._settings.epochs
        for number in range(first, epochs):
            stopped = self._why_stop(number)
            if stopped:
                return stopped
            try:
                loss = self._epoch(number, optimizer, scaler)
            except _NotFiniteError:
                return self._end_of_bad("the loss is no number any more", "not_a_number", number)
            score = self._validator.score(self._model)
            if self._has_diverged(loss) or not score.is_number:
                return self._end_of_bad(f"the run diverges (loss {loss:.3g}, {score})", "diverged", number)
            self._records.append(EpochRecord(number=number + 1, loss=loss, score=score))
            self._keep(number + 1, score, optimizer, scaler)
            done = (number + 1) * self._feeding.batch_count
            self._progress(f"epoch {number + 1} of {epochs}: {self._records[-1]}", done, self._update_count)
        return ""

    def _epoch(self, number: int, optimizer: Any, scaler: Any) -> float:
        """Run one epoch and return its mean loss.

        Raises:
            _NotFiniteError: the loss of a batch is no number; the module is spoilt.
        """
        import torch

        torch.manual_seed(_torch_seed(self._seed, number))
        for hook in self._hooks:
            hook.before_epoch(self._model, number, self._settings.epochs)
        self._model.module.train()
        count, total = self._feeding.batch_count, 0.0
        sums: dict[str, float] = {}
        # What the last epoch came to stays in sight.
        told = f"epoch {number + 1} of {self._settings.epochs}" + (f" ({self._records[-1]})" if self._records else "")
        for place, batch in enumerate(self._feeding.epoch(number)):
            update = number * count + place
            set_rate(optimizer, self._settings, update, self._update_count)
            terms = self._update(batch, optimizer, scaler)
            for hook in self._hooks:
                hook.after_update(self._model, update, self._update_count)
            total += sum(terms.values())
            sums = {name: sums.get(name, 0.0) + value for name, value in terms.items()}
            self._progress(told, update + 1, self._update_count)
        self._terms = {name: value / count for name, value in sums.items()}
        return total / count

    def _update(self, batch: Batch, optimizer: Any, scaler: Any) -> dict[str, float]:
        import torch

        optimizer.zero_grad(set_to_none=True)
        with self._place.autocast():
            terms = self._objective.terms(self._model, batch)
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        if not math.isfinite(float(loss.detach())):
            raise _NotFiniteError
        scaler.scale(loss).backward()
        if self._settings.clip_norm > 0:
            scaler.unscale_(optimizer)
            learning = [one for group in optimizer.param_groups for one in group["params"]]
            torch.nn.utils.clip_grad_norm_(learning, self._settings.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        return {name: float(term.detach()) for name, term in terms.items()}

    # -- ends -----------------------------------------------------------------------------------------------------

    def _why_stop(self, number: int) -> str:
        limit_s, elapsed_s = 60 * self._settings.max_minutes, self._elapsed_s()
        if limit_s and number and elapsed_s * (number + 1) / number > limit_s:
            return (
                f"stopped after {counted(number, 'epoch')}: one more would not end within max_minutes = "
                f"{self._settings.max_minutes:g}"
            )
        patience, (epoch, best) = self._settings.patience, self._best()
        if patience and best is not None and number - epoch >= patience:
            return f"stopped after {counted(number, 'epoch')}: {patience} of them without a better {best.name}"
        return ""

    def _finish_early(self, stopped: str) -> str:
        """Have hooks do at once what is left of theirs, where the time was over before; return why it ended."""
        told = [one for one in (hook.finish(self._model) for hook in self._hooks) if one]
        number = len(self._records)
        self._kept = (number, self._validator.score(self._model))
        self._checkpoints.keep_best(self._best_state(*self._kept))
        return "; ".join((stopped, *told))

    def _best(self) -> tuple[int, Score | None]:
        """Return the epoch of the best score of those that may be kept, and the score; None before the first."""
        known = [(record.number, record.score) for record in self._records if record.number >= self._first_kept()]
        best: tuple[int, Score | None] = (0, None if self._first_kept() else self._before)
        for number, score in known:
            best = (number, score) if score.beats(best[1]) else best
        return best

    def _has_diverged(self, loss: float) -> bool:
        # While a hook still changes the model, a loss that grows is what is to be expected.
        known = [record.loss for record in self._records if record.number > self._first_kept()]
        return bool(known) and loss > _DIVERGED_TIMES * max(min(known), _LEAST_LOSS)

    def _first_kept(self) -> int:
        """Return after how many epochs a model may be kept."""
        return max((hook.first_kept_epoch(self._settings.epochs) for hook in self._hooks), default=0)

    def _end_of_bad(self, what: str, reason: str, number: int) -> str:
        """Go back to the last good model, or refuse to go on where there is none."""
        rate = learning_rate_of(self._settings, self._model.module)
        way_on = f"try learning_rate = {rate / 10:.1g}"
        if not number or self._kept is None or not self._kept[0]:
            raise TrainingError(
                reason,
                f"{self._settings.kind}: {what} in epoch {number + 1}, with the learning rate {rate:g}, and no epoch "
                f"before it can be kept; {way_on}, or a smaller clip_norm",
            )
        return f"stopped in epoch {number + 1}: {what}; the model of epoch {self._kept[0]} stays: {way_on}"

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def _resume(self, optimizer: Any, scaler: Any) -> int:
        """Go on from what was kept, and return how many epochs were run before."""
        state = self._checkpoints.last()
        if state is not None:
            try:
                if self._is_of_these_sizes(state):
                    self._restore(state, optimizer, scaler)
                    return len(self._records)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
                if is_lack_of_memory(error):
                    raise
                raise self._checkpoints.unreadable(error) from error
            self._began_anew = True
        self._before = self._validator.score(self._model)
        self._keep(0, self._before, optimizer, scaler)
        return 0

    def _is_of_these_sizes(self, state: Mapping[str, Any]) -> bool:
        """Return whether a checkpoint is of this model: pruning to a latency may have found another amount before."""
        sizes = {name: one.shape for name, one in self._model.module.named_parameters()}
        kept = {name: one.shape for name, one in state["module"].items() if name in sizes}
        return kept == sizes

    def _restore(self, state: Mapping[str, Any], optimizer: Any, scaler: Any) -> None:
        self._model.module.load_state_dict(state["module"])
        if self._objective.extra is not None:
            self._objective.extra.load_state_dict(state["extra"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        for hook, kept in zip(self._hooks, state["hooks"], strict=True):
            hook.load_state(kept)
        self._records = [EpochRecord.of(one) for one in state["records"]]
        self._kept = None if state["kept"] is None else (int(state["kept"][0]), Score.of(state["kept"][1]))
        self._terms = dict(state["terms"])
        self._spent_s = float(state["spent_s"])
        self._before = Score.of(state["before"])
        self._take_newer_best()

    def _take_newer_best(self) -> None:
        """Take the model of an epoch that was kept as the best, where the run ended before the rest of it was kept.

        A budget of time may leave that epoch out now, and on a GPU it may come out worse this time.
        """
        # One that cannot be read is mended by the next epoch that is better.
        with suppress(TrainingError):
            state = self._checkpoints.best()
            if state is not None and "score" in state and state.get("number") == len(self._records) + 1:
                self._kept = (state["number"], Score.of(state["score"]))

    def _keep(self, number: int, score: Score, optimizer: Any, scaler: Any) -> None:
        """Keep where the training is after ``number`` epochs, and the model where it is the best so far."""
        if number >= min(self._first_kept(), self._settings.epochs):
            known = None if self._kept is None else self._kept[1]
            if self._settings.keep_epoch == "last" or known is None or score.beats(known):
                self._kept = (number, score)
                self._checkpoints.keep_best(self._best_state(number, score))
        extra = self._objective.extra
        self._checkpoints.keep_last(
            {
                "module": self._model.module.state_dict(),
                "extra": None if extra is None else extra.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "hooks": [hook.state() for hook in self._hooks],
                "records": [one.plain() for one in self._records],
                "kept": None if self._kept is None else [self._kept[0], self._kept[1].plain()],
                "before": self._before.plain(),
                "terms": self._terms,
                "spent_s": self._elapsed_s(),
            }
        )

    def _best_state(self, number: int, score: Score) -> dict[str, Any]:
        return {"module": self._model.module.state_dict(), "number": number, "score": score.plain()}

    def _take_kept(self) -> tuple[int, Score]:
        assert self._kept is not None
        state = self._checkpoints.best()
        if state is None or state.get("number") != self._kept[0]:
            raise TrainingError(
                "checkpoint_unreadable",
                f"the model of epoch {self._kept[0]}, which is to stay, is gone from where this training keeps it; run "
                "it again, and one of the same recipe at a time",
            )
        self._model.module.load_state_dict(state["module"])
        return self._kept

    def _renew_statistics(self) -> None:
        count = self._settings.batchnorm_batches
        if count:
            reestimate(self._model, (batch.inputs for batch in self._feeding.plain(count)))

    def _lay_out(self) -> None:
        module = self._model.module.eval()
        lay_channels_last(module, lambda: [self._model.run(batch.inputs) for batch in self._feeding.plain(1)])

    def _elapsed_s(self) -> float:
        return self._spent_s + self._clock() - self._started_s


def _torch_seed(seed: int, epoch: int) -> int:
    """Return a seed of what layers draw by themselves (dropout), another one each epoch."""
    return (seed * 1_000_003 + epoch) % (1 << 63)
