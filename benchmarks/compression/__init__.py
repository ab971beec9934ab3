"""Benchmarks of compression against peers, on models as people have them."""
