"""Extraction on a Ray cluster: workers that load the model once and write shards."""
