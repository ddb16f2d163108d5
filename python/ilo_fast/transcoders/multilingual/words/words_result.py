"""`WordFeatures`: features that fire on a word's last piece and carry the whole word's identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.json_numbers import finite, nested
from ilo_fast._util.optional import data_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WordFeature:
    """A feature that told much about words on one half of the documents, as it does on the other.

    Attributes
    ----------
    layer, feature : int
    information : float
        I(fires; word | last piece) in bits, less its mean over permuted words.
    p : float
        Of that information, adjusted for all features that were selected (step-down maxT).
    of_pieces, of_context : float or None
        The same of text in which the earlier pieces are those of another word of the last piece: of
        the word that was put in, and of the one that the rest of the line was written with. Of
        fewer occurrences: the two compare with each other, and not with `information`.
    p_of_pieces : float or None
    language, word, last_piece : str
        The word that it fires for most beyond others of the same last piece; as text.
    rate, rate_others : float
        Share of the occurrences of that word, and of the others of its last piece, at which it
        fires.
    """

    layer: int
    feature: int
    information: float
    p: float
    of_pieces: float | None
    p_of_pieces: float | None
    of_context: float | None
    language: str
    word: str
    last_piece: str
    rate: float
    rate_others: float

    @property
    def auc(self) -> float:
        """Of telling the word from others of its last piece by whether the feature fires."""
        return 0.5 + (self.rate - self.rate_others) / 2


@dataclass(frozen=True, eq=False)
class WordFeatures:
    """What features at the last piece of a word tell of the word, beyond what the piece tells.

    Words of two pieces or more count where at least two of one language end in the same piece, each
    in `min_count` documents or more of either half; one occurrence for each document. Features are
    selected and decoders fitted on the first half of the documents; every number is of the second.

    Attributes
    ----------
    languages : tuple of str
        Those whose words are told by spaces.
    without_words : tuple of str
        The others, which are left out.
    fertility : (languages,) float64
        Tokens for a word, all words counted.
    n_words, n_last_pieces, n_tested : (languages,) int64
        Words, the last pieces that they share, their occurrences in the second half.
    entropy : float
        H(word | last piece) in bits: the most that a feature could tell, were it not one bit.
    features : tuple of WordFeature
        `n_selected` of each layer, by p and information.
    information : (layers,) float64
        Mean information of a layer's selected features, in bits.
    information_null : (layers, 2) float64
        2.5 % and 97.5 % of the same where words are permuted within last pieces.
    of_unswapped, of_pieces, of_context : (layers,) float64
        The same of the occurrences that were swapped: as the text stands, and in swapped text as of
        `WordFeature`. NaN without swaps. These compare with each other, and not with `information`:
        counted information grows with the number of occurrences.
    of_unswapped_null, of_pieces_null, of_context_null : (layers, 2) float64
    accuracy : (1 + languages, layers) float64
        Share of the occurrences whose word is told from the features of the layer that fire there
        (naive Bayes), for all languages together and for each.
    accuracy_interval : (1 + languages, layers, 2) float64
        95 %, by a bootstrap over documents.
    majority : (1 + languages,) float64
        The same by the most frequent word of the last piece.
    accuracy_null : (n_null, layers) float64
        For all languages, where words are permuted within last pieces before the decoder is fitted.
    as_inserted, as_original : (layers,) float64
        Where the earlier pieces are those of another word of the same last piece: share told as
        the word that now stands there, and as the one that the rest of the line was written with.
        The first is of the pieces, the second of the context alone. NaN without swaps.
    as_inserted_interval, as_original_interval : (layers, 2) float64
    unswapped : (layers,) float64
        Share of these occurrences that is told in the text as it stands.
    swap_majority : float
        Share of these whose inserted word is the most frequent of the last piece.
    n_swaps : int
        Without those where a word was drawn for itself.
    min_count, n_selected, n_permutations, n_bootstrap, seed : int
    info : dict
    """

    languages: tuple[str, ...]
    without_words: tuple[str, ...]
    fertility: Floats
    n_words: NDArray[np.int64]
    n_last_pieces: NDArray[np.int64]
    n_tested: NDArray[np.int64]
    entropy: float
    features: tuple[WordFeature, ...]
    information: Floats
    information_null: Floats
    of_unswapped: Floats
    of_unswapped_null: Floats
    of_pieces: Floats
    of_pieces_null: Floats
    of_context: Floats
    of_context_null: Floats
    accuracy: Floats
    accuracy_interval: Floats
    majority: Floats
    accuracy_null: Floats
    as_inserted: Floats
    as_inserted_interval: Floats
    as_original: Floats
    as_original_interval: Floats
    unswapped: Floats
    swap_majority: float
    n_swaps: int
    min_count: int
    n_selected: int
    n_permutations: int
    n_bootstrap: int
    seed: int
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_layers(self) -> int:
        return len(self.information)

    def __repr__(self) -> str:
        best = int(np.nanargmax(self.accuracy[0]))
        return (
            f"WordFeatures({len(self.languages)} languages, {int(self.n_words.sum())} words, "
            f"{len(self.word_features())} word features; layer {best} tells "
            f"{self.accuracy[0, best]:.0%} of the words, their last piece {self.majority[0]:.0%})"
        )

    def word_features(self, level: float = 0.05) -> tuple[WordFeature, ...]:
        """Those that tell the word, and by its pieces: both adjusted p at or below `level`.

        Without swaps, the first alone.
        """
        return tuple(
            feature
            for feature in self.features
            if feature.p <= level and (feature.p_of_pieces is None or feature.p_of_pieces <= level)
        )

    def n_word_features(self, level: float = 0.05) -> NDArray[np.int64]:
        """(languages, layers): how many, by the language of their word."""
        out = np.zeros((len(self.languages), self.n_layers), np.int64)
        for feature in self.word_features(level):
            out[self.languages.index(feature.language), feature.layer] += 1
        return out

    def rows(self) -> list[dict[str, Any]]:
        """A record for each language and layer, and for all languages together."""
        counts = self.n_word_features()
        found = []
        for at, code in enumerate(("all", *self.languages)):
            own = at - 1
            for layer in range(self.n_layers):
                low, high = self.accuracy_interval[at, layer]
                found.append(
                    {
                        "language": code,
                        "layer": layer,
                        "fertility": None if own < 0 else finite(self.fertility[own]),
                        "words": int(self.n_words.sum() if own < 0 else self.n_words[own]),
                        "tested": int(self.n_tested.sum() if own < 0 else self.n_tested[own]),
                        "accuracy": finite(self.accuracy[at, layer]),
                        "accuracy_low": finite(low),
                        "accuracy_high": finite(high),
                        "majority": finite(self.majority[at]),
                        "word_features": int(
                            counts[:, layer].sum() if own < 0 else counts[own, layer]
                        ),
                    }
                )
        return found

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def plot(self) -> Figure:
        """By layer: words told, words told in swapped text, information of the best features."""
        from ilo_fast.plots.words import Curve, WordCurves, words_figure

        swapped = self.n_swaps > 0

        def maybe(values: Floats, interval: Floats) -> Curve | None:
            return Curve(values, interval) if swapped else None

        curves = WordCurves(
            Curve(self.accuracy[0], self.accuracy_interval[0]),
            float(self.majority[0]),
            np.stack([self.accuracy_null.min(axis=0), self.accuracy_null.max(axis=0)], axis=1),
            Curve(self.of_unswapped, self.of_unswapped_null)
            if swapped
            else Curve(self.information, self.information_null),
            {
                code: self.accuracy[1 + at]
                for at, code in enumerate(self.languages)
                if self.n_tested[at]
            },
            maybe(self.as_inserted, self.as_inserted_interval),
            maybe(self.as_original, self.as_original_interval),
            maybe(self.of_pieces, self.of_pieces_null),
            maybe(self.of_context, self.of_context_null),
        )
        return words_figure(
            curves,
            title="What features at a word's last piece tell of the word",
            subtitle=f"{int(self.n_words.sum())} words of {int(self.n_last_pieces.sum())} last "
            f"pieces, {int(self.n_tested.sum())} occurrences, {self.n_swaps} swaps; lines: 95 % "
            "over documents",
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; NaN becomes None. Holds words of the text."""
        found: dict[str, Any] = {"kind": "ilo_fast.word_features", "schema_version": 1}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                value = nested(value)
            elif name == "features":
                value = [{**asdict(own), "auc": own.auc} for own in self.features]
                value = [{k: nested(v) for k, v in own.items()} for own in value]
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Mapping):
                value = dict(value)
            found[name] = finite(value) if isinstance(value, float) else value
        return found
