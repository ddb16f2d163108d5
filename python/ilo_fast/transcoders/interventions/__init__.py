"""Interventions: features set, scaled or added to while a model runs."""
