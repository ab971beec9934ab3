"""The sentinel: a frozen model by which a device's drift is told from a model's regression."""

from __future__ import annotations

import hashlib
from pathlib import Path

from steelyard.errors import UsageError
from steelyard.suites.suite import BUILT_IN_SENTINEL, NO_SENTINEL, Suite

# A MobileNet for Fashion-MNIST, the demo's (demo/assets/LICENCES.md). The same bytes for ever: another file would begin
# the history of every device anew.
SENTINEL_DIGEST = "e3482eb8f40dfbeb863e7484c36e32451c22f52333bb86beb5e911522f48800f"
_FILE = "fashion_mobilenet.onnx"


def sentinel_path(suite: Suite) -> Path | None:
    """Return the file of a suite's sentinel, None where the suite wants none.

    Raises:
        UsageError: ``sentinel_changed``, ``sentinel_missing``.
    """
    if suite.sentinel == NO_SENTINEL:
        return None
    if suite.sentinel != BUILT_IN_SENTINEL:
        path = Path(suite.sentinel)
        if not path.is_file():
            raise UsageError("sentinel_missing", f"there is no file {path}, the suite's sentinel; check the path")
        return path
    from steelyard.demo.run import assets

    path = assets() / _FILE
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SENTINEL_DIGEST:
        raise UsageError(
            "sentinel_changed",
            f"the sentinel {path} has the digest {found[:12]}, not {SENTINEL_DIGEST[:12]}: install Steelyard again",
        )
    return path
