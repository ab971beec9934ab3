"""UpkeepService: message in, domain call, message out. Roles were looked at before, by the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio

from steelyard.control.by_name import add_service
from steelyard_protocol.v1 import upkeep_pb2

if TYPE_CHECKING:
    from steelyard.control.upkeep import Upkeep


class UpkeepServicer:
    """Serves those who administer; a method's name is its RPC's in snake case."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def collect_garbage(self, request: upkeep_pb2.CollectGarbageRequest) -> upkeep_pb2.CollectGarbageResponse:
        """Remove what nobody needs, or say what would be removed."""
        return await self._upkeep.collect(request)


def add_upkeep_service(servicer: UpkeepServicer, server: grpc.aio.Server) -> None:
    """Register every RPC of UpkeepService with the method of its name."""
    add_service(upkeep_pb2, "UpkeepService", servicer, server)
