"""How long certificates and join codes are good for."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.identity.errors import IdentityError

_HOUR_NS = 3600 * 1_000_000_000
_DAY_NS = 24 * _HOUR_NS

MAX_CODE_USES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Durations in nanoseconds, all by the controller's clock."""

    # Renewed at two thirds: a device that is on is never without, a stolen certificate is worth little.
    device_life_ns: int = 7 * _DAY_NS
    # A person's program renews when it is used; a month of holidays is none too long.
    user_life_ns: int = 30 * _DAY_NS
    # A token of CI lies in a variable for as long as nobody changes it.
    token_life_ns: int = 30 * _DAY_NS
    longest_token_life_ns: int = 366 * _DAY_NS
    # A board on a shelf that was off for this long comes back by its old key.
    grace_ns: int = 90 * _DAY_NS
    code_life_ns: int = _HOUR_NS
    longest_code_life_ns: int = 30 * _DAY_NS

    def __post_init__(self) -> None:
        """Refuse a duration that is none."""
        if min(self.device_life_ns, self.user_life_ns, self.token_life_ns, self.grace_ns, self.code_life_ns) <= 0:
            raise IdentityError("invalid_terms", f"every duration must be more than 0: {self}")
        if self.code_life_ns > self.longest_code_life_ns:
            raise IdentityError(
                "invalid_terms", f"a code's usual life of {self.code_life_ns} ns is longer than the longest allowed"
            )

    def code_life(self, asked_ms: int) -> int:
        """Return for how long a code is valid that somebody asked for; 0 ms: the usual time.

        Raises:
            IdentityError: ``invalid_code_life``.
        """
        asked_ns = asked_ms * 1_000_000
        if not 0 <= asked_ns <= self.longest_code_life_ns:
            raise IdentityError(
                "invalid_code_life",
                f"a join code cannot be valid for {asked_ms / 3_600_000:.1f} h; take at most "
                f"{self.longest_code_life_ns // _HOUR_NS} h",
            )
        return asked_ns or self.code_life_ns

    def token_life(self, asked_ms: int) -> int:
        """Return for how long a token is valid that somebody asked for; 0 ms: the usual time.

        Raises:
            IdentityError: ``invalid_token_life``.
        """
        asked_ns = asked_ms * 1_000_000
        # Certificates count in seconds.
        if asked_ns and not 1_000_000_000 <= asked_ns <= self.longest_token_life_ns:
            raise IdentityError(
                "invalid_token_life",
                f"a token cannot be valid for {asked_ms / 3_600_000:.1f} h; take from 1 s to "
                f"{self.longest_token_life_ns // _DAY_NS} days",
            )
        return asked_ns or self.token_life_ns


def code_uses(asked: int) -> int:
    """Return how often a code may be used; 0: once.

    Raises:
        IdentityError: ``invalid_code_uses``.
    """
    if not 0 <= asked <= MAX_CODE_USES:
        raise IdentityError(
            "invalid_code_uses", f"a join code for {asked} devices is too many; take at most {MAX_CODE_USES}"
        )
    return asked or 1
