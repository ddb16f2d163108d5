"""What a classifier trained in one language can do in the others.

classifiers ─▶ transfer ─▶ result
load            predict     accuracy, macro-F1, intervals, groups
"""
