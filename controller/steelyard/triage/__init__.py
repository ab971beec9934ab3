"""Alerts over the nights: their states, who changed them and why, silences, and what is no news again. Pure."""
