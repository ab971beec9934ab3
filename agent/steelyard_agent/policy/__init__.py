"""What the owner of this device allows, whoever asks: no controller overrides it."""
