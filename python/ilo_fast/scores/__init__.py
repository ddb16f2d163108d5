"""Scores of neighbour graphs: bridge, reach, ILO, translations."""
