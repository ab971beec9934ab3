"""How the allowed error is spent over the looks at a growing number of rounds."""

from __future__ import annotations

import math

# Between Pocock's boundaries (about 1) and O'Brien and Fleming's (about -4): docs/decisions/0008-stop-rule.md.
SPENDING_GAMMA = -2.0
# Of the error that is left, what one measurement may spend; the rest is for those that extend it.
SPENT_BY_ONE = 0.8


def spent_share(fraction: float) -> float:
    """Return the share of the error, 0 to 1, that may be spent once ``fraction`` of the rounds is measured.

    Hwang, Shih and DeCani, Statistics in Medicine 9 (1990), 1439-1445, a family of the spending functions of Lan and
    DeMets, Biometrika 70 (1983), 659-663.

    Raises:
        ValueError: ``fraction`` is not between 0 and 1.
    """
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"a fraction of the rounds lies between 0 and 1, not {fraction!r}")
    return math.expm1(-SPENDING_GAMMA * fraction) / math.expm1(-SPENDING_GAMMA)


def share_of_measurement(extension: int) -> float:
    """Return the share of the whole error that a measurement may spend: 0.8, its first extension 0.16, 0.032, ….

    All of them together spend less than 1, however often somebody extends.

    Raises:
        ValueError: ``extension`` is below 0.
    """
    if extension < 0:
        raise ValueError(f"extensions are counted from 0, the first measurement, not {extension!r}")
    return SPENT_BY_ONE * (1.0 - SPENT_BY_ONE) ** extension
