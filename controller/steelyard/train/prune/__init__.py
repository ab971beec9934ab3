"""Structured pruning: channels, neurons and heads are taken out, and everything that hangs on them with them."""
