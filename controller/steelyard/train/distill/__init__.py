"""Distillation: teachers that a model learns from while it is trained."""
