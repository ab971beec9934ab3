"""The devices: their sessions, the blobs they fetch and send, and the agent `local` that the controller spawns."""
