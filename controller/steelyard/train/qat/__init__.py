"""Quantization-aware training: a quantizer under torchao's pt2e flow, and the QDQ file that it ends in."""
