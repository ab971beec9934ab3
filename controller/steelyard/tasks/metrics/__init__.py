"""Metrics: what a task scores, computed on the controller from truth and a model's reduced outputs."""
