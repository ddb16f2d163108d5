"""Nulls, limits, intervals and permutations: how sure a score is."""
