"""The contract tests pass what keeps its contract, also ours, and name what does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from steelyard.compress.contract import FLOAT16, FLOAT32, ONNX, SAME_FORM, StepContext, StepReport
from steelyard.compress.steps.bias_correction import BiasCorrection
from steelyard.compress.steps.float16 import Float16
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.accuracy import Top1
from steelyard.tasks.metrics.contract import LABELS, BinaryAnswers, Reduction
from steelyard.tasks.metrics.regression import RootMeanSquareError
from steelyard.testing import (
    check_exporter,
    check_format,
    check_metric,
    check_operation,
    check_reducer,
    check_step,
)
from tests.support.models import conv_model, linear_model

IMAGES = {"image": np.random.default_rng(0).standard_normal((24, 1, 12, 12)).astype(np.float32)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    kind: ClassVar[str] = "copy-model"
    needs_calibration: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = frozenset({FLOAT32})
    produces: ClassVar[str] = SAME_FORM
    formats: ClassVar[frozenset[str]] = frozenset({ONNX})
    needs_float_ancestor: ClassVar[bool] = False

    times: int = 1

    def report(self) -> StepReport:
        return StepReport(settings={"times": self.times}, tool_versions=("copier 1",))

    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        out_path.write_bytes(model_path.read_bytes())
        return self.report()


class TouchesItsInput(Copy):
    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        import onnx

        model = onnx.load_model(model_path)
        onnx.save_model(model, out_path)
        model.doc_string = "seen"
        onnx.save_model(model, model_path)
        return self.report()


class NeverTheSame(Copy):
    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        import onnx

        model = onnx.load_model(model_path)
        model.doc_string = str(context.work_dir)
        onnx.save_model(model, out_path)
        return self.report()


class SaysTheWrongForm(Copy):
    produces = FLOAT16


class WritesNothing(Copy):
    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        return self.report()


class HidesItsSettings(Copy):
    def report(self) -> StepReport:
        return StepReport(settings={}, tool_versions=())


class TellsNonsense(Copy):
    def apply(self, model_path: Path, out_path: Path, context: StepContext) -> StepReport:
        context.progress("copying", 3, 2)
        return super().apply(model_path, out_path, context)


def test_steps_of_ours_keep_the_contract(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "model.onnx")
    assert check_step(Copy(times=2), model).settings == {"times": 2}
    assert check_step(Float16(), model).notes
    report = check_step(StaticInt8(), model, calibration=IMAGES)
    assert report.settings["per_channel"] is True


def test_a_repair_is_given_the_float_model_that_it_compares_with(tmp_path: Path) -> None:
    from steelyard.compress.recipe import Recipe
    from steelyard.compress.run import compress
    from steelyard.tasks.packing import pack_all

    model = conv_model(tmp_path / "model.onnx")
    quantized = compress(
        model,
        Recipe((StaticInt8(),)),
        calibration=pack_all(IMAGES),
        seed=0,
        processor_features=(),
        out_dir=tmp_path / "out",
    )
    report = check_step(BiasCorrection(), quantized.path, calibration=IMAGES, float_model_path=model)
    assert report.tool_versions


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (TouchesItsInput(), "changed its input"),
        (NeverTheSame(), "other bytes the second time"),
        (SaysTheWrongForm(), "says that it leaves float16, and the model is float32"),
        (WritesNothing(), "wrote no model"),
        (HidesItsSettings(), "does not report the settings times"),
        (TellsNonsense(), "told 'copying', 3 of 2"),
        (Copy(times=None), "cannot stand in TOML"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_step_that_breaks_the_contract_is_told_how(tmp_path: Path, broken: Copy, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_step(broken, conv_model(tmp_path / "model.onnx"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusting:
    """A metric that scores whatever comes."""

    kind: ClassVar[str] = "trusting"
    label: ClassVar[str] = "trusting accuracy"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (LABELS,)
    needs_parent_outputs: ClassVar[bool] = False

    @property
    def reduction(self) -> Reduction:
        return Reduction(reducer="argmax")

    def answers(self, truth: Mapping[str, Any], outputs: Mapping[str, Any]) -> BinaryAnswers:
        best = outputs["argmax"]
        return BinaryAnswers(correct=truth[LABELS][: len(best)] == best)


class Percent:
    sample_count = 4

    def value(self, counts: Any = None) -> float | None:
        return 75.0


class Forgetful:
    sample_count = 4

    def value(self, counts: Any = None) -> float | None:
        return 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class InPercent(Trusting):
    kind: ClassVar[str] = "in-percent"

    def answers(self, truth: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        return Percent()


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsNothing(Trusting):
    kind: ClassVar[str] = "counts-nothing"

    def answers(self, truth: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        return Forgetful()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorting(Trusting):
    kind: ClassVar[str] = "sorting"

    def answers(self, truth: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        outputs["argmax"].sort()
        return BinaryAnswers(correct=truth[LABELS] == outputs["argmax"])


TRUTH = {LABELS: np.array([2, 1, 0, 1], dtype=np.int64)}


def best() -> dict[str, Any]:
    return {"argmax": np.array([2, 1, 0, 0], dtype=np.int64)}


def test_metrics_of_ours_keep_the_contract() -> None:
    assert check_metric(Top1(), TRUTH, best()) == 0.75
    targets = {"targets": np.array([[1.0], [2.0]])}
    made = check_metric(RootMeanSquareError(), targets, {"y": np.array([[1.0], [4.0]], dtype=np.float32)})
    assert made == pytest.approx(np.sqrt(2.0))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Trusting(), "scores outputs of 3 samples against 4; raise TaskError"),
        (InPercent(), "is 75.0 and its unit is a fraction"),
        (CountsNothing(), "is 0.75 of no samples"),
        (Sorting(), "changed the outputs"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_metric_that_breaks_the_contract_is_told_how(broken: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_metric(broken, TRUTH, best())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    kind: ClassVar[str] = "shift"
    by: float = 1.0

    def apply(self, samples: Any) -> Any:
        return samples + np.asarray(self.by, dtype=samples.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace(Shift):
    kind: ClassVar[str] = "in-place"

    def apply(self, samples: Any) -> Any:
        samples += 1
        return samples


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSplit(Shift):
    kind: ClassVar[str] = "whole-split"

    def apply(self, samples: Any) -> Any:
        return samples - samples.mean()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fewer(Shift):
    kind: ClassVar[str] = "fewer"

    def apply(self, samples: Any) -> Any:
        return samples[1:]


def test_an_operation_that_keeps_its_contract_gives_what_it_made() -> None:
    assert check_operation(Shift(by=2.0), np.zeros((3, 2), dtype=np.float32)).tolist() == [[2.0, 2.0]] * 3


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (InPlace(), "changed what it was given"),
        (WholeSplit(), "samples in two parts"),
        (Fewer(), r"made \(2, 2\) of \(3, 2\)"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_operation_that_breaks_the_contract_is_told_how(broken: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_operation(broken, np.arange(6, dtype=np.float32).reshape(3, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowest:
    kind: ClassVar[str] = "lowest"

    def reduce(self, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        if "distances" not in outputs:
            raise TaskError("outputs_misfit", "lowest reads distances")
        return {"argmax": np.argmin(outputs["distances"], axis=-1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists(Lowest):
    kind: ClassVar[str] = "lists"

    def reduce(self, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"argmax": [0, 1]}


def test_reducers_give_arrays() -> None:
    outputs = {"distances": np.array([[1.0, 0.5], [0.0, 2.0]])}
    assert check_reducer(Lowest(), outputs)["argmax"].tolist() == [1, 0]
    with pytest.raises(AssertionError, match="returned 'argmax' as list"):
        check_reducer(Lists(), outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    kind: ClassVar[str] = "c-header"
    name: str = "model.h"

    def files(self, model_path: Path, signature: Mapping[str, Any]) -> Mapping[str, bytes]:
        return {self.name: b"int x;"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    kind: ClassVar[str] = "renamed"
    suffixes: ClassVar[frozenset[str]] = frozenset({".model"})
    produces: ClassVar[str] = "onnx"

    def convert(self, path: Path, out_path: Path) -> None:
        out_path.write_bytes(path.read_bytes())


def test_exporters_give_bytes_by_plain_names(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "model.onnx")
    assert check_exporter(Header(), model, {}) == {"model.h": b"int x;"}
    with pytest.raises(AssertionError, match="give plain file names"):
        check_exporter(Header(name="../model.h"), model, {})


def test_formats_make_models_that_can_be_sent(tmp_path: Path) -> None:
    from steelyard.artifacts import InvalidModelError

    model = linear_model(tmp_path / "model.onnx")
    renamed = tmp_path / "some.model"
    renamed.write_bytes(model.read_bytes())
    check_format(Renamed(), renamed)
    with pytest.raises(AssertionError, match=r"reads \.model, not '\.onnx'"):
        check_format(Renamed(), model)
    renamed.write_bytes(b"no model")
    with pytest.raises(InvalidModelError):
        check_format(Renamed(), renamed)


def test_importing_them_needs_no_pytest_and_nothing_heavy() -> None:
    from tests.controller.test_imports import HEAVY, modules_after

    assert modules_after("import steelyard.testing") & (HEAVY | {"pytest"}) == set()
