"""Read what models are scored by from the files that a request names."""

from __future__ import annotations

from pathlib import Path

from steelyard.compress.calibration import open_calibration
from steelyard.compress.evaluation import EvaluationSet, metric_of
from steelyard.compress.messages import ScoringFiles
from steelyard.tasks.truth import unpack_truth


def read_scoring(files: ScoringFiles | None) -> EvaluationSet | None:
    """Return the samples, truth and metric that the files hold; None for None.

    Raises:
        TaskError: files that no task was materialised into, or an unknown metric.
    """
    if files is None:
        return None
    return EvaluationSet(
        split=files.split,
        metric=metric_of(files.metric, files.metric_settings_json),
        data=open_calibration(Path(files.inputs_path)),
        truth=unpack_truth(Path(files.truth_path).read_bytes()) if files.truth_path else {},
    )
