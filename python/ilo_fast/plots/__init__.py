"""Figures: arrays and labels in, matplotlib figures out."""
