"""Which series a value belongs to. The environment is not part of it: an upgrade is to show up as a change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SeriesKey:
    """One metric of a suite's model on one device under one runtime.

    ``model`` is the name that the suite gives it; the artifact behind it may differ from night to night.
    """

    suite: str
    model: str
    device_id: str
    runtime: str
    metric: str

    def __post_init__(self) -> None:
        """Refuse a key with a hole."""
        if not all((self.suite, self.model, self.device_id, self.runtime, self.metric)):
            raise ValueError(f"a series has a suite, a model, a device, a runtime and a metric, not {self!r}")

    @property
    def words(self) -> str:
        """Return it for people: "p50 of mobilenet on pi5-a (onnxruntime)"."""
        return f"{self.metric} of {self.model} on {self.device_id} ({self.runtime})"
