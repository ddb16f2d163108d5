"""Scores of neighbour graphs: bridge, reach, ILO, translations; and rooms around them.

certainty    nulls, limits, intervals, permutations: how sure a score is
comparison   differences of models and layers
similarity   other scores, one by one
companions   the same, all in one call
structure    who neighbours whom: the core, the fragments, a map
"""
