"""The contract of a source of samples.

A source is a frozen dataclass: its fields are its settings and the keys of ``[source]`` in a task file. Sources are
found by kind in ``steelyard.tasks.sources.registry``. They run where a task is materialised, never on a device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from steelyard.tasks.task import Split


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceData:
    """The splits as they were read, not checked yet; ``drawn`` tells what was read and drawn, as JSON has it."""

    evaluation: Split
    calibration: Split | None = None
    validation: Split | None = None
    training: Split | None = None
    class_names: tuple[str, ...] = ()
    drawn: Mapping[str, object] = field(default_factory=dict)


class Source(Protocol):
    """One kind of files, with its settings."""

    kind: ClassVar[str]
    # The settings: dataclass fields.
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def read(self, folder: Path) -> SourceData:
        """Return the samples; files are found below ``folder``, the task file's.

        Raises:
            TaskError: a file that is missing, or holds something else.
        """
        ...
