"""All that the store keeps of nights."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.store.alerts import Alerts
from steelyard.store.database import Database
from steelyard.store.histories import Histories
from steelyard.store.night_items import NightItems
from steelyard.store.nights import Nights
from steelyard.store.points import Points
from steelyard.store.silences import Silences


class NightlyRecords:
    """Reached as ``Store.nightly``; synchronous, for the store's thread."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self.nights = Nights(database, clock_ns)
        self.items = NightItems(database, clock_ns)
        self.points = Points(database)
        self.series = Histories(database)
        self.alerts = Alerts(database, clock_ns)
        self.silences = Silences(database, clock_ns)
