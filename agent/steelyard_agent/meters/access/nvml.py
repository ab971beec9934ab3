"""Access "nvml": a GPU's power (mW) or energy counter (mJ) through NVIDIA's management library; loaded on use.

Addresses are the GPU's UUID and "power" or "energy". Source: the NVML API reference, nvmlDeviceGetPowerUsage and
nvmlDeviceGetTotalEnergyConsumption (mJ since the driver was loaded, Volta and newer).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError

RUNS_PROGRAM = False

_FUNCTIONS = {"power": "nvmlDeviceGetPowerUsage", "energy": "nvmlDeviceGetTotalEnergyConsumption"}


def open_reader(_system: System, addresses: tuple[str, ...]) -> NvmlReader:
    """Return a reader of a quantity of a GPU."""
    uuid, quantity = addresses
    return NvmlReader(uuid, quantity)


def load_nvml() -> Any:
    """Return the package ``pynvml`` of nvidia-ml-py, initialised; ``nvmlShutdown`` gives it back.

    Raises:
        SourceError: the package, the library or the driver is missing.
    """
    try:
        nvml = import_module("pynvml")
    except ImportError as error:
        message = "an NVIDIA GPU is there, the package nvidia-ml-py is not: pip install 'steelyard[nvidia]'"
        raise SourceError("package_missing", message) from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        message = f"an NVIDIA GPU is there, but NVML says {str(error)!r}; try nvidia-smi"
        raise SourceError("driver_missing", message) from error
    return nvml


class NvmlReader:
    """Keeps the library initialised and the GPU's handle."""

    def __init__(self, uuid: str, quantity: str) -> None:
        self._uuid = uuid
        self._quantity = quantity
        self._nvml: Any = None
        self._handle: Any = None

    def read(self) -> int:
        """Return milliwatts or millijoules.

        Raises:
            SourceError: the library or the GPU gives no value.
        """
        if self._nvml is None:
            self._open()
        try:
            return int(getattr(self._nvml, _FUNCTIONS[self._quantity])(self._handle))
        except self._nvml.NVMLError as error:
            raise SourceError("nvml", f"NVML says of the {self._quantity} of {self._uuid}: {error}") from error

    def close(self) -> None:
        """Give the library back."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None

    def _open(self) -> None:
        nvml = load_nvml()
        try:
            self._handle = nvml.nvmlDeviceGetHandleByUUID(self._uuid)
        except nvml.NVMLError as error:
            nvml.nvmlShutdown()
            raise SourceError("nvml", f"NVML knows no GPU {self._uuid}: {error}") from error
        self._nvml = nvml
