"""What ``steelyard-agent run`` was asked, in a form that travels to another process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of the command as the parser has them; ``cli.arguments`` says what each means."""

    controller: str | None = None
    name: str = ""
    state_directory: str | None = None
    adb: str | None = None
    benchmark_binary: str | None = None
    exit_with_stdin: bool = False
    profiles: str | None = None
    verbose: bool = False
    log_format: str = "text"

    @property
    def state_root(self) -> Path | None:
        """The state directory, None for the usual one."""
        return Path(self.state_directory) if self.state_directory else None


def from_namespace(options: argparse.Namespace) -> RunOptions:
    """Return what the parser read."""
    asked: dict[str, Any] = {name: getattr(options, name) for name in RunOptions.__slots__}
    asked |= {name: str(value) for name, value in asked.items() if isinstance(value, Path)}
    return RunOptions(**asked)


def as_text(options: RunOptions) -> str:
    """Return the options in one line."""
    return json.dumps(asdict(options))


def from_text(text: str) -> RunOptions:
    """Return the options that ``as_text`` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        return RunOptions(**json.loads(text))
    except TypeError as error:
        raise ValueError(f"these are no options of run: {error}") from error
