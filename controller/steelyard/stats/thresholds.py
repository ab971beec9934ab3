"""Which changes matter, and how narrow an interval must be. Plain numbers: requests are checked with it everywhere."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MINIMUM_EFFECT = 0.02
DEFAULT_EQUIVALENCE_MARGIN = 0.03
# Half-width of a median that is narrow enough where nothing is compared.
DEFAULT_TARGET_HALF_WIDTH = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Which relative changes matter: ``minimum_effect`` is the least that counts as faster or slower (0.02: 2 %).

    "No difference" is said when every change of ``equivalence_margin`` and more is ruled out. A margin below the
    minimum effect is refused: a true change between the two could never have a verdict.
    """

    minimum_effect: float = DEFAULT_MINIMUM_EFFECT
    equivalence_margin: float = DEFAULT_EQUIVALENCE_MARGIN

    def __post_init__(self) -> None:
        """Refuse thresholds that make no sense."""
        for name, value in (("minimum effect", self.minimum_effect), ("margin", self.equivalence_margin)):
            if not 0.0 < value < 1.0:
                raise ValueError(f"a {name} lies between 0 and 1 (0.02 is 2 %), not {value!r}")
        if self.equivalence_margin < self.minimum_effect:
            raise ValueError(
                f"a margin of {percent(self.equivalence_margin)} is below the minimum effect of "
                f"{percent(self.minimum_effect)}: a change between the two would never have a verdict"
            )

    @classmethod
    def completed(cls, minimum_effect: float, equivalence_margin: float) -> Thresholds:
        """Return thresholds of which 0 stands for one that is left open: it follows the default and the other one.

        Raises:
            ValueError: they make no sense.
        """
        open_effect = DEFAULT_MINIMUM_EFFECT
        if equivalence_margin > 0.0:
            open_effect = min(open_effect, equivalence_margin)
        return cls(
            minimum_effect=minimum_effect or open_effect,
            equivalence_margin=equivalence_margin or max(DEFAULT_EQUIVALENCE_MARGIN, minimum_effect),
        )


def percent(share: float) -> str:
    """Return 0.02 as "2 %"."""
    points = share * 100
    return f"{points:.0f} %" if abs(points) >= 999.5 else f"{points:.3g} %"
