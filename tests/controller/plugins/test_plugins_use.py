"""What plugins bring, at work: steps, metrics, reducers, operations, exporters, formats; and their failures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steelyard.compress.errors import CompressionError
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.run import compress
from steelyard.compress.step_key import StepInputs, step_key
from steelyard.control.uploads import prepared_model
from steelyard.plugins.errors import PluginError
from steelyard.plugins.exporting import exported_files
from steelyard.plugins.files import plugin_files, use_file
from steelyard.tasks.errors import TaskError
from steelyard.tasks.load import load_task
from steelyard.tasks.metrics.registry import metric, metric_plugins, metric_settings_json
from steelyard.testing import check_step
from tests.controller.plugins.files import (
    COPY_STEP,
    EXPORTER_AND_FORMAT,
    FLIP_REDUCER,
    SHARE_METRIC,
    SHIFT_OPERATION,
    write_plugin,
)
from tests.support.models import conv_model, linear_model

TRUTH = {"labels": np.array([0, 1, 2, 1], dtype=np.int64)}
DISTANCES = np.array([[0.1, 5, 9], [7, 0.2, 3], [4, 4, 1], [0, 2, 2]], dtype=np.float32)


def run(model: Path, recipe: str, out: Path):
    return compress(model, load_recipe(recipe), calibration=None, seed=0, processor_features=(), out_dir=out)


def test_a_step_of_a_plugin_is_named_in_the_lineage_and_in_the_key(tmp_path: Path) -> None:
    used = use_file(write_plugin(tmp_path / "copy.py", COPY_STEP, listed='{"steps": [Copy]}'))
    made = run(conv_model(tmp_path / "model.onnx"), "copy-model+float16", tmp_path / "out")
    assert [step.plugin for step in made.lineage.steps] == [used.origin.text, ""]
    step = load_recipe("copy-model").step_list[0]
    keys = {
        step_key(step, ["00"], StepInputs(seed=0), plugin=text).key for text in ("", used.origin.text, "copy.py 1.3 00")
    }
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('depth')", r"failed \(KeyError: 'depth'\)"),
        ("return None", "returned NoneType and no StepReport"),
        ("return StepReport(settings={}, tool_versions=())", "wrote no model"),
        (
            "out_path.write_bytes(b'x'); return StepReport(settings={'a': object()}, tool_versions=())",
            "settings that JSON cannot hold",
        ),
    ],
)
def test_a_step_that_fails_names_its_plugin_and_leaves_nothing(tmp_path: Path, body: str, said: str) -> None:
    head = COPY_STEP.partition("        out_path.write_bytes")[0]
    path = write_plugin(tmp_path / "mine.py", f"{head}        {body}\n", listed='{"steps": [Copy]}')
    use_file(path)
    with pytest.raises(CompressionError, match=said) as caught:
        run(conv_model(tmp_path / "model.onnx"), "copy-model", tmp_path / "out")
    assert caught.value.reason == "plugin_failed"
    assert f"the step 'copy-model' of plugin mine.py ({path})" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_reducer_stands_between_whole_outputs_and_a_metric_of_ours(tmp_path: Path) -> None:
    used = use_file(write_plugin(tmp_path / "lowest.py", FLIP_REDUCER, listed='{"reducers": [Lowest]}'))
    found = metric("top1", {"reducer": {"kind": "lowest", "output": "distances"}})
    assert found.kind == "top1"
    assert found.reduction.reducer == "full"
    assert found.answers(TRUTH, {"distances": DISTANCES}).value() == 0.75
    again = metric("top1", json.loads(metric_settings_json(found)))
    assert again == found
    assert metric_plugins(found) == (used.origin.text,)
    assert metric_plugins(metric("top1")) == ()
    with pytest.raises(TaskError, match=r"the reducer 'lowest' of plugin lowest\.py .*KeyError: 'distances'"):
        found.answers(TRUTH, {"scores": DISTANCES})
    with pytest.raises(TaskError, match="unknown key 'ouput'; did you mean 'output'"):
        metric("top1", {"reducer": {"kind": "lowest", "ouput": "x"}})
    with pytest.raises(TaskError, match="cosine compares whole outputs"):
        metric("cosine", {"reducer": {"kind": "lowest"}})


def test_a_metric_of_a_plugin_is_scored_and_its_failure_is_a_sentence(tmp_path: Path) -> None:
    used = use_file(write_plugin(tmp_path / "share.py", SHARE_METRIC, listed='{"metrics": [Share]}'))
    found = metric("right-share")
    answers = found.answers(TRUTH, {"argmax": np.array([0, 1, 0, 1])})
    assert answers.sample_count == 4
    assert answers.value() == 0.75
    assert answers.value(np.array([0, 0, 1, 0])) == 0.0
    assert metric_plugins(found) == (used.origin.text,)
    with pytest.raises(TaskError, match=r"the metric 'right-share' of plugin share\.py .*KeyError: 'argmax'"):
        found.answers(TRUTH, {"scores": DISTANCES})
    with pytest.raises(TaskError, match=r"the metric 'right-share' of plugin share\.py"):
        answers.value(np.array([1, 2]))


def test_a_metric_that_nobody_brings_says_how_a_plugin_is_named() -> None:
    with pytest.raises(TaskError, match=r"no metric of kind 'right-share'.*--plugin"):
        metric("right-share")


def task_file(folder: Path, operations: str) -> Path:
    np.savez(
        folder / "data.npz",
        x=np.arange(12, dtype=np.float32).reshape(4, 3),
        c=np.arange(100, 106, dtype=np.float32).reshape(2, 3),
        y=np.array([0, 1, 2, 0]),
    )
    path = folder / "task.toml"
    path.write_text(
        'name = "shifted"\ndata = "data.npz"\n[evaluation]\ninputs = "x"\nlabels = "y"\n'
        f'[calibration]\ninputs = "c"\n{operations}'
    )
    return path


def test_an_operation_changes_the_samples_of_every_split_in_order(tmp_path: Path) -> None:
    used = use_file(write_plugin(tmp_path / "shift.py", SHIFT_OPERATION, listed='{"preprocessing": [Shift]}'))
    two = '[[operations]]\nkind = "shift"\nby = 10\n[[operations]]\nkind = "shift"\n'
    task = load_task(task_file(tmp_path, two))
    assert task.evaluation.inputs[""][0].tolist() == [11.0, 12.0, 13.0]
    assert task.calibration is not None
    assert task.calibration.inputs[""][0].tolist() == [111.0, 112.0, 113.0]
    assert task.drawn["operations"] == [
        {"kind": "shift", "by": 10, "plugin": used.origin.text},
        {"kind": "shift", "by": 1.0, "plugin": used.origin.text},
    ]


def test_an_operation_that_nobody_brings_or_that_loses_samples_is_refused(tmp_path: Path) -> None:
    path = task_file(tmp_path, '[[operations]]\nkind = "shift"\n')
    with pytest.raises(TaskError, match="no preprocessing operation 'shift'; no plugin here brings one"):
        load_task(path)
    losing = SHIFT_OPERATION.replace("return samples +", "return samples[1:] +")
    use_file(write_plugin(tmp_path / "shift.py", losing, listed='{"preprocessing": [Shift]}'))
    with pytest.raises(TaskError, match=r"made float32 \[3, 3\] of float32 \[4, 3\]"):
        load_task(path)


def test_an_exporter_adds_files_and_leaves_ours_alone(tmp_path: Path) -> None:
    use_file(
        write_plugin(
            tmp_path / "header.py", EXPORTER_AND_FORMAT, listed='{"exporters": [Header], "formats": [Reversed]}'
        )
    )
    model = linear_model(tmp_path / "model.onnx")
    made = exported_files(["c-header"], model, {}, taken=["model.onnx"])
    assert made == {"model.h": f"enum {{ SIZE = {model.stat().st_size} }};".encode()}
    with pytest.raises(PluginError, match=r"makes 'model\.h', which is there already"):
        exported_files(["c-header"], model, {}, taken=["model.h"])
    with pytest.raises(PluginError, match="no exporter 'header'; did you mean 'c-header'"):
        exported_files(["header"], model, {}, taken=[])


def test_a_file_of_a_plugins_format_is_converted_before_it_is_read(tmp_path: Path) -> None:
    model = linear_model(tmp_path / "model.onnx")
    backwards = tmp_path / "model.xnno"
    backwards.write_bytes(model.read_bytes()[::-1])
    use_file(
        write_plugin(
            tmp_path / "header.py", EXPORTER_AND_FORMAT, listed='{"exporters": [Header], "formats": [Reversed]}'
        )
    )
    with prepared_model(model) as plain, prepared_model(backwards) as converted:
        assert converted.digest == plain.digest
        assert converted.bytes_path != backwards


def test_the_step_of_the_page_on_plugins_works_as_it_stands_there(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text(encoding="utf-8")
    path = tmp_path / "round.py"
    path.write_text(page.partition("```python\n")[2].partition("```")[0], encoding="utf-8")
    with plugin_files([path]):
        step = load_recipe("round-weights,digits=4").step_list[0]
        report = check_step(step, conv_model(tmp_path / "model.onnx"))
    assert report.settings == {"digits": 4}
