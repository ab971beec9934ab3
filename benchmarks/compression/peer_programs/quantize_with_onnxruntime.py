"""onnxruntime's own quantizer, with the preprocessing that its documentation asks for."""

from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from samples import feeds, read_request


class _Reader(CalibrationDataReader):
    def __init__(self, folder):
        self._feeds = iter(feeds(folder))

    def get_next(self):
        return next(self._feeds, None)


def _prepare(model, prepared):
    """Write the preprocessed model; without symbolic shapes where those fail, as the error message advises."""
    try:
        quant_pre_process(model, prepared)
    except Exception:  # noqa: BLE001  that is the type of its own errors
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
    return prepared if onnx.load(prepared).graph.node else model


request = read_request()
settings = request["settings"]
quantize_static(
    _prepare(request["model"], str(Path(request["out"]).with_suffix(".prepared.onnx"))),
    request["out"],
    _Reader(request["samples"]),
    quant_format=QuantFormat.QDQ,
    activation_type=getattr(QuantType, settings["activation_type"]),
    weight_type=getattr(QuantType, settings["weight_type"]),
    per_channel=settings["per_channel"],
    calibrate_method=CalibrationMethod.MinMax,
)
