"""From a PyTorch program to an ONNX model: ExportedProgram, TorchScript, or a factory with a state dict."""
