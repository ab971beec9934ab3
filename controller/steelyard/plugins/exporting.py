"""The files that exporters of plugins add to an export."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from steelyard.plugins.errors import PluginError
from steelyard.plugins.making import make
from steelyard.plugins.roles import EXPORTERS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def exported_files(
    kinds: Iterable[str], model_path: Path, signature: Mapping[str, Any], *, taken: Iterable[str]
) -> dict[str, bytes]:
    """Return the files of these exporters by name; ``taken`` are names that they must leave alone.

    Raises:
        PluginError: no such exporter, one that failed, or a name that cannot be used.
    """
    files: dict[str, bytes] = {}
    for kind in kinds:
        exporter = make(EXPORTERS, kind, {}, where="export")
        made = exporter.files(model_path, signature)
        for name, content in made.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(content, bytes):
                raise PluginError(
                    "plugin_failed",
                    f"the exporter {kind!r} makes {name!r} of type {type(content).__name__}; it must give bytes by "
                    "plain file names",
                )
            if name in files or name in taken:
                raise PluginError(
                    "plugin_name_taken", f"the exporter {kind!r} makes {name!r}, which is there already; rename it"
                )
            files[name] = content
    return files
