"""Which changes matter to a person, and how narrow an interval must be: from options to the request."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.errors import UsageError
from steelyard.stats.thresholds import DEFAULT_TARGET_HALF_WIDTH, Thresholds
from steelyard_protocol.v1 import control_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictOptions:
    """Relative changes (0.02: 2 %); 0 leaves each to the default.

    ``minimum_effect`` is the least that counts as faster or slower, ``equivalence_margin`` the change that "no
    difference" rules out, ``target_half_width`` the half-width of p50 that is narrow enough to stop where nothing is
    compared.
    """

    minimum_effect: float = 0.0
    equivalence_margin: float = 0.0
    target_half_width: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no measurement can keep; see ``complete_verdicts``."""
        request = control_pb2.SubmitMeasurementRequest()
        self.add_to(request)
        complete_verdicts(request)

    def add_to(self, request: control_pb2.SubmitMeasurementRequest) -> None:
        """Put into the request what the options say."""
        request.minimum_effect = self.minimum_effect
        request.equivalence_margin = self.equivalence_margin
        request.target_half_width = self.target_half_width


def complete_verdicts(request: control_pb2.SubmitMeasurementRequest) -> None:
    """Check the thresholds of a request and spell out those that it leaves open.

    Raises:
        UsageError: a threshold that is no share, or a margin below the minimum effect.
    """
    if not 0.0 <= request.target_half_width < 1.0:
        raise UsageError(
            "bad_half_width",
            f"a half-width of {100 * request.target_half_width:g} % is not between 0 and 100 %: give one such as "
            "--target-half-width 2%",
        )
    try:
        thresholds = Thresholds.completed(request.minimum_effect, request.equivalence_margin)
    except ValueError as error:
        raise UsageError("bad_thresholds", f"{error}: change --min-effect or --margin") from error
    request.minimum_effect = thresholds.minimum_effect
    request.equivalence_margin = thresholds.equivalence_margin
    request.target_half_width = request.target_half_width or DEFAULT_TARGET_HALF_WIDTH
