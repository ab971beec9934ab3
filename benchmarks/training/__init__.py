"""Benchmarks of compression with training."""
