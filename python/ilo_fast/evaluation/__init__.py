"""What a classifier trained in one language can do in the others.

classifiers ─▶ transfer ─▶ scores
load            predict     accuracy, macro-F1, intervals, groups
"""
