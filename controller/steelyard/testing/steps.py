"""The contract test of a compression step."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
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
        seed: as a recipe gives it.
        processor_features: of the device, as a recipe gives them ("avx2").

    Raises:
        AssertionError: the step does not keep the contract; a sentence says how.
        SteelyardError: the step refused the model, or the model is none.
    """
    from steelyard.compress.recipe import Recipe
    from steelyard.compress.recipe_text import parse_recipe

    check_declared("steps", step)
    path = Path(model_path)
    before = path.read_bytes()
    recipe = Recipe((step,))
    assert not _is_known(step) or parse_recipe(recipe.to_toml()) == recipe, "the recipe does not come back from TOML"
    with tempfile.TemporaryDirectory(prefix="steelyard-") as work:
        first, report = _applied(step, path, Path(work) / "1", calibration, seed, processor_features)
        second, _ = _applied(step, path, Path(work) / "2", calibration, seed, processor_features)
    assert path.read_bytes() == before, f"{step.kind} changed its input {path}"
    assert first == second, f"{step.kind} gave other bytes the second time, from the same inputs"
    return report


def _is_known(step: Step) -> bool:
    from steelyard.compress.registry import all_step_kinds

    return step.kind in all_step_kinds()


def _applied(
    step: Step,
    model_path: Path,
    folder: Path,
    samples: Mapping[str, NDArray[Any]] | None,
    seed: int,
    features: frozenset[str],
) -> tuple[bytes, StepReport]:
    from steelyard.artifacts import read_artifact
    from steelyard.compress.applying import apply_step
    from steelyard.compress.calibration import read_calibration
    from steelyard.compress.contract import Ancestor, StepContext
    from steelyard.compress.model_kind import ModelKind
    from steelyard.tasks.packing import pack_all

    folder.mkdir()
    told: list[tuple[str, int, int]] = []
    kind = ModelKind.of(read_artifact(model_path))
    form = kind.form_of(model_path)
    assert form in step.accepts, f"{model_path} is {form}, and {step.kind} accepts {', '.join(sorted(step.accepts))}"
    context = StepContext(
        work_dir=folder,
        progress=lambda message, done, total: told.append((message, done, total)),
        seed=seed,
        processor_features=features,
        calibration=None if samples is None else read_calibration(pack_all(dict(samples))),
        model_format=kind.name,
        ancestors=(Ancestor(path=model_path, form=form),),
    )
    raw = folder / f"raw{kind.suffix}"
    report = apply_step(step, model_path, raw, context)
    assert raw.is_file(), f"{step.kind} wrote no model to {raw}"
    _check_report(step, report, told)
    made = folder / f"made{kind.suffix}"
    made.write_bytes(kind.final_bytes(raw))
    made_form, said = kind.form_of(made), form if step.produces == "same" else step.produces
    assert made_form == said, f"{step.kind} says that it leaves {said}, and the model is {made_form}"
    kind.verify(made, model_path, calibration=context.calibration, seed=seed)
    return made.read_bytes(), report


def _check_report(step: Step, report: Any, told: list[tuple[str, int, int]]) -> None:
    from steelyard.compress.contract import StepReport

    assert isinstance(report, StepReport), f"{step.kind} returned {type(report).__name__} and no StepReport"
    missing = {field.name for field in dataclasses.fields(step)} - set(report.settings)
    assert not missing, f"{step.kind} does not report the settings {', '.join(sorted(missing))}"
    json.dumps(dict(report.settings), allow_nan=False)
    for text in (*report.tool_versions, *report.notes):
        assert isinstance(text, str) and text, f"{step.kind} reports {text!r}; write sentences"
    for message, done, total in told:
        assert message and 0 <= done <= total, f"{step.kind} told {message!r}, {done} of {total}"
