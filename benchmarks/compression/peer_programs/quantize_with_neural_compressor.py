"""onnx-neural-compressor's static quantization, with its defaults."""

from onnx_neural_compressor import data_reader
from onnx_neural_compressor.quantization import config, quantize
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
quantize(request["model"], request["out"], config.StaticQuantConfig(_Reader(request["samples"])))
