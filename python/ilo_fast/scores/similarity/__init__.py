"""Similarities of representations of the same sentences, beside Interlingual Local Overlap.

    cka, svcca                     linear: the whole space, its main directions
    information_imbalance          what the nearest neighbours of one space say of the other
    mutual_knn, jaccard_knn        which nearest neighbours two spaces have in common
    lcs_knn, edit_distance_knn     the same, in which order
    cycle_knn                      to a neighbour in one space, and back in the other
    cknna                          kernel alignment where neighbourhoods agree
    retrieval, mexa                is the translation the nearest sentence of the other language
    hubness                        one set: whether a few points are everybody's neighbours
    isotropy, language_variance    one set: how it fills its space, how much of it is language

    set_overlap                    common elements of neighbour lists and of sparse sets

`result` is what they return, `pairs` the loop over languages or layers, `halves` the intervals.
"""

from __future__ import annotations

from ilo_fast.scores.similarity.cka import cka
from ilo_fast.scores.similarity.cknna import cknna
from ilo_fast.scores.similarity.hubness import Hubness, hubness
from ilo_fast.scores.similarity.information_imbalance import information_imbalance
from ilo_fast.scores.similarity.isotropy import Isotropy, isotropy
from ilo_fast.scores.similarity.language_variance import LanguageVariance, language_variance
from ilo_fast.scores.similarity.mexa import mexa
from ilo_fast.scores.similarity.mutual import cycle_knn, jaccard_knn, mutual_knn
from ilo_fast.scores.similarity.retrieval import Retrieval, retrieval
from ilo_fast.scores.similarity.sequence import edit_distance_knn, lcs_knn
from ilo_fast.scores.similarity.set_overlap import SparseSets, TopOverlaps, set_overlap
from ilo_fast.scores.similarity.svcca import svcca

__all__ = (
    "Hubness",
    "Isotropy",
    "LanguageVariance",
    "Retrieval",
    "SparseSets",
    "TopOverlaps",
    "cka",
    "cknna",
    "cycle_knn",
    "edit_distance_knn",
    "hubness",
    "information_imbalance",
    "isotropy",
    "jaccard_knn",
    "language_variance",
    "lcs_knn",
    "mexa",
    "mutual_knn",
    "retrieval",
    "set_overlap",
    "svcca",
)
