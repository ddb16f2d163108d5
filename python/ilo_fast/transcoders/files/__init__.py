"""Transcoders on disk: our folders, other programs' folders, and whether one fits a model."""
