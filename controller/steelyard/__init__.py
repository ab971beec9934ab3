"""Steelyard weighs compressed neural networks on the hardware they will run on: the controller and its Python API.

>>> import steelyard
>>> with steelyard.connect() as client:  # doctest: +SKIP
...     model = client.add_model("model.onnx")
...     job = client.measure([model], device="local")
...     job.wait()
...     print(job.measurement().decision.sentence)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# On import, against the rule: ONNX Runtime is used in many places, in processes of a caller's, too, and from 1.29 on it
# reports sessions and models to Microsoft unless this was said before its own import. Nothing of a user's is uploaded
# to anybody; who wants it says ORT_DISABLE_TELEMETRY=0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Client", "Recipe", "SteelyardError", "__version__", "connect"]

if TYPE_CHECKING:
    from steelyard.compress.recipe import Recipe
    from steelyard.control.client import Client
    from steelyard.control.connect import connect
    from steelyard.errors import SteelyardError


def __getattr__(name: str) -> object:
    """Import the API on use: ``import steelyard`` alone stays instant (PEP 562)."""
    if name == "Client":
        from steelyard.control.client import Client

        return Client
    if name == "connect":
        from steelyard.control.connect import connect

        return connect
    if name == "Recipe":
        from steelyard.compress.recipe import Recipe

        return Recipe
    if name == "SteelyardError":
        from steelyard.errors import SteelyardError

        return SteelyardError
    raise AttributeError(f"module 'steelyard' has no attribute {name!r}")
