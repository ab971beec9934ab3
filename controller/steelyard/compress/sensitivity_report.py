"""What a model's operators cost as integers, as a step reports it, a job keeps it and people read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard_protocol.v1 import control_pb2

SENSITIVITY = "sensitivity"
# Where the report stands among what the step says of itself.
REPORT_KEY = "report"
_GLOB_SIGNS = re.compile(r"([*?[])")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSensitivity:
    """One quantized operator, all others in float.

    ``noise_share`` (0 to 1) is its error as a share of the summed errors of all; ``mac_share`` (0 to 1) that of the
    model's multiply-accumulates, None where they are not known; ``metric_drop`` how much worse the task's metric is
    than float's, in its unit, None where it was not scored.
    """

    name: str
    kind: str
    parameter_count: int
    mac_share: float | None
    sqnr_db: float
    noise_share: float
    metric_drop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDrops:
    """What the task's metric loses against float's ``float_value``, in ``unit``.

    ``whole_drop`` with everything quantized, ``kept_drop`` with the worst operators in float; None for outputs that
    cannot be scored.
    """

    metric: str
    unit: str
    higher_is_better: bool
    split: str
    sample_count: int
    float_value: float
    whole_drop: float | None
    kept_drop: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityReport:
    """The operators, the most sensitive first, and what keeping the worst in float brings.

    ``whole_sqnr_db`` is the signal-to-quantization-noise ratio of the outputs with everything quantized, and
    ``kept_sqnr_db`` with ``kept`` in float; ``keep_float`` are the patterns that name those. ``metrics`` is None
    without labels.
    """

    layers: tuple[LayerSensitivity, ...]
    sample_count: int
    whole_sqnr_db: float
    kept: tuple[str, ...]
    keep_float: tuple[str, ...]
    kept_sqnr_db: float
    metrics: MetricDrops | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)


def literal_pattern(name: str) -> str:
    """Return the pattern of ``keep_float`` that fits this name and no other."""
    return _GLOB_SIGNS.sub(r"[\1]", name)


def parse_report(plain: Mapping[str, Any]) -> SensitivityReport:
    """Return the report that ``to_plain`` made, also from JSON.

    Raises:
        CompressionError: invalid_report: data that is no report, of another version of Steelyard.
    """
    try:
        fields = dict(plain)
        fields["layers"] = tuple(LayerSensitivity(**one) for one in fields["layers"])
        for name in ("kept", "keep_float"):
            fields[name] = tuple(str(one) for one in fields[name])
        if fields["metrics"] is not None:
            fields["metrics"] = MetricDrops(**fields["metrics"])
        return SensitivityReport(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise CompressionError(
            "invalid_report",
            f"{json.dumps(plain, default=str)[:120]} is no sensitivity report of this version of Steelyard ({error}); "
            "measure again with --no-cache",
        ) from error


def report_of(steps: Iterable[control_pb2.LineageStep]) -> SensitivityReport:
    """Return the report among the steps of a job.

    Raises:
        CompressionInputError: no_sensitivity: none of them measured it.
        CompressionError: invalid_report.
    """
    found = [step for step in steps if step.kind == SENSITIVITY]
    if not found:
        raise CompressionInputError(
            "no_sensitivity",
            "this job did not measure sensitivity; run one with `steelyard sensitivity MODEL --task TASK`",
        )
    plain = json.loads(found[-1].settings_json or "{}").get(REPORT_KEY)
    return parse_report(plain if isinstance(plain, dict) else {})
