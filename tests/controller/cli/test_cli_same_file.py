"""`steelyard compress` where another recipe, for another task, had made the same file: what is told is of this run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.models import conv_model


def test_scores_and_notes_are_those_of_this_run(steelyard, tmp_path: Path) -> None:
    conv_model(tmp_path / "again.onnx", seed=937)
    rng = np.random.default_rng(1)
    for name, count in (("first", 40), ("second", 60)):
        images = rng.standard_normal((count, 1, 12, 12)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", x_eval=images, y_eval=rng.integers(0, 10, count))
    (tmp_path / "mine.toml").write_text('name = "mine"\n[[steps]]\nkind = "float16"\n', encoding="utf-8")
    made = [
        steelyard("compress", tmp_path / "again.onnx", "--recipe", recipe, "--task", tmp_path / f"{task}.npz", "--json")
        for recipe, task in (("float16", "first"), (tmp_path / "mine.toml", "second"), ("float16", "first"))
    ]
    first, second, again = (one.document["variants"][0] for one in made)
    assert first["digest"] == second["digest"]
    assert second["lineage"]["recipe_name"] == "float16"
    scores = [one["lineage"]["steps"][0]["evaluation"]["sample_count"] for one in (first, second, again)]
    assert scores == [40, 60, 40]
    # What the first model scored is known of the other task alone.
    assert first["lineage"]["parent_evaluation"]["sample_count"] == 40
    assert second["lineage"]["parent_evaluation"] is None
