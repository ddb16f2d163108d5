"""Similarities of representations of the same sentences, beside Interlingual Local Overlap.

    cka, svcca                     linear: the whole space, its main directions
    information_imbalance          what the nearest neighbours of one space say of the other
    retrieval, mexa                is the translation the nearest sentence of the other language
    isotropy, language_variance    one set: how it fills its space, how much of it is language

`result` is what they return, `pairs` the loop over languages or layers, `halves` the intervals.
"""
