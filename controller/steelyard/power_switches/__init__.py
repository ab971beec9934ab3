"""Switches of a device's supply, on the controller's side: each kind is one small file."""
