"""Equations solved for an unknown, by named strategies, with conditions and reasons."""
