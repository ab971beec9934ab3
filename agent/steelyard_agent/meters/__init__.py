"""Meters: what the agent can read on a device, each behind one contract."""
