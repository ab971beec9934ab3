"""ExperimentService: message in, store call, message out. Roles were looked at before, by the guard."""

from __future__ import annotations

import grpc.aio

from steelyard.control.by_name import add_service
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import experiment_pb2


class ExperimentServicer:
    """Serves those who run experiments and read them; a method's name is its RPC's in snake case."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    async def submit_experiment(
        self, request: experiment_pb2.SubmitExperimentRequest
    ) -> experiment_pb2.SubmitExperimentResponse:
        """Keep an experiment."""
        kept = await self._store.call(lambda store: store.experiments.put(request.experiment))
        return experiment_pb2.SubmitExperimentResponse(experiment=kept)

    async def get_experiment(
        self, request: experiment_pb2.GetExperimentRequest
    ) -> experiment_pb2.GetExperimentResponse:
        """Return an experiment."""
        found = await self._store.call(lambda store: store.experiments.get(request.name))
        return experiment_pb2.GetExperimentResponse(experiment=found)

    async def list_experiments(
        self, request: experiment_pb2.ListExperimentsRequest
    ) -> experiment_pb2.ListExperimentsResponse:
        """Return a page of experiments."""
        asked = request.page_size, request.page_token
        found, token = await self._store.call(lambda store: store.experiments.page(*asked))
        return experiment_pb2.ListExperimentsResponse(experiments=found, next_page_token=token)


def add_experiment_service(servicer: ExperimentServicer, server: grpc.aio.Server) -> None:
    """Register every RPC of ExperimentService with the method of its name."""
    add_service(experiment_pb2, "ExperimentService", servicer, server)
