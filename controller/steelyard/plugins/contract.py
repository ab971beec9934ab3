"""The contracts of what a plugin may bring, beside steps and metrics, which have contracts of their own.

``steelyard.compress.contract.Step`` and ``steelyard.tasks.metrics.contract.Metric`` are those two. Each of these is a
frozen dataclass, too: ``kind`` is the name that it is asked for by, its fields are its settings, each with a default,
checked in ``__post_init__``. A method raises a ``SteelyardError`` for what a person did wrong; anything else is told as
the plugin's own failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steelyard.train.loop.trainable import TrainableModel
    from steelyard.train.prune.statistics import Statistics


class PreprocessingOperation(Protocol):
    """Changes stored samples before they are checked and packed, where the task is materialised."""

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def apply(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Return as many samples [N, ...], of any shape and dtype; the same samples give the same ones."""
        ...


class OutputReducer(Protocol):
    """Makes of a model's whole outputs what a metric reads, on the controller; the device sends all of them."""

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def reduce(self, outputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return the arrays that the metric's own reduction would give, as ``Reduction`` lists them.

        Raises:
            TaskError: outputs that it cannot read; a device's bytes are not trusted.
        """
        ...


class Exporter(Protocol):
    """Adds files to an export: a header for C, a package for a phone."""

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def files(self, model_path: Path, signature: Mapping[str, Any]) -> Mapping[str, bytes]:
        """Return the contents of more files by name; ``signature`` is the document of signature.json."""
        ...


class Importance(Protocol):
    """Says how much each channel of a group counts, for the step ``prune``."""

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def score(self, group: Any, model: TrainableModel, statistics: Statistics) -> Any:
        """Return a tensor with one score a channel, higher ones stay longer; None to leave the group as it is.

        ``group`` is torch-pruning's: the channels of one layer with all that hangs on them. ``statistics`` has
        gradients and activations on training samples.
        """
        ...


class ModelFormat(Protocol):
    """Makes an ONNX or a TFLite model of a file in another format, when a person names such a file."""

    kind: ClassVar[str]
    # What the files' names end in, lower case (".h5").
    suffixes: ClassVar[frozenset[str]]
    # "onnx" or "tflite".
    produces: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def convert(self, path: Path, out_path: Path) -> None:
        """Write the model to ``out_path``; the same file gives the same bytes."""
        ...
