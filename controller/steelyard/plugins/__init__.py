"""Steps, metrics, preprocessing operations, reducers, exporters and formats of others; found when they are asked for.

Plugins are found by entry point, or in a file that a person names. They run in the controller's programs alone: a
device is sent declarations and model files, never code.
"""
