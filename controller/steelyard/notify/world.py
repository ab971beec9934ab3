"""What sending needs of the world outside: the environment, time, chance, and how long to wait for a service."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``sleep`` takes seconds; ``jitter`` returns a number from 0 to 1; ``now`` has a time zone."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    now: Callable[[], datetime] = lambda: datetime.now(tz=timezone.utc)
    # For each step of a conversation. Chat services answer within a second; mail servers look senders up first.
    timeout_s: float = 20.0
