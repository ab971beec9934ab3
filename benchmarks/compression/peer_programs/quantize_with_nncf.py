"""NNCF's post-training quantization of ONNX models, with its defaults."""

import nncf
import onnx
from samples import feeds, read_request

request = read_request()
data = feeds(request["samples"])
model_type = nncf.ModelType.TRANSFORMER if request["is_transformer"] else None
quantized = nncf.quantize(onnx.load(request["model"]), nncf.Dataset(data), subset_size=len(data), model_type=model_type)
onnx.save(quantized, request["out"])
