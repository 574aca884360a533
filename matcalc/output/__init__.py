"""Terms as text, Unicode, LaTeX and NumPy source."""
