"""Model files in formats of plugins, made ONNX or TFLite before anything else looks at them."""

from __future__ import annotations

import logging
from pathlib import Path

from steelyard.plugins.errors import PluginError
from steelyard.plugins.lookup import find, kinds
from steelyard.plugins.roles import FORMATS

_LOGGER = logging.getLogger(__name__)
_OWN_SUFFIXES = frozenset({".onnx", ".tflite"})


def converted(path: Path, work_dir: Path) -> Path:
    """Return ``path``, or the model in ``work_dir`` that a plugin made of it.

    Raises:
        PluginError: the plugin failed, or two plugins want the file.
    """
    suffix = path.suffix.lower()
    if suffix in _OWN_SUFFIXES or not path.is_file():
        return path
    takers = []
    for kind in kinds(FORMATS):
        try:
            found = find(FORMATS, kind)
        except PluginError as error:
            # Another format's plugin may be sound; this one is named if the file turns out to be nobody's.
            _LOGGER.warning("%s", error)
            continue
        if found is not None and suffix in found.made.suffixes:
            takers.append(found)
    if not takers:
        return path
    if len(takers) > 1:
        names = " and ".join(one.origin.name for one in takers)
        raise PluginError("plugin_conflict", f"{names} both read {suffix} files; uninstall one of them")
    (taker,) = takers
    out_path = work_dir / f"{path.stem}.{taker.made.produces}"
    taker.made().convert(path, out_path)
    if not out_path.is_file():
        raise PluginError(
            "plugin_failed",
            f"the format {taker.made.kind!r} of plugin {taker.origin.name} ({taker.origin.where}) made no model of "
            f"{path}; report it to its author",
        )
    return out_path
