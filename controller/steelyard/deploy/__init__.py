"""Gets an agent onto a device by ssh, upgrades it there, and removes it without a trace.

``target`` (whom) and ``remote`` (the system's ssh) carry ``probe`` (what the device is); ``plan`` decides from the
facts alone; ``scripts``, ``unit`` and ``privileges`` are the texts that reach the device; ``deployment`` does it.
"""
