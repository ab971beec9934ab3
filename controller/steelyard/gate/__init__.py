"""The gate of a change: base against head, side by side on the devices that matter, and an exit code."""
