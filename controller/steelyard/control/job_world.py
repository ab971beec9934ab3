"""What jobs work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from steelyard.control.devices import Devices
from steelyard.control.fencing import Fence
from steelyard.control.models import Models
from steelyard.control.results import Results
from steelyard.fleet.registry import Fleet
from steelyard.state_limits import StateLimits
from steelyard.store.blobs import BlobStore
from steelyard.store.worker import AsyncStore

DEFAULT_LOST_GRACE_S = 135.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWorld:
    """The parts of one controller that a job calls."""

    store: AsyncStore
    blobs: BlobStore
    fleet: Fleet
    devices: Devices
    results: Results
    models: Models
    work_directory: Path
    fence: Fence
    # What unfinished trainings came to; it outlives this process.
    checkpoint_directory: Path
    # How long a device that went away in the middle of a job has to come back: three leases.
    lost_grace_s: float = DEFAULT_LOST_GRACE_S
    limits: StateLimits = field(default_factory=StateLimits)
    # Whether a command started this controller for itself: its jobs end with it.
    temporary: bool = False
