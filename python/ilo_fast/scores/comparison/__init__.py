"""Differences of models or layers on the same corpus, with intervals and corrected p."""
