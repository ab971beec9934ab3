"""Compression of models: recipes of steps, run in a process of their own, every variant with its lineage."""
