"""What a plugin may bring: the entry-point groups, and what a class of each must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.compress.errors import CompressionError
from steelyard.errors import SteelyardError
from steelyard.plugins.errors import PluginError
from steelyard.tasks.errors import TaskError

STEPS = "steps"
METRICS = "metrics"
PREPROCESSING = "preprocessing"
REDUCERS = "reducers"
EXPORTERS = "exporters"
FORMATS = "formats"
IMPORTANCES = "importances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One thing that a plugin may bring.

    ``noun`` in sentences; ``variables`` are class variables by name with their type (None: any, or a property);
    ``methods`` may fail, and then raise ``error``.
    """

    noun: str
    methods: tuple[str, ...]
    error: type[SteelyardError]
    variables: Mapping[str, type | None] = field(default_factory=dict)


ROLES: Mapping[str, Role] = {
    STEPS: Role(
        noun="step",
        methods=("apply",),
        error=CompressionError,
        variables={
            "accepts": frozenset,
            "produces": str,
            "formats": frozenset,
            "needs_float_ancestor": bool,
            "needs_calibration": None,
        },
    ),
    METRICS: Role(
        noun="metric",
        methods=("answers",),
        error=TaskError,
        variables={
            "label": str,
            "unit": str,
            "higher_is_better": bool,
            "truth_arrays": tuple,
            "needs_parent_outputs": bool,
            "reduction": None,
        },
    ),
    PREPROCESSING: Role(noun="preprocessing operation", methods=("apply",), error=TaskError),
    REDUCERS: Role(noun="reducer", methods=("reduce",), error=TaskError),
    EXPORTERS: Role(noun="exporter", methods=("files",), error=PluginError),
    IMPORTANCES: Role(noun="importance", methods=("score",), error=CompressionError),
    FORMATS: Role(
        noun="format", methods=("convert",), error=PluginError, variables={"suffixes": frozenset, "produces": str}
    ),
}


def group_of(role: str) -> str:
    """Return the entry-point group of a role."""
    return f"steelyard.{role}"
