"""Cross-layer equalization of float ONNX models: which channels scale together, and by how much."""
