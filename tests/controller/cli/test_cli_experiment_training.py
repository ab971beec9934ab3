"""`steelyard experiment` with a recipe that trains: seeds give other models, and only what is missing is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.models import conv_model

pytest.importorskip("torch", reason="steps that train need PyTorch: pip install 'steelyard[train]'")

NAME = "trained-seeds"
# The last epoch is kept: where none is better, the weights would stay as they came.
RECIPE = "fine-tune,epochs=1,keep_epoch=last"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.onnx, and data with a training split in which classes can be told."""
    folder = tmp_path_factory.mktemp("trained-experiment")
    conv_model(folder / "model.onnx", seed=91)
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 10, 300)
    images = rng.standard_normal((300, 1, 12, 12)).astype(np.float32)
    images[:, 0, 0] += classes[:, None] / 3
    arrays = {"x_eval": images[:100], "y_eval": classes[:100], "x_train": images[100:], "y_train": classes[100:]}
    np.savez(folder / "data.npz", **arrays)
    return folder


def test_seeds_train_other_models_and_a_seed_more_trains_only_what_is_missing(
    steelyard, own: Path, tmp_path: Path
) -> None:
    what = (NAME, own / "model.onnx", "--no-measure", "--json")
    ran = steelyard("experiment", "run", *what, "--recipe", RECIPE, "--task", own / "data.npz", "--seeds", "1")
    assert ran.code == 0, ran.err
    more = steelyard("experiment", "run", *what, "--seeds", "2")
    assert more.code == 0, more.err
    assert "1 of 2 trainings are there" in more.err
    first, second = more.document["record"]["trainings"]
    assert first == ran.document["record"]["trainings"][0]
    assert (second["seed"], bool(second["digest"])) == (1, True)
    assert first["digest"] != second["digest"]
    (scored,) = more.document["recipes"]
    assert scored["summary"]["count"] == 2
    # One and the same samples: what scores differ by is the training's.
    assert scored["summary"]["training_sd"] == scored["summary"]["total_sd"]

    page = tmp_path / "a" / "page.html"
    assert steelyard("experiment", "show", NAME, "--html", page).out.strip() == str(page)
    assert "top1 on the controller" in page.read_text(encoding="utf-8")
