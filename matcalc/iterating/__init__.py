"""Minimization by iteration: what is derived is compiled and handed to SciPy."""
