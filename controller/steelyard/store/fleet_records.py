"""All that the store keeps of the rules of a fleet."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.store.database import Database
from steelyard.store.device_log import DeviceLog
from steelyard.store.device_rules import DeviceRules
from steelyard.store.lease_epochs import LeaseEpochs
from steelyard.store.quarantines import Quarantines


class FleetRecords:
    """Reached as ``Store.fleet``; synchronous, for the store's thread."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self.rules = DeviceRules(database, clock_ns)
        self.log = DeviceLog(database, clock_ns)
        self.quarantines = Quarantines(database, clock_ns)
        self.leases = LeaseEpochs(database)
