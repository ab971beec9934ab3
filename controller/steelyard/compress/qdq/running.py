"""Run two models over the calibration samples, a few at a time: nothing is kept but what the caller sums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.sessions import ONLY_ERRORS, batch_size, run_bounded
from steelyard.compress.tools import tool_errors

if TYPE_CHECKING:
    from onnx import ModelProto


class Runner:
    """One model in memory: as it is deployed, or without optimizations, where every tensor is what the graph says.

    ``as_deployed`` runs integer kernels where the graph has their pattern: a third to a half of the time.
    """

    def __init__(self, model: ModelProto, *, as_deployed: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = ONLY_ERRORS
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if as_deployed else levels.ORT_DISABLE_ALL
        with tool_errors("running a part of the model"):
            content = model.SerializeToString()
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._inputs = [spec.name for spec in self._session.get_inputs()]

    @property
    def batch_size(self) -> int:
        """The samples that it takes at once; 1 where it takes any number."""
        return batch_size(self._session)

    def run(self, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs for a feed; inputs that this model lacks are left out."""
        return run_bounded(self._session, {name: feed[name] for name in self._inputs})


def feeds(data: CalibrationData, size: int, sample_count: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield batches of ``size`` of the first samples, ``sample_count`` at most; a last partial batch is left out.

    Raises:
        CompressionInputError: fewer samples than one batch.
    """
    size = data.batch(size)
    if data.sample_count < size:
        raise CompressionInputError(
            "invalid_calibration",
            f"the model takes batches of {size} and the calibration data has {data.sample_count} samples; add samples",
        )
    last = max(size, min(sample_count, data.sample_count))
    for start in range(0, last - size + 1, size):
        yield data.feed(start, start + size)
