"""A device's description as the wire has it."""

from __future__ import annotations

from dataclasses import asdict

from steelyard_agent.cores import CoreGroup
from steelyard_agent.description import DeviceDescription, RuntimeDescription
from steelyard_agent.jobs.messages import reading_message
from steelyard_protocol.v1 import common_pb2

# Of a description, which a hello holds beside the rounds that are not acknowledged; a usual one has 3 KiB.
_MAX_DESCRIPTION_BYTES = 32 * 1024
_MAX_WHY_CHARACTERS = 500


def description_message(device: DeviceDescription) -> common_pb2.DeviceDescription:
    """Return a device's description as the wire has it, short enough for a hello."""
    message = common_pb2.DeviceDescription(
        device_id=device.device_id,
        name=device.name,
        model=device.model,
        profile=device.profile,
        architecture=device.architecture,
        operating_system=device.operating_system,
        kernel=device.kernel,
        processor=device.processor,
        logical_core_count=device.logical_core_count,
        processor_features=device.processor_features,
        memory_bytes=device.memory_bytes,
        python_version=device.python_version,
        runtimes=[
            common_pb2.RuntimeDescription(
                name=runtime.name,
                version=runtime.version,
                providers=runtime.providers,
                # On the wire a reason says that the whole runtime cannot be used.
                reason="" if runtime.providers else runtime.reason[:_MAX_WHY_CHARACTERS],
                environment=runtime.environment,
                compiling_providers=runtime.compiling_providers,
                unusable_providers=[
                    common_pb2.UnusableProvider(name=name, reason=reason[:_MAX_WHY_CHARACTERS])
                    for name, reason in runtime.unusable_providers
                ],
            )
            for runtime in device.runtimes
        ],
        meters=[reading_message(reading) for reading in device.meters],
        core_groups=[_core_group_message(group) for group in device.core_groups],
        emulated_by=device.emulated_by,
        least_energy_window_ms=device.least_energy_window_ms,
        identity=common_pb2.DeviceIdentity(**asdict(device.identity)),
    )
    # Two dozen runtime environments with the same twenty absent providers each; the agent's own come first.
    for runtime in reversed(message.runtimes):
        if message.ByteSize() <= _MAX_DESCRIPTION_BYTES:
            break
        runtime.ClearField("unusable_providers")
    return message


def described_runtimes(message: common_pb2.DeviceDescription) -> tuple[RuntimeDescription, ...]:
    """Return the runtimes that a description on the wire names; which providers cannot be used may be missing there."""
    return tuple(
        RuntimeDescription(
            name=one.name,
            version=one.version,
            providers=tuple(one.providers),
            reason=one.reason,
            environment=one.environment,
            compiling_providers=tuple(one.compiling_providers),
            unusable_providers=tuple((each.name, each.reason) for each in one.unusable_providers),
        )
        for one in message.runtimes
    )


def _core_group_message(group: CoreGroup) -> common_pb2.CoreGroup:
    return common_pb2.CoreGroup(
        name=group.name,
        core_ids=group.core_ids,
        capacity=group.capacity,
        max_frequency_hz=group.max_frequency_hz,
        features=group.features,
    )
