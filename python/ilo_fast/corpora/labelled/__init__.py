"""Labelled text in many languages: read (files), checked (checks), held (corpus)."""
