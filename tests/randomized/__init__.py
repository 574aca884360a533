"""Random expressions of the whole language, and their derivatives by JAX."""
