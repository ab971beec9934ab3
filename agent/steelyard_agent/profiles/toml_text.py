"""TOML: read by the standard library's parser (tomli before Python 3.11), and the few forms that a draft writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["toml_list", "toml_string", "tomllib"]


def toml_string(text: str) -> str:
    """Return ``text`` as a basic string of TOML 1.0, on one line."""
    # JSON escapes what TOML wants escaped, but for DEL; a lone surrogate has no UTF-8 and is replaced.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_list(texts: Sequence[str]) -> str:
    """Return ``texts`` as an array of strings on one line."""
    return f"[{', '.join(toml_string(text) for text in texts)}]"
