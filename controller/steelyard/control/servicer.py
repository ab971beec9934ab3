"""ControlService: message in, domain call, domain error to status code, message out. Nothing else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc.aio

from steelyard import __version__
from steelyard.control.by_name import add_service
from steelyard.control.round_pages import page_of_rounds
from steelyard.control.token_scope import require_own_job
from steelyard.errors import IncompleteError
from steelyard.identity.roles import Role
from steelyard.job_states import FINAL_STATES
from steelyard.membership.caller import require_role
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2

if TYPE_CHECKING:
    from steelyard.control.controller import Controller

_DEFAULT_PAGE_SIZE = 100
_MAX_PAGE_SIZE = 1000
_MAX_EVENT_WAIT_MS = 30_000
_EVENT_POLL_S = 0.05
_EVENT_PAGE = 1000


class ControlServicer:
    """Serves people and programs; a method's name is its RPC's in snake case."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._store = controller.store

    async def get_controller(self, _request: control_pb2.GetControllerRequest) -> control_pb2.GetControllerResponse:
        """Say who this controller is."""
        return control_pb2.GetControllerResponse(
            controller_id=self._controller.controller_id,
            version=__version__,
            state_directory=str(self._controller.state_directory),
            agent_address=self._controller.agent_address,
            temporary=self._controller.temporary,
        )

    async def list_devices(self, request: control_pb2.ListDevicesRequest) -> control_pb2.ListDevicesResponse:
        """Return a page of devices."""
        devices, token = await self._controller.devices.all(_page_size(request.page_size), request.page_token)
        return control_pb2.ListDevicesResponse(devices=devices, next_page_token=token)

    async def get_device(self, request: control_pb2.GetDeviceRequest) -> control_pb2.GetDeviceResponse:
        """Return one device."""
        return control_pb2.GetDeviceResponse(device=await self._controller.devices.find(request.device))

    async def create_artifact(self, request: control_pb2.CreateArtifactRequest) -> control_pb2.CreateArtifactResponse:
        """Register an uploaded blob as a model."""
        artifact = await self._controller.models.create_artifact(
            request.digest, request.name, confidential=request.confidential
        )
        return control_pb2.CreateArtifactResponse(artifact=artifact)

    async def get_artifact(self, request: control_pb2.GetArtifactRequest) -> control_pb2.GetArtifactResponse:
        """Return one artifact."""
        artifact = await self._store.call(Store.find_artifact, request.artifact)
        return control_pb2.GetArtifactResponse(artifact=artifact)

    async def list_artifacts(self, request: control_pb2.ListArtifactsRequest) -> control_pb2.ListArtifactsResponse:
        """Return a page of artifacts."""
        artifacts, token = await self._store.call(
            Store.list_artifacts, _page_size(request.page_size), request.page_token
        )
        return control_pb2.ListArtifactsResponse(artifacts=artifacts, next_page_token=token)

    async def create_task(self, request: control_pb2.CreateTaskRequest) -> control_pb2.CreateTaskResponse:
        """Register uploaded blobs as a task."""
        return control_pb2.CreateTaskResponse(task=await self._controller.models.create_task(request.task))

    async def get_task(self, request: control_pb2.GetTaskRequest) -> control_pb2.GetTaskResponse:
        """Return one task."""
        return control_pb2.GetTaskResponse(task=await self._store.call(Store.get_task, request.task_id))

    async def submit_compression(
        self, request: control_pb2.SubmitCompressionRequest
    ) -> control_pb2.SubmitCompressionResponse:
        """Take a compression in."""
        if request.plugin_paths:
            # A plugin is a program that the controller's user runs.
            require_role(Role.ADMINISTER, "using a plugin file of the controller's machine")
        job = await self._controller.jobs.submit_compression(request)
        return control_pb2.SubmitCompressionResponse(job_id=job.job_id)

    async def submit_measurement(
        self, request: control_pb2.SubmitMeasurementRequest
    ) -> control_pb2.SubmitMeasurementResponse:
        """Take a measurement in."""
        job = await self._controller.jobs.submit_measurement(request)
        return control_pb2.SubmitMeasurementResponse(job_id=job.job_id, estimated_ms=job.estimated_ms)

    async def get_job(self, request: control_pb2.GetJobRequest) -> control_pb2.GetJobResponse:
        """Return one job."""
        job = await self._store.call(Store.get_job, request.job_id)
        return control_pb2.GetJobResponse(job=self._controller.jobs.as_known(job))

    async def list_jobs(self, request: control_pb2.ListJobsRequest) -> control_pb2.ListJobsResponse:
        """Return a page of jobs, newest first."""
        jobs, token = await self._store.call(Store.list_jobs, _page_size(request.page_size), request.page_token)
        return control_pb2.ListJobsResponse(jobs=jobs, next_page_token=token)

    async def cancel_job(self, request: control_pb2.CancelJobRequest) -> control_pb2.CancelJobResponse:
        """Cancel a job."""
        require_own_job(await self._store.call(Store.get_job, request.job_id))
        return control_pb2.CancelJobResponse(job=await self._controller.jobs.cancel(request.job_id))

    async def list_events(self, request: control_pb2.ListEventsRequest) -> control_pb2.ListEventsResponse:
        """Return a job's events after a cursor, waiting a bounded time for the next one."""
        job = await self._store.call(Store.get_job, request.job_id)
        deadline = time.monotonic() + min(max(request.wait_ms, 0), _MAX_EVENT_WAIT_MS) / 1000
        while True:
            # The state is read before the events: a final state then has all its events in what follows.
            job = self._controller.jobs.as_known(await self._store.call(Store.get_job, job.job_id))
            events = await self._store.call(Store.list_events, job.job_id, request.after_cursor, _EVENT_PAGE)
            finished = job.state in FINAL_STATES and len(events) < _EVENT_PAGE
            if events or finished or time.monotonic() >= deadline:
                return control_pb2.ListEventsResponse(events=events, finished=finished)
            await asyncio.sleep(_EVENT_POLL_S)

    async def get_measurement(self, request: control_pb2.GetMeasurementRequest) -> control_pb2.GetMeasurementResponse:
        """Return what a measurement says so far."""
        measurement = await self._controller.results.measurement(await self._measurement_job(request.job_id))
        return control_pb2.GetMeasurementResponse(measurement=measurement)

    async def get_measurement_record(
        self, request: control_pb2.GetMeasurementRecordRequest
    ) -> control_pb2.GetMeasurementRecordResponse:
        """Return all that a measurement's figures follow from."""
        record = await self._controller.results.record_of(await self._measurement_job(request.job_id))
        return control_pb2.GetMeasurementRecordResponse(record=record)

    async def _measurement_job(self, job_id: str) -> control_pb2.Job:
        job = await self._store.call(Store.get_job, job_id)
        if job.kind != control_pb2.JOB_KIND_MEASUREMENT:
            raise IncompleteError("not_a_measurement", f"job {job.job_id[:12]} is not a measurement: it has no figures")
        return job

    async def list_rounds(self, request: control_pb2.ListRoundsRequest) -> control_pb2.ListRoundsResponse:
        """Name the blobs of a job's rounds, those of the jobs that it extends included."""
        job = await self._store.call(Store.get_job, request.job_id)
        rounds, token = page_of_rounds(
            await self._controller.results.references(job.job_id),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        traces = [] if request.page_token else await self._store.call(Store.list_traces, job.job_id)
        return control_pb2.ListRoundsResponse(rounds=rounds, traces=traces, next_page_token=token)


def add_control_service(servicer: ControlServicer, server: grpc.aio.Server) -> None:
    """Register every RPC of ControlService with the method of its name."""
    add_service(control_pb2, "ControlService", servicer, server)


def _page_size(asked: int) -> int:
    return min(asked, _MAX_PAGE_SIZE) if asked > 0 else _DEFAULT_PAGE_SIZE
