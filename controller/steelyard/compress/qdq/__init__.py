"""Quantized ONNX graphs (QDQ) beside the float graph that they came from: layers, surgery, repair."""
