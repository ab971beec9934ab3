"""Experiments: recipes x seeds x devices under one name, and what they allow to be said."""
