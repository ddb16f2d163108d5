"""The companions of ILO by name: their titles, what they say, and their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

N_NEIGHBORS: Final = 10
"""Of the similarities of neighbour lists, as they are published."""

N_COMPONENTS: Final = 10
"""Of SVCCA, as Huh et al. (2024) have it: of 1000 sentences more would be near 1 by chance."""


@dataclass(frozen=True)
class Entry:
    """One companion.

    Attributes
    ----------
    title : str
        At most 28 characters.
    about : str
    lowest, highest : float
        Its range, to which intervals are cut.
    shown : tuple of float, or None
        Ends of a scale of colours; None: the range, or up to the largest value where that is
        infinite.
    share : bool
        Whether it is a share of sentences or a mean of shares: then its interval is Wilson's.
    """

    title: str
    about: str
    lowest: float = 0.0
    highest: float = 1.0
    shown: tuple[float, float] | None = None
    share: bool = False


COMPANIONS: Final[dict[str, Entry]] = {
    "translation_bridge": Entry(
        "Bridge to translations",
        "Share of points with translations in several languages (the threshold) among their "
        "neighbours. 0 to 1; by chance nearly 0.",
        share=True,
    ),
    "translation_reach": Entry(
        "Reach of translations",
        "Share of the other languages in which any point has its translation among its neighbours. "
        "0 to 1; by chance far from 0, since all sentences try.",
        share=True,
    ),
    "translation_ilo": Entry(
        "ILO over translations",
        "Harmonic mean of both: ILO where neighbours count that mean the same. 0 to 1; by chance "
        "nearly 0.",
        share=True,
    ),
    "retrieval_p1": Entry(
        "Retrieval P@1",
        "Share of sentences whose nearest sentence of another language, by cosine, is their "
        "translation. 0 to 1; by chance 1/n. It falls with n.",
        share=True,
    ),
    "retrieval_p5": Entry(
        "Retrieval P@5",
        "The same among the nearest five. 0 to 1; by chance 5/n.",
        share=True,
    ),
    "retrieval_mrr": Entry(
        "Retrieval MRR",
        "Mean of 1 / rank of the translation. 0 to 1; by chance (1 + 1/2 + ... + 1/n) / n.",
        share=True,
    ),
    "csls_p1": Entry(
        "Retrieval P@1 by CSLS",
        "P@1 by cosines less the mean cosine to the nearest ten on either side, which takes from "
        "hubs what they have from being near to all. 0 to 1; by chance 1/n.",
        share=True,
    ),
    "margin_p1": Entry(
        "Retrieval P@1 by margin",
        "P@1 by cosines over the mean cosine to the nearest four on either side. 0 to 1; by chance "
        "1/n.",
        share=True,
    ),
    "mexa": Entry(
        "MEXA",
        "Share of sentences nearer to their translation than to any other sentence of the pivot, "
        "both ways. 0 to 1; by chance 1 / (2n - 1).",
        share=True,
    ),
    "mutual_knn": Entry(
        "Mutual k-NN",
        "Share of the nearest ten sentences of the own language that are the same sentences in the "
        "other. 0 to 1; by chance 10 / (n - 1).",
        share=True,
    ),
    "jaccard_knn": Entry(
        "Jaccard k-NN",
        "The same over the union of both neighbourhoods. 0 to 1; by chance about half of mutual "
        "k-NN's.",
        share=True,
    ),
    "cknna": Entry(
        "CKNNA",
        "Kernel alignment where the neighbourhoods of both languages agree. At most 1; by chance "
        "about 0.",
        lowest=-np.inf,
        highest=np.inf,
        shown=(0.0, 1.0),
    ),
    "cka": Entry(
        "CKA",
        "How alike two languages place the sentences in the whole space, linear kernels. 0 to 1; "
        "by chance far from 0 where dimensions are many.",
    ),
    "cka_unbiased": Entry(
        "CKA, unbiased",
        "The same without what few sentences in many dimensions share by chance: by chance 0. "
        "-1 to 1.",
        lowest=-1.0,
        shown=(0.0, 1.0),
    ),
    "svcca": Entry(
        "SVCCA",
        "Mean canonical correlation of the first ten principal components of two languages. 0 to "
        "1; by chance above 0.",
    ),
    "information_imbalance": Entry(
        "Information imbalance",
        "How little the nearest sentence in one language says of distances in the other, mean of "
        "both ways. Small is similar: 2/n to 2, by chance 1.",
        highest=2.0,
        shown=(0.0, 1.0),
    ),
    "hubness_skew": Entry(
        "Hubness (skew)",
        "Skewness of how often points are neighbours of others. By chance near 0; above 1 or 2 few "
        "points are near to very many.",
        lowest=-np.inf,
        highest=np.inf,
    ),
    "robin_hood": Entry(
        "Robin Hood index",
        "Share of the links that would have to move for all points to be neighbours equally often. "
        "0 to 1; by chance well above 0.",
    ),
    "antihubs": Entry(
        "Anti-hubs",
        "Share of points that are nobody's neighbour. 0 to 1; by chance above 0.",
        share=True,
    ),
    "isoscore": Entry(
        "IsoScore",
        "How evenly the variance of a language fills all dimensions: 0 in one direction, 1 in all.",
    ),
    "mean_cosine": Entry(
        "Mean cosine",
        "Of two sentences of a language: 0 where directions are even, 1 where all are one.",
        lowest=-1.0,
        shown=(0.0, 1.0),
    ),
    "partition": Entry(
        "Partition ratio",
        "Smallest over largest partition function along the principal axes of all points: 1 where "
        "no direction is preferred, towards 0.",
    ),
    "language_variance": Entry(
        "Variance due to language",
        "Variance between languages over that between languages and between sentences. 0 to 1; by "
        "chance (L - 1) / (L + n - 2).",
    ),
}
"""In the order in which a report shows them."""
