"""The part of the Python API that keeps what nights measured; reached as ``client.nightly.series``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from steelyard.control.errors_on_wire import called
from steelyard.control.paged import paged
from steelyard_protocol.v1 import nightly_pb2, nightly_pb2_grpc

_TIMEOUT_S = 60.0
_PAGE_SIZE = 500
# A controller takes 1 MiB a message and 2,000 points; a point with its key is 200 bytes or so.
_POINTS_AT_ONCE = 1000
_BYTES_AT_ONCE = 512 * 1024
_ENVIRONMENTS_AT_ONCE = 500


class SeriesClient:
    """Every method raises ``steelyard.SteelyardError``."""

    def __init__(self, stub: nightly_pb2_grpc.NightlyServiceStub) -> None:
        self._stub = stub

    def record(
        self,
        night_id: str,
        points: Sequence[nightly_pb2.Point],
        environments: Sequence[Mapping[str, str]] = (),
    ) -> int:
        """Record points of a night and return how many were new; the same again changes nothing.

        A point's ``environment_index`` is that of its environment, counted from 1; 0 where none is known. What is there
        stays, but a value takes the place of a gap.
        """
        recorded = 0
        for request in _requests(night_id, points, environments):
            recorded += called(lambda one=request: self._stub.RecordPoints(one, timeout=_TIMEOUT_S)).recorded_count  # type: ignore[misc]
        return recorded

    def find(self, chosen: nightly_pb2.SeriesFilter | None = None) -> list[nightly_pb2.Series]:
        """Return the series that fit, in the order in which they began."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.Series], str]:
            request = nightly_pb2.ListSeriesRequest(filter=chosen, page_size=_PAGE_SIZE, page_token=token)
            response = self._stub.ListSeries(request, timeout=_TIMEOUT_S)
            return response.series, response.next_page_token

        return list(paged(page))

    def histories(
        self,
        chosen: nightly_pb2.SeriesFilter,
        *,
        up_to_night: int = 0,
        last: int = 64,
    ) -> Iterator[nightly_pb2.SeriesHistory]:
        """Yield the series that fit with the last values of each up to a night (0: all)."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.SeriesHistory], str]:
            request = nightly_pb2.ListHistoriesRequest(
                filter=chosen, up_to_night=up_to_night, last_count=last, page_size=_PAGE_SIZE, page_token=token
            )
            response = self._stub.ListHistories(request, timeout=_TIMEOUT_S)
            return response.histories, response.next_page_token

        return paged(page)

    def points(self, series_id: int, *, up_to_night: int = 0, most: int = 90) -> list[nightly_pb2.Point]:
        """Return the last nights of a series, gaps as well, the newest first."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.Point], str]:
            request = nightly_pb2.ListPointsRequest(
                series_id=series_id, up_to_night=up_to_night, page_size=min(most, _PAGE_SIZE), page_token=token
            )
            response = self._stub.ListPoints(request, timeout=_TIMEOUT_S)
            return response.points, response.next_page_token

        return list(islice(paged(page), most))

    def night_points(self, night_id: str) -> Iterator[nightly_pb2.Point]:
        """Yield all that a night recorded, each with its key."""

        def page(token: str) -> tuple[Sequence[nightly_pb2.Point], str]:
            request = nightly_pb2.ListNightPointsRequest(night_id=night_id, page_size=_PAGE_SIZE, page_token=token)
            response = self._stub.ListNightPoints(request, timeout=_TIMEOUT_S)
            return response.points, response.next_page_token

        return paged(page)

    def environments(self, environment_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """Return environments by their ids; ids that nobody knows are left out."""
        found: dict[int, dict[str, str]] = {}
        wanted = sorted({one for one in environment_ids if one})
        for start in range(0, len(wanted), _ENVIRONMENTS_AT_ONCE):
            ids = wanted[start : start + _ENVIRONMENTS_AT_ONCE]
            request = nightly_pb2.GetEnvironmentsRequest(environment_ids=ids)
            response = called(lambda one=request: self._stub.GetEnvironments(one, timeout=_TIMEOUT_S))  # type: ignore[misc]
            found |= {one.environment_id: dict(one.entries) for one in response.environments}
        return found


def _requests(
    night_id: str, points: Sequence[nightly_pb2.Point], environments: Sequence[Mapping[str, str]]
) -> Iterator[nightly_pb2.RecordPointsRequest]:
    """Yield requests that a controller takes, each with the environments of its own points."""
    request, places = nightly_pb2.RecordPointsRequest(night_id=night_id), dict[int, int]()
    size = 0
    for point in points:
        kept = request.points.add()
        kept.CopyFrom(point)
        if point.environment_index:
            if point.environment_index not in places:
                entries = dict(environments[point.environment_index - 1])
                size += request.environments.add(entries=entries).ByteSize()
                places[point.environment_index] = len(request.environments)
            kept.environment_index = places[point.environment_index]
        size += kept.ByteSize()
        if len(request.points) >= _POINTS_AT_ONCE or size >= _BYTES_AT_ONCE:
            yield request
            request, places, size = nightly_pb2.RecordPointsRequest(night_id=night_id), {}, 0
    if request.points:
        yield request
