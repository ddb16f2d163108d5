"""`LanguageRates`: how often each feature fires in each language, and what that says."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import choice, path_of, real_number, whole_number
from ilo_fast._util.equality import same_fields
from ilo_fast._util.files import write_json
from ilo_fast._util.json_numbers import nested
from ilo_fast._util.optional import data_frame
from ilo_fast._util.schema import (
    check_schema,
    count_table,
    damage_refused,
    number_table,
    object_of,
    read_result,
    texts_of,
)
from ilo_fast.transcoders.multilingual.by_language import shares

if TYPE_CHECKING:
    from ilo_fast.plots.feature_map import FeatureMap

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCHEMA_VERSION: Final = 1
RATES_FILE: Final = "language_rates.json"
PERMUTED: Final = ("within documents", "among documents")
_KIND: Final = "ilo_fast.language_rates"
_AGAIN: Final = "compute language_rates again"
_QUANTILES: Final = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class LanguageRates:
    """How often each feature fires in each language, corrected for how much text there was.

    Columns are layer * n_features + feature. Two are equal where all is equal.

    Attributes
    ----------
    languages : tuple of str
    n_layers, n_features : int
        Layers, and features of each.
    tokens, n_documents : (languages,) int64
        Looked at in each language.
    firings : (languages, columns) int64
        Tokens at which the feature is active.
    entropy, entropy_low, entropy_high : (columns,) float64
        Of `share` over languages, in bits, corrected for its bias in few firings, with interval by
        document. NaN where not `tested`, as all below.
    p : (columns,) float64
        Of the test that the rate is the same in all languages: labels of documents permuted.
    p_adjusted : (columns,) float64
        The same of all tested features together: step-down maxT of Westfall and Young. Where no
        rate differs, the probability that any is at or below a level is at most that level.
    dominated : (columns,) bool
        Half of `share` or more in one language, less than a tenth in each other.
    dominated_null : (permutations, layers) int64
        How many features are so with permuted labels.
    mean_effective : (layers, 3) float64
        Effective number of languages, mean weighted by rates, and its interval by document.
    permuted : str
        ``"within documents"`` where any document is in several languages, else ``"among
        documents"``.
    n_permutations, n_draws, seed, min_firings : int
        Features of fewer firings over all languages are not tested.
    confidence : float
        Of the intervals; its complement is the level of the tests.
    """

    languages: tuple[str, ...]
    n_layers: int
    n_features: int
    tokens: Integers
    n_documents: Integers
    firings: Integers
    entropy: Floats
    entropy_low: Floats
    entropy_high: Floats
    p: Floats
    p_adjusted: Floats
    dominated: NDArray[np.bool_]
    dominated_null: Integers
    mean_effective: Floats
    permuted: str
    n_permutations: int
    n_draws: int
    seed: int
    min_firings: int
    confidence: float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LanguageRates):
            return NotImplemented
        return same_fields(self, other, (field.name for field in dataclasses.fields(self)))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"LanguageRates({len(self.languages)} languages, {self.n_layers} x {self.n_features} "
            f"features, {int(self.tested.sum())} tested: {int(self.differs.sum())} differ, "
            f"{int((self.specific >= 0).sum())} specific)"
        )

    @property
    def rates(self) -> Floats:
        """(languages, columns): firings per token of the language."""
        found: Floats = self.firings / self.tokens[:, None]
        return found

    @property
    def share(self) -> Floats:
        """(languages, columns): rates over their sum; NaN where the feature never fires."""
        return shares(self.rates)

    @property
    def tested(self) -> NDArray[np.bool_]:
        """(columns,): whether there are firings enough."""
        found: NDArray[np.bool_] = self.firings.sum(axis=0) >= self.min_firings
        return found

    @property
    def differs(self) -> NDArray[np.bool_]:
        """(columns,): whether the rate differs between languages, all features considered."""
        found: NDArray[np.bool_] = self.p_adjusted <= 1 - self.confidence + 1e-12
        return found

    @property
    def dominant(self) -> Integers:
        """(columns,): index of the language of the highest rate; -1 where the feature is silent."""
        return np.where(self.firings.any(axis=0), self.rates.argmax(axis=0), -1)

    @property
    def specific(self) -> Integers:
        """(columns,): index of the language that a feature is specific to, else -1.

        By the rule of `dominated`, of features whose rates differ.
        """
        return np.where(self.dominated & self.differs, self.dominant, -1)

    @property
    def effective_languages(self) -> Floats:
        """(columns,): 2^entropy, the number of equally frequent languages of the same entropy."""
        found: Floats = 2**self.entropy
        return found

    @property
    def effective_low(self) -> Floats:
        found: Floats = 2**self.entropy_low
        return found

    @property
    def effective_high(self) -> Floats:
        found: Floats = 2**self.entropy_high
        return found

    @property
    def layer(self) -> Integers:
        """(columns,): layer of each."""
        return np.repeat(np.arange(self.n_layers), self.n_features)

    def of_layer(self, layer: int) -> LanguageRates:
        """One layer alone; p values stay those of all layers together."""
        layer = whole_number("layer", layer, least=0, most=self.n_layers - 1)
        part = slice(layer * self.n_features, (layer + 1) * self.n_features)
        return dataclasses.replace(
            self,
            n_layers=1,
            firings=self.firings[:, part],
            dominated_null=self.dominated_null[:, layer : layer + 1],
            mean_effective=self.mean_effective[layer : layer + 1],
            **{name: getattr(self, name)[part] for name in (*_OF_COLUMNS, "dominated")},
        )

    def top(self, language: str, n: int = 10) -> list[dict[str, Any]]:
        """The features with the largest share of their rates in a language, of those that differ.

        Returns
        -------
        list of dict
            As `rows`, at most `n`; of equal shares, the higher rate first.
        """
        if language not in self.languages:
            raise ValueError(f"language={language!r} is none of {', '.join(self.languages)}")
        own = self.languages.index(language)
        found = np.flatnonzero(self.differs & (self.dominant == own))
        order = np.lexsort((-self.rates[own, found], -self.share[own, found]))
        return self._rows(found[order][: whole_number("n", n)])

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each feature that fires."""
        return self._rows(np.flatnonzero(self.firings.any(axis=0)))

    def _rows(self, columns: Integers) -> list[dict[str, Any]]:
        rates, share, tested = self.rates, self.share, self.tested
        dominant, specific = self.dominant, self.specific
        named: dict[str, Floats] = {
            "entropy": self.entropy,
            "effective_languages": self.effective_languages,
            "effective_low": self.effective_low,
            "effective_high": self.effective_high,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
        }
        return [
            {
                "layer": int(column // self.n_features),
                "feature": int(column % self.n_features),
                "firings": int(self.firings[:, column].sum()),
                "tested": bool(tested[column]),
                "dominant": self.languages[dominant[column]],
                "specific": bool(specific[column] >= 0),
                **{
                    name: float(values[column]) if tested[column] else None
                    for name, values in named.items()
                },
                **{f"rate_{c}": float(rates[i, column]) for i, c in enumerate(self.languages)},
                **{f"share_{c}": float(share[i, column]) for i, c in enumerate(self.languages)},
            }
            for column in columns
        ]

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def layer_summary(self) -> list[dict[str, Any]]:
        """One dict for each layer.

        Returns
        -------
        list of dict
            ``layer``; ``alive`` and ``tested`` features; ``effective_languages``, a mean weighted
            by rates, with ``low`` and ``high``, and its weighted quantiles ``q10``, ``q50``,
            ``q90``; ``differs``, share of tested features whose rates differ; ``dominated``, share
            of them that are specific by the rule alone, ``null_mean`` and ``null_95`` of the same
            share with permuted labels and ``null_p``; ``specific``, share by rule and test;
            ``specific_to``, language -> number of them. None where nothing is tested.
        """
        return [self._summary(layer) for layer in range(self.n_layers)]

    def _summary(self, layer: int) -> dict[str, Any]:
        part = slice(layer * self.n_features, (layer + 1) * self.n_features)
        tested = self.tested[part]
        n, specific = int(tested.sum()), self.specific[part]
        mean = self.mean_effective[layer]
        weights = self.rates[:, part].sum(axis=0)[tested]
        quantiles = _weighted_quantiles(self.effective_languages[part][tested], weights)
        observed, null = int(self.dominated[part].sum()), self.dominated_null[:, layer]
        found: dict[str, Any] = {
            "layer": layer,
            "alive": int(self.firings[:, part].any(axis=0).sum()),
            "tested": n,
            "effective_languages": mean[0],
            "low": mean[1],
            "high": mean[2],
            **{f"q{100 * q:.0f}": value for q, value in zip(_QUANTILES, quantiles, strict=True)},
            "differs": self.differs[part].sum() / n if n else None,
            "dominated": observed / n if n else None,
            "null_mean": null.mean() / n if n else None,
            "null_95": np.quantile(null, 0.95) / n if n else None,
            "null_p": (1 + (null >= observed).sum()) / (1 + len(null)) if n else None,
            "specific": (specific >= 0).sum() / n if n else None,
        }
        plain = {key: nested(value) for key, value in found.items()}
        counts = {c: int((specific == i).sum()) for i, c in enumerate(self.languages)}
        return {**plain, "specific_to": counts}

    def feature_map(self, title: str = "Features by layer and language") -> FeatureMap:
        """What `ilo_fast.plots.feature_map` draws: the tested features (needs matplotlib)."""
        from ilo_fast.plots.feature_map import FeatureMap

        codes = range(len(self.languages))
        by_layer = self.specific.reshape(self.n_layers, self.n_features)
        return FeatureMap(
            share=np.where(self.tested, self.share, np.nan),
            effective_languages=self.effective_languages,
            layer=self.layer,
            specific=np.stack([(by_layer == code).sum(axis=1) for code in codes], axis=1),
            languages=self.languages,
            title=title,
            subtitle=(
                f"{int(self.tested.sum())} features with {self.min_firings} firings or more, by "
                "dominant language, the most selective first"
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-able; numbers that are not known are None."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain = {k: nested(v) if isinstance(v, np.ndarray) else v for k, v in values.items()}
        head = {"kind": _KIND, "schema_version": SCHEMA_VERSION}
        return {**head, **plain, "languages": list(self.languages)}

    @classmethod
    def from_dict(cls, data: Any) -> LanguageRates:
        """What `to_dict` gave.

        Raises
        ------
        ValueError
            It is of another kind or version, incomplete or damaged. Says which.
        """
        check_schema(data, _KIND, SCHEMA_VERSION, _AGAIN)
        with damage_refused("the rates", _AGAIN):
            return _read(object_of("rates", data))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` to a file, whole or not at all."""
        write_json(path_of("path", path), self.to_dict())

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> LanguageRates:
        """From a file that `to_json` wrote, its folder, or its text."""
        return read_result(source, RATES_FILE, "language rates", cls.from_dict)


_OF_COLUMNS: Final = ("entropy", "entropy_low", "entropy_high", "p", "p_adjusted")


def _weighted_quantiles(values: Floats, weights: Floats) -> Floats:
    if not len(values):
        return np.full(len(_QUANTILES), np.nan)
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    at = np.searchsorted(reached, np.array(_QUANTILES) * reached[-1])
    found: Floats = values[order][np.minimum(at, len(values) - 1)]
    return found


def _read(data: Mapping[str, Any]) -> LanguageRates:
    languages = texts_of("languages", data["languages"])
    n_layers = whole_number("n_layers", data["n_layers"])
    n_features = whole_number("n_features", data["n_features"])
    n_permutations = whole_number("n_permutations", data["n_permutations"])
    columns, n = n_layers * n_features, len(languages)
    dominated = np.array(data["dominated"], dtype=object)
    if dominated.shape != (columns,) or not all(type(value) is bool for value in dominated):
        raise ValueError(f"dominated must be {columns} times true or false")
    tokens = count_table("tokens", data["tokens"], (n,))
    if (tokens < 1).any():
        raise ValueError("tokens holds a language without any")
    return LanguageRates(
        languages=languages,
        n_layers=n_layers,
        n_features=n_features,
        tokens=tokens,
        n_documents=count_table("n_documents", data["n_documents"], (n,)),
        firings=count_table("firings", data["firings"], (n, columns)),
        dominated=dominated.astype(bool),
        dominated_null=count_table(
            "dominated_null", data["dominated_null"], (n_permutations, n_layers)
        ),
        mean_effective=number_table("mean_effective", data["mean_effective"], (n_layers, 3)),
        permuted=choice("permuted", data["permuted"], PERMUTED),
        n_permutations=n_permutations,
        n_draws=whole_number("n_draws", data["n_draws"]),
        seed=whole_number("seed", data["seed"], least=0),
        min_firings=whole_number("min_firings", data["min_firings"]),
        confidence=real_number("confidence", data["confidence"]),
        **{name: number_table(name, data[name], (columns,)) for name in _OF_COLUMNS},
    )
