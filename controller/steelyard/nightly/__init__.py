"""Nights: a suite run on every device, what got worse confirmed in the same night, and one document that says so."""
