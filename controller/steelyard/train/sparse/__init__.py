"""Sparsity that grows while a model is trained, and zeros that stay zeros."""
