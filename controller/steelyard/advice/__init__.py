"""What to try for a model on a device, why, and what to expect: facts in, advice out; no device, no store."""
