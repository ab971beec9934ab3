"""Contract tests for authors of plugins: call them in your own tests; each raises ``AssertionError`` with a sentence.

They need no pytest, and import what they use when they are called. ``docs/plugins.md`` has the contracts.
"""

from __future__ import annotations

from steelyard.testing.exporters import check_exporter, check_format
from steelyard.testing.metrics import check_metric
from steelyard.testing.operations import check_operation, check_reducer
from steelyard.testing.steps import check_step

__all__ = ["check_exporter", "check_format", "check_metric", "check_operation", "check_reducer", "check_step"]
