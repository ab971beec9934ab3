"""The command line: a thin layer over the Python API; the only part of the controller that prints."""
