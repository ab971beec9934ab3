"""Import torchao without what it tells on the way: libraries for GPUs that are not here, torch's own deprecations."""

from __future__ import annotations

import logging

from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.extras import need


def need_torchao() -> None:
    """Import torchao's quantization quietly.

    Raises:
        ExtraMissingError: it is not installed.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with quiet_exporters():
            need("torchao", what="quantization-aware training")
            need("torchao.quantization.pt2e", what="quantization-aware training")
    finally:
        logging.disable(before)
