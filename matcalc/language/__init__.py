"""Text to terms: names, syntax, shapes, and what a session remembers."""
