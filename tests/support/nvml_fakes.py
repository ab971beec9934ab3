"""Two stand-ins for NVIDIA's management library: an object in place of ``pynvml``, and a real shared library."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

_SOURCE = Path(__file__).with_name("nvml") / "fake_nvml.c"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeGpu:
    """One GPU's answers; None is "Not Supported"."""

    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str = "GPU-8b1f5a3e-0c7d-4f0e-9a51-2f6f3d1c7e10"
    architecture: int = 9
    power_mw: int | None = 68_920
    energy_mj: int | None = 123_456_789

    def line(self) -> str:
        """Return what fake_nvml.c reads."""
        told = ["-" if value is None else str(value) for value in (self.power_mw, self.energy_mj)]
        return ";".join((self.name, self.uuid, str(self.architecture), *told))


class FakeNvml:
    """Answers as the package pynvml of nvidia-ml-py does, as far as we ask."""

    class NVMLError(Exception):
        """As of pynvml."""

    def __init__(self, *gpus: FakeGpu, init_error: str = "", count_error: str = "", lost: tuple[int, ...] = ()) -> None:
        self.gpus = list(gpus)
        self.init_error = init_error
        self.count_error = count_error
        self.lost = lost
        self.tells_architecture = True
        self.open_count = 0

    def nvmlInit(self) -> None:
        if self.init_error:
            raise self.NVMLError(self.init_error)
        self.open_count += 1

    def nvmlShutdown(self) -> None:
        self.open_count -= 1

    def nvmlDeviceGetCount(self) -> int:
        if self.count_error:
            raise self.NVMLError(self.count_error)
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index in self.lost:
            raise self.NVMLError("GPU is lost")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        for index, gpu in enumerate(self.gpus):
            if gpu.uuid == uuid:
                return self.nvmlDeviceGetHandleByIndex(index)
        raise self.NVMLError("Not Found")

    def nvmlDeviceGetName(self, handle: int) -> str:
        return self.gpus[handle].name

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return self.gpus[handle].uuid

    def nvmlDeviceGetArchitecture(self, handle: int) -> int:
        if not self.tells_architecture:
            raise self.NVMLError("Function Not Found")
        return self.gpus[handle].architecture

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return self._told(self.gpus[handle].power_mw)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return self._told(self.gpus[handle].energy_mj)

    def _told(self, value: int | None) -> int:
        if value is None:
            raise self.NVMLError("Not Supported")
        return value


def live_energy_j(gpu: FakeGpu, start_ns: int, end_ns: int) -> float:
    """Return what the shared library's GPU takes between two times of CLOCK_MONOTONIC while NVML_LIVE is set."""
    assert gpu.power_mw is not None
    angle_s = 20 / (2 * pi)
    start, end = (ns / 1e9 - 0.3 * angle_s * cos(ns / 1e9 / angle_s) for ns in (start_ns, end_ns))
    return gpu.power_mw / 1000 * (end - start)


def build_fake_library(folder: Path) -> Path:
    """Compile the shared library; a process finds it with ``LD_LIBRARY_PATH`` set to the returned folder."""
    library = folder / "libnvidia-ml.so.1"
    command = ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-O1", "-o", str(library), str(_SOURCE), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    return folder
