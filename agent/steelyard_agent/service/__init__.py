"""Runs as a service of the system: what is told to systemd."""
