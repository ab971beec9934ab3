"""The contract test of a compression step."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.testing.declarations import check_declared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steelyard.compress.contract import Step, StepReport


def check_step(
    step: Step,
    model_path: Path | str,
    *,
    calibration: Mapping[str, NDArray[Any]] | None = None,
    float_model_path: Path | str | None = None,
    seed: int = 0,
    processor_features: frozenset[str] = frozenset(),
) -> StepReport:
    """Run a step on a model as a recipe would, and return its report.

    Checked: the class and its settings; the input is not touched; the output loads, gives finite numbers where its
    parent does, and has the form that the step says; the same inputs give the same bytes; the report can be kept.

    Args:
        step: with the settings to test.
        model_path: an ONNX or a TFLite model that the step accepts.
        calibration: samples [N, ...] by input name, for a step that needs them.
        float_model_path: the float32 model that ``model_path`` was made from, for a step that compares with it.
        seed: as a recipe gives it.
        processor_features: of the device, as a recipe gives them ("avx2").

    Raises:
        AssertionError: the step does not keep the contract; a sentence says how.
        SteelyardError: the step refused the model, or the model is none.
    """
    check_declared("steps", step)
    path = Path(model_path)
    before = path.read_bytes()
    _check_recipe(step)
    earlier = () if float_model_path is None else (Path(float_model_path),)
    with tempfile.TemporaryDirectory(prefix="steelyard-") as work:
        runs = [
            _Run(folder=Path(work) / name, samples=calibration, seed=seed, features=processor_features, earlier=earlier)
            for name in ("1", "2")
        ]
        (first, report), (second, _) = (run.apply(step, path) for run in runs)
    assert path.read_bytes() == before, f"{step.kind} changed its input {path}"
    assert first == second, f"{step.kind} gave other bytes the second time, from the same inputs"
    return report


def _check_recipe(step: Step) -> None:
    """Check that the settings stand in a recipe, and come back from it."""
    from steelyard.compress.recipe import Recipe, step_settings
    from steelyard.toml_text import parse_toml

    if step.needs_float_ancestor:
        return
    text = Recipe((step,)).to_toml()
    try:
        (table,) = parse_toml(text)["steps"]
    except ValueError as error:
        raise AssertionError(f"the settings of {step.kind} cannot stand in TOML ({error}): {text}") from error
    told = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items() if key != "kind"}
    assert told == dict(step_settings(step)), f"{step.kind}: its settings come back from TOML as {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run of a step in a folder of its own; ``earlier`` are the models before its input."""

    folder: Path
    samples: Mapping[str, NDArray[Any]] | None
    seed: int
    features: frozenset[str]
    earlier: tuple[Path, ...]

    def apply(self, step: Step, model_path: Path) -> tuple[bytes, StepReport]:
        """Return the bytes of what the step made, which was looked at, and its report."""
        from steelyard.artifacts import read_artifact
        from steelyard.compress.applying import apply_step
        from steelyard.compress.calibration import read_calibration
        from steelyard.compress.contract import SAME_FORM, Ancestor, StepContext
        from steelyard.compress.model_kind import ModelKind
        from steelyard.tasks.packing import pack_all

        self.folder.mkdir()
        told: list[tuple[str, int, int]] = []
        kind = ModelKind.of(read_artifact(model_path))
        form = kind.form_of(model_path)
        known = ", ".join(sorted(step.accepts))
        assert form in step.accepts, f"{model_path} is {form}, and {step.kind} accepts {known}"
        context = StepContext(
            work_dir=self.folder,
            progress=lambda message, done, total: told.append((message, done, total)),
            seed=self.seed,
            processor_features=self.features,
            calibration=None if self.samples is None else read_calibration(pack_all(dict(self.samples))),
            model_format=kind.name,
            ancestors=tuple(Ancestor(path=one, form=kind.form_of(one)) for one in (*self.earlier, model_path)),
        )
        raw, made = self.folder / f"raw{kind.suffix}", self.folder / f"made{kind.suffix}"
        report = apply_step(step, model_path, raw, context)
        assert raw.is_file(), f"{step.kind} wrote no model to {raw}"
        _check_report(step, report, told)
        made.write_bytes(kind.final_bytes(raw))
        made_form, said = kind.form_of(made), form if step.produces == SAME_FORM else step.produces
        assert made_form == said, f"{step.kind} says that it leaves {said}, and the model is {made_form}"
        kind.verify(made, model_path, calibration=context.calibration, seed=self.seed)
        return made.read_bytes(), report


def _check_report(step: Step, report: Any, told: list[tuple[str, int, int]]) -> None:
    from steelyard.compress.contract import StepReport

    assert isinstance(report, StepReport), f"{step.kind} returned {type(report).__name__} and no StepReport"
    missing = {field.name for field in dataclasses.fields(step)} - set(report.settings)
    assert not missing, f"{step.kind} does not report the settings {', '.join(sorted(missing))}"
    json.dumps(dict(report.settings), allow_nan=False)
    for text in (*report.tool_versions, *report.notes):
        is_text = isinstance(text, str) and text != ""
        assert is_text, f"{step.kind} reports {text!r}; write sentences"
    for message, done, total in told:
        is_progress = message != "" and 0 <= done <= total
        assert is_progress, f"{step.kind} told {message!r}, {done} of {total}"
