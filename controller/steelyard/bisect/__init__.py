"""Bisection: which model, recipe step, runtime or revision brought a change, by confirmed comparisons."""
