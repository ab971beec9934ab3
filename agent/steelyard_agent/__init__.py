"""The agent: runs on a device, gets models over gRPC and measures them there."""

__version__ = "0.1.0"
