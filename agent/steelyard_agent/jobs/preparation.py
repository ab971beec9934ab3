"""Models that are compiled on the device: built once, before anything is timed, then loaded from the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steelyard_agent.description import DeviceDescription, RuntimeDescription
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.runtimes.onnxruntime_providers import SUFFIX
from steelyard_agent.runtimes.provider_names import full_name
from steelyard_agent.state.prepared import PreparedCache, prepared_key
from steelyard_agent.worker.block import KIND_PREPARATION, Block, WorkerResult
from steelyard_protocol.v1 import common_pb2
from steelyard_protocol.v1.plan_pb2 import PlannedArtifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Knows which artifacts are compiled here, and where what was made of them lies.

    ``fingerprint`` is what a build depends on beside model and options: the device, its processor and its drivers.
    """

    cache: PreparedCache
    runtimes: Sequence[RuntimeDescription]
    fingerprint: Mapping[str, str] = field(default_factory=dict)

    def concerns(self, artifact: PlannedArtifact) -> bool:
        """Return whether a provider that the artifact may run on compiles it on this device."""
        runtime = self._runtime(artifact)
        if runtime is None:
            return False
        # What was asked for may be a short name: "tensorrt".
        asked = [full_name(one.name, runtime.providers, suffix=SUFFIX) for one in artifact.runtime.providers]
        wanted = asked or list(runtime.providers[:1])
        return not set(wanted).isdisjoint(runtime.compiling_providers)

    def equipped(self, artifact: PlannedArtifact, block: Block) -> Block:
        """Return the block with the cache folder of its artifact, as it is where nothing is compiled."""
        if not self.concerns(artifact):
            return block
        key = self._key(artifact, block)
        folder = self.cache.begin(key) if block.kind == KIND_PREPARATION else self.cache.folder(key)
        if artifact.confidential:
            self.cache.mark_confidential(key)
        return replace(block, cache_folder=str(folder))

    def settled(self, artifact: PlannedArtifact, block: Block, result: WorkerResult) -> WorkerResult:
        """Return what a preparation block found, with the build's time also where an earlier job built.

        Raises:
            OSError: A finished build cannot be noted.
        """
        key = self._key(artifact, block)
        if result.build_ns is not None:
            self.cache.finish(key, result.build_ns)
            return result
        note = "compiled by an earlier job on this device; the build's time is of then"
        return replace(result, build_ns=self.cache.build_ns(key), notes=(*result.notes, note))

    def failed(self, artifact: PlannedArtifact, block: Block) -> None:
        """Remove what a block that did not end well may have left half-written."""
        self.cache.forget(self._key(artifact, block))

    def _runtime(self, artifact: PlannedArtifact) -> RuntimeDescription | None:
        wanted = (artifact.runtime.name, artifact.runtime.environment)
        return next((one for one in self.runtimes if (one.name, one.environment) == wanted), None)

    def _key(self, artifact: PlannedArtifact, block: Block) -> str:
        runtime = self._runtime(artifact)
        return prepared_key(
            {
                "model": artifact.artifact_digest,
                "runtime": artifact.runtime.name,
                "environment": artifact.runtime.environment,
                "version": runtime.version if runtime is not None else "",
                "options": block.runtime,
                "device": dict(self.fingerprint),
            }
        )


def build_fingerprint(system: System, device: DeviceDescription | common_pb2.DeviceDescription) -> dict[str, str]:
    """Return what of a device a compiled model depends on: processor, system, kernel, and NVIDIA's driver apart.

    Drivers of other accelerators come with the kernel, so that its release stands for theirs.
    """
    return {
        "device": device.device_id,
        "processor": device.processor,
        "features": " ".join(device.processor_features),
        "system": device.operating_system,
        "kernel": device.kernel,
        "nvidia_driver": text_or_empty(system, "/proc/driver/nvidia/version"),
        # A Jetson's libraries come with its L4T release.
        "l4t_release": text_or_empty(system, "/etc/nv_tegra_release"),
    }
