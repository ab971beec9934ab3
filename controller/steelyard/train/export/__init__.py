"""From a PyTorch module back to a model file: ONNX, TFLite, Core ML, each checked against the module."""
