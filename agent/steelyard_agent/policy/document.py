"""The rules that the owner wrote: ``policy.toml`` in the state directory, read anew each time they are asked for.

All of them may stand in it, none must::

    windows = ["22:00-06:00", "Sat,Sun 00:00-24:00"]
    idle_only = true
    charging_only = true
    unmetered_only = true
    minutes_per_day = 120
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from steelyard_agent.policy.windows import Window, parse_window
from steelyard_agent.profiles.toml_text import tomllib

POLICY_FILE = "policy.toml"
_LARGEST_FILE_BYTES = 64 * 1024
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRules:
    """The rules; the defaults allow everything. Without windows the device may work at any time."""

    windows: tuple[Window, ...] = ()
    idle_only: bool = False
    charging_only: bool = False
    unmetered_only: bool = False
    minutes_per_day: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no rule."""
        for name in ("idle_only", "charging_only", "unmetered_only"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}, not true or false")  # noqa: TRY004 (a file's content)
        minutes = self.minutes_per_day
        if minutes is not None and (type(minutes) is not int or not 0 <= minutes <= _MINUTES_A_DAY):
            raise ValueError(f"minutes_per_day is {minutes!r}, not a whole number from 0 to {_MINUTES_A_DAY}")


def read_rules(state_root: Path) -> PolicyRules:
    """Return the rules, those that allow everything where there is no file.

    Raises:
        ValueError: The file cannot be read, or holds something else; the sentence names it.
    """
    path = state_root / POLICY_FILE
    try:
        content = path.read_bytes()
        if len(content) > _LARGEST_FILE_BYTES:
            raise ValueError(f"it has {len(content)} bytes, more than {_LARGEST_FILE_BYTES}")  # noqa: TRY301 (as any damage)
        return _rules(tomllib.loads(content.decode("utf-8")))
    except FileNotFoundError:
        return PolicyRules()
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be used ({error}); correct it, or remove it to allow everything") from error


def _rules(record: dict[str, object]) -> PolicyRules:
    known = {field.name for field in fields(PolicyRules)}
    unknown = sorted(set(record) - known)
    if unknown:
        raise ValueError(f"{unknown[0][:60]!r} is no rule; there are {', '.join(sorted(known))}")
    texts = record.pop("windows", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"windows is {texts!r}, not a list of texts")
    # Checked by the rules themselves.
    values: dict[str, object] = dict(record)
    return PolicyRules(windows=tuple(parse_window(text) for text in texts), **values)  # type: ignore[arg-type]
