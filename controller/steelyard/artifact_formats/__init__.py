"""Readers of model files, one module a format. They look at bytes; nothing of a model is ever executed."""
