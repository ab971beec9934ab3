"""The numeric check: a device's outputs beside the controller's own run of the same file."""
