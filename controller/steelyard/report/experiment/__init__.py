"""Experiments for people: tables, a picture, CSV."""
