"""onnx-neural-compressor's static quantization, in the QDQ format and per channel."""

from pathlib import Path

import onnx
from onnx_neural_compressor import data_reader
from onnx_neural_compressor.quantization import config, quantize
from onnxruntime import quantization
from samples import feeds, read_request


class _Reader(data_reader.CalibrationDataReader):
    def __init__(self, folder):
        self._folder = folder
        self.rewind()

    def get_next(self):
        return next(self._feeds, None)

    def rewind(self):
        self._feeds = iter(feeds(self._folder))


request = read_request()
settings = config.StaticQuantConfig(
    _Reader(request["samples"]),
    quant_format=quantization.QuantFormat.QDQ,
    per_channel=True,
    calibration_sampling_size=len(feeds(request["samples"])),
)
# It puts the weights beside the model, and refuses to where there are some.
beside = Path(request["out"] + "_data")
beside.unlink(missing_ok=True)
quantize(request["model"], request["out"], settings)
onnx.save(onnx.load(request["out"]), request["out"])
beside.unlink(missing_ok=True)
