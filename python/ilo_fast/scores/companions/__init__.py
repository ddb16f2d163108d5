"""Scores that are read beside ILO, all in one call, and their file."""
