"""Which of a device's energy readings stands for a model: what covers most of where the model ran. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.analysis.energy_names import ENERGY_NAME
from steelyard_protocol.v1 import common_pb2

# Only these run on the board that NVML measures; a GPU that rests beside a model on the CPU is no part of it.
_ON_NVIDIA_GPU = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"})

NOT_ON_THE_GPU = "only an NVIDIA GPU's energy can be read here, and the model did not run on it"


def energy_readings(readings: Iterable[common_pb2.Reading], providers: Sequence[str]) -> list[common_pb2.Reading]:
    """Return the readings of energy that can stand for a model that ``providers`` ran, the best first.

    The agent names what covers most first. A GPU's board comes before the rest of the device for a model that ran on
    it, and not at all for another.
    """
    energies = [one for one in readings if one.name == ENERGY_NAME]
    on_gpu = [one for one in energies if one.scope == common_pb2.READING_SCOPE_GPU_BOARD]
    elsewhere = [one for one in energies if one.scope != common_pb2.READING_SCOPE_GPU_BOARD]
    return on_gpu + elsewhere if providers and providers[0] in _ON_NVIDIA_GPU else elsewhere


def reads_only_a_gpu(readings: Iterable[common_pb2.Reading]) -> bool:
    """Return whether there is energy of a GPU's board, and of nothing else."""
    scopes = {one.scope for one in readings if one.name == ENERGY_NAME and one.HasField("value")}
    return scopes == {common_pb2.READING_SCOPE_GPU_BOARD}
