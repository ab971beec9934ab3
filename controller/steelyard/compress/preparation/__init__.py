"""Rewrites of float graphs before quantization that leave what they compute: BatchNorm, Gemm, names."""
