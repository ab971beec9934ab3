"""Who may keep experiments, and who may read them, by the port with certificates."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from steelyard.identity.roles import Role
from steelyard_protocol.v1 import experiment_pb2, experiment_pb2_grpc
from tests.loopback.identity.conftest import Ports

MODEL = "ab" * 32


async def submit(channel: grpc.aio.Channel) -> experiment_pb2.Experiment:
    stub = experiment_pb2_grpc.ExperimentServiceStub(channel)
    given = experiment_pb2.Experiment(name="pruning", model_digest=MODEL, json="{}")
    return (
        await stub.SubmitExperiment(experiment_pb2.SubmitExperimentRequest(experiment=given), timeout=60)
    ).experiment


async def names(channel: grpc.aio.Channel) -> list[str]:
    stub = experiment_pb2_grpc.ExperimentServiceStub(channel)
    listed = await stub.ListExperiments(experiment_pb2.ListExperimentsRequest(), timeout=60)
    return [one.name for one in listed.experiments]


async def test_who_may_run_keeps_experiments_and_who_may_read_sees_them(ports: Ports) -> None:
    reader, runner = await ports.user("ada", Role.READ), await ports.user("bob", Role.RUN)
    async with runner.channel() as channel:
        assert (await submit(channel)).version == 1
    async with reader.channel() as channel:
        assert await names(channel) == ["pruning"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await submit(channel)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_device_has_no_part_in_experiments(ports: Ports) -> None:
    holder = await ports.device()
    async with holder.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await names(channel)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
