"""Rules: what they are, how they are read and checked, how they match, how they are applied."""
