"""How each operator of ONNX becomes a layer or a call, one file a family; ``table`` has them all."""
