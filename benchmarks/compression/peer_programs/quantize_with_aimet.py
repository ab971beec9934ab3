"""AIMET-ONNX's post-training quantization as its documentation begins: BatchNorm folded, minimum and maximum, QDQ."""

import onnx
from aimet_onnx.batch_norm_fold import fold_all_batch_norms_to_weight
from aimet_onnx.quantsim import QuantizationSimModel
from samples import feeds, read_request

request = read_request()
model = onnx.load(request["model"])
fold_all_batch_norms_to_weight(model)
data = feeds(request["samples"])
simulated = QuantizationSimModel(model, dummy_input=data[0])
simulated.compute_encodings(data)
# Without both of these onnxruntime finds no 8-bit kernels for the file.
onnx.save(simulated.to_onnx_qdq(export_int32_bias=True, prequantize_constants=True), request["out"])
