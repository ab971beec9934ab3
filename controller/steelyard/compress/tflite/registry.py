"""Which function does a step's work on a TFLite model; modules are imported when a step is applied."""

from __future__ import annotations

# By kind of step, "module:function"; function(step, model_path, out_path, context) -> StepReport.
TFLITE_FUNCTIONS = {
    "static-int8": "steelyard.compress.tflite.quantization:static_int8",
    "dynamic-int8": "steelyard.compress.tflite.quantization:dynamic_int8",
    "weight-only": "steelyard.compress.tflite.weight_formats:weight_only",
    "float16": "steelyard.compress.tflite.weight_formats:float16",
    "share-weights": "steelyard.compress.tflite.sharing:share_weights",
    "sensitivity": "steelyard.compress.tflite.sensitivity:sensitivity",
    "sparsify": "steelyard.compress.tflite.sparsifying:sparsify",
}
