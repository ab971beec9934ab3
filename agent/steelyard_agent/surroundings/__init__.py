"""What goes on around a block: heat, frequency, throttling, and the circumstances its figures must be read with."""
