"""What a classifier trained in one language can do in the others, and what a tokenizer gives each.

classifiers ─▶ transfer ─▶ result
load            predict     accuracy, macro-F1, intervals, groups

tokens_words ─▶ tokens_counting ─▶ tokens_estimates ─▶ tokens, tokens_result
words of text    tokens of each     statistics,         for a tokenizer, for several
                 line                intervals
"""
