"""The controller itself: its jobs, the typed `Control` service, and the client that people and programs use."""
