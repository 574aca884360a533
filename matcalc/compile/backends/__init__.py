"""Other libraries than NumPy that code can be generated for, one module each."""
