"""The part of the Python API that keeps experiments; reached as ``client.experiments``."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from steelyard.control.errors_on_wire import called
from steelyard.control.paged import paged
from steelyard_protocol.v1 import experiment_pb2, experiment_pb2_grpc

_TIMEOUT_S = 60.0


class ExperimentClient:
    """Every method raises ``steelyard.SteelyardError``.

    Over a network ``put`` needs the role "run", everything else "read".
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = experiment_pb2_grpc.ExperimentServiceStub(channel)

    def put(self, experiment: experiment_pb2.Experiment) -> experiment_pb2.Experiment:
        """Keep an experiment, and return it with the version that it has now."""
        request = experiment_pb2.SubmitExperimentRequest(experiment=experiment)
        return called(lambda: self._stub.SubmitExperiment(request, timeout=_TIMEOUT_S)).experiment

    def get(self, name: str) -> experiment_pb2.Experiment:
        """Return an experiment by its name."""
        request = experiment_pb2.GetExperimentRequest(name=name)
        return called(lambda: self._stub.GetExperiment(request, timeout=_TIMEOUT_S)).experiment

    def all(self) -> list[experiment_pb2.Experiment]:
        """Return every experiment, the newest first."""

        def page(token: str) -> tuple[Sequence[experiment_pb2.Experiment], str]:
            request = experiment_pb2.ListExperimentsRequest(page_token=token)
            response = self._stub.ListExperiments(request, timeout=_TIMEOUT_S)
            return response.experiments, response.next_page_token

        return list(paged(page))
