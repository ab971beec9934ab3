"""What the agent keeps on its disk: its identity, the blobs it fetched, the results nobody has acknowledged yet."""
