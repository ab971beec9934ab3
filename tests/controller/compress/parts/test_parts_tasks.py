"""What parts are fed with becomes their own tasks; variants of parts are scored in the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.artifacts import read_artifact
from steelyard.compress.calibration import read_calibration
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.evaluation import EvaluationSet, HostEvaluator
from steelyard.compress.parts.chain import Chain, PartModel
from steelyard.compress.parts.part_tasks import CallLimits, PartTask, make_part_tasks
from steelyard.compress.parts.parts_file import PartsFile, load_parts
from steelyard.compress.parts.scores import score_variants
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.run import compress
from steelyard.tasks.checks import check_fits
from steelyard.tasks.load import load_task
from steelyard.tasks.materialise import materialise
from tests.controller.compress.parts.planted import WIDTH, Planted
from tests.controller.compress.parts.test_parts_chain import models_of


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def _made(planted: Planted, out: str = "tasks", **settings: int) -> tuple[PartsFile, dict[str, PartTask], np.ndarray]:
    file = load_parts(planted.parts_file())
    chain = Chain(file, models_of(file))
    tasks, answers = make_part_tasks(
        chain,
        file,
        load_task(planted.task_file()),
        planted.folder / f"{out}-calls",
        out_dir=planted.folder / out,
        limits=CallLimits(**settings),
        progress=lambda message, done, total: None,
    )
    return file, tasks, answers["logits"]


def test_a_parts_task_holds_the_states_and_tokens_that_it_was_fed_with(planted: Planted) -> None:
    _, tasks, answers = _made(planted)
    task = load_task(tasks["decoder"].path)
    assert tasks["decoder"].evaluation_count == 12 * 6
    assert tasks["decoder"].calibration_count == 20 * 6
    fed = task.evaluation.inputs
    assert fed["state"].shape == (72, 2, 1, WIDTH)
    assert fed["rate"].tolist() == [16_000] * 72
    with np.load(planted.folder / "data.npz") as data:
        x, tokens = data["x_eval"], data["tokens_eval"]
    assert fed["token"].ravel().tolist() == tokens.ravel().tolist()
    state = planted.encoded(x)
    logits, state = planted.step(tokens[:, 0], state)
    np.testing.assert_allclose(fed["state"][1::6, :, 0], state.swapaxes(0, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answers[:, 0], logits, rtol=1e-4, atol=1e-5)


def test_calls_are_drawn_with_a_seed_and_no_more_than_the_limit(planted: Planted) -> None:
    first = _made(planted, "a", calibration=30, evaluation=10, seed=1)[1]["decoder"]
    again = _made(planted, "b", calibration=30, evaluation=10, seed=1)[1]["decoder"]
    other = _made(planted, "c", calibration=30, evaluation=10, seed=2)[1]["decoder"]
    assert (first.calibration_count, first.evaluation_count) == (30, 10)
    states = [load_task(one.path).calibration.inputs["state"] for one in (first, again, other)]
    assert np.array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


def test_calls_that_are_the_same_are_kept_once(planted: Planted) -> None:
    task = planted.task_file()
    with np.load(planted.folder / "data.npz") as data:
        arrays = dict(data)
    arrays["tokens_eval"][:] = 1
    arrays["x_eval"][:6] = arrays["x_eval"][0]
    arrays["tokens_calib"][:3] = 1
    arrays["x_calib"][:3] = arrays["x_eval"][0]
    arrays["x_calib"][:3, 0] += 1
    np.savez(planted.folder / "data.npz", **arrays)
    file = load_parts(planted.parts_file())
    tasks, _ = make_part_tasks(
        Chain(file, models_of(file)),
        file,
        load_task(task),
        planted.folder / "calls",
        out_dir=planted.folder / "tasks",
        limits=CallLimits(),
        progress=lambda message, done, total: None,
    )
    assert tasks["encoder"].evaluation_count == 7
    assert tasks["encoder"].calibration_count == 18
    assert tasks["decoder"].evaluation_count == 7 * 6


def test_a_part_is_quantized_and_scored_on_its_real_calls(planted: Planted) -> None:
    file, tasks, answers = _made(planted)
    task = load_task(tasks["decoder"].path)
    decoder = read_artifact(file.parts[1].file)
    blobs = materialise(task, check_fits(task, decoder.signature))
    assert blobs.calibration is not None
    result = compress(
        file.parts[1].file,
        load_recipe("static-int8"),
        calibration=blobs.calibration.inputs,
        seed=0,
        processor_features=(),
        out_dir=planted.folder / "out",
    )
    chosen = EvaluationSet(
        split="evaluation", metric=task.metric, data=read_calibration(blobs.evaluation.inputs), truth={}
    )
    evaluator = HostEvaluator(
        chosen, parent_path=file.parts[1].file, model_format="onnx", progress=lambda message, done, total: None
    )
    score = evaluator.evaluate(result.path)
    assert score.sample_count == 72
    assert 15 < score.value < 100

    whole = load_task(planted.task_file(metric="top1"))
    models = models_of(file)
    variant = PartModel(path=result.path, format="onnx", signature=models["decoder"].signature)
    file_of_last = load_parts(planted.parts_file(answer='steps = "last"'))
    scores = score_variants(
        file_of_last,
        whole,
        models,
        {"decoder": variant},
        {"argmax": answers[:, -1].argmax(axis=-1)},
        progress=lambda message, done, total: None,
    )
    assert scores.original.value == 1.0
    assert scores.alone["decoder"] is scores.together
    assert scores.together.sample_count == 12
    assert scores.together.value >= 0.75


def test_a_broken_part_shows_in_its_own_score_alone(planted: Planted) -> None:
    file, _, answers = _made(planted)
    task = load_task(planted.task_file())
    models = models_of(file)
    other_folder = planted.folder / "other"
    other_folder.mkdir()
    Planted(other_folder, seed=5)
    broken = {"encoder": models_of(load_parts(_moved(planted, other_folder)))["encoder"], "decoder": models["decoder"]}
    scores = score_variants(file, task, models, broken, {"logits": answers}, progress=lambda message, done, total: None)
    assert scores.original.value == 200.0
    assert scores.alone["decoder"].value == 200.0
    assert scores.alone["encoder"].value < 20.0
    assert scores.together.value == scores.alone["encoder"].value


def test_a_task_without_calibration_samples_is_refused(planted: Planted) -> None:
    path = planted.task_file()
    text = path.read_text()
    path.write_text(text[: text.index("[calibration]")] + text[text.index("[metric]") :])
    file = load_parts(planted.parts_file())
    with pytest.raises(CompressionInputError, match="has no calibration split"):
        make_part_tasks(
            Chain(file, models_of(file)),
            file,
            load_task(path),
            planted.folder / "calls",
            out_dir=planted.folder,
            limits=CallLimits(),
            progress=lambda message, done, total: None,
        )


def _moved(planted: Planted, folder: Path) -> Path:
    path = folder / "parts.toml"
    path.write_text(planted.parts_file().read_text(), encoding="utf-8")
    return path
