"""Does a feature follow a language into another script? Its lines, romanised, say so."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.json_numbers import finite
from ilo_fast._util.statistics import wilson_interval
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.multilingual.rates.document_counts import DocumentCounts
from ilo_fast.transcoders.multilingual.rates.language_entropy import Draws
from ilo_fast.transcoders.multilingual.rates.language_permutations import permutation_test
from ilo_fast.transcoders.multilingual.rates.rates_result import LanguageRates
from ilo_fast.transcoders.multilingual.rates.romanise import LATIN, romanised_code, script_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FOLLOWS_LANGUAGE: Final = "language"
FOLLOWS_SCRIPT: Final = "script"
ANY_ROMANISED: Final = "romanised"
UNDECIDED: Final = "undecided"
VERDICTS: Final = (FOLLOWS_LANGUAGE, FOLLOWS_SCRIPT, ANY_ROMANISED, UNDECIDED)


@dataclass(frozen=True, eq=False)
class RomanisedControl:
    """What features specific to a language of another script do on its romanised text.

    Attributes
    ----------
    languages : tuple of str
        Those of a script that is not Latin, with romanised text.
    columns : (features,) int64
        Of all layers together, ascending in each language.
    language : (features,) int64
        Index into `languages`: what each is specific to.
    rate, romanised_rate : (features,) float64
        Firings per token of the language, and of the same text romanised.
    kept, kept_low, kept_high : (features,) float64
        Their ratio, with interval by document.
    p_latin : (features,) float64
        Of the test that it fires on the romanised text no more than on the languages that are
        written in Latin script, over all features (step-down maxT, times the languages).
    p_romanised : (features,) float64
        The same against the other romanised languages; NaN where there is none.
    kept_wrong : (features,) float64
        The largest ratio on the romanised text of another language; NaN where there is none.
    verdict : tuple of str
        ``"language"``: fires more than on both, and keeps at least `keeps` of its rate;
        ``"romanised"``: so, but no more than on other romanised text; ``"script"``: the interval of
        what it keeps is below `keeps`; else ``"undecided"``.
    n_features : int
        Of each layer.
    keeps, level, confidence : float
    n_permutations, n_draws, seed : int
    """

    languages: tuple[str, ...]
    columns: Integers
    language: Integers
    rate: Floats
    romanised_rate: Floats
    kept: Floats
    kept_low: Floats
    kept_high: Floats
    p_latin: Floats
    p_romanised: Floats
    kept_wrong: Floats
    verdict: tuple[str, ...]
    n_features: int
    keeps: float
    level: float
    confidence: float
    n_permutations: int
    n_draws: int
    seed: int

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.verdict.count(one)} {one}" for one in VERDICTS)
        return (
            f"RomanisedControl({', '.join(self.languages)}; {len(self.columns)} features: {counts})"
        )

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each feature."""
        named = {name: getattr(self, name) for name in _NUMBERS}
        return [
            {
                "layer": int(column // self.n_features),
                "feature": int(column % self.n_features),
                "language": self.languages[self.language[at]],
                **{k: finite(v[at]) for k, v in named.items()},
                "verdict": self.verdict[at],
            }
            for at, column in enumerate(self.columns)
        ]

    def layer_summary(self) -> list[dict[str, Any]]:
        """One dict for each layer that has such features, and one of all, whose layer is None.

        Returns
        -------
        list of dict
            ``layer``, ``features``, how many of each verdict, and of ``"language"`` the share with
            ``low`` and ``high`` (Wilson, 95 %, features taken as independent);
            ``keeps_own`` and ``keeps_wrong``: how many keep as much of their rate on their own
            romanised text, and on that of another language, which is what chance does.
        """
        layer = self.columns // self.n_features
        verdict = np.array(self.verdict, dtype=object)
        groups: list[tuple[int | None, NDArray[np.bool_]]] = [
            (int(at), layer == at) for at in np.unique(layer)
        ]
        groups.append((None, np.ones(len(layer), bool)))
        found = []
        for name, mine in groups:
            n = int(mine.sum())
            counts = {word: int((verdict[mine] == word).sum()) for word in VERDICTS}
            ends = wilson_interval(counts[FOLLOWS_LANGUAGE] / n, n) if n else (None, None)
            found.append(
                {
                    "layer": name,
                    "features": n,
                    **counts,
                    "share": counts[FOLLOWS_LANGUAGE] / n if n else None,
                    "low": ends[0],
                    "high": ends[1],
                    "keeps_own": int((self.kept[mine] >= self.keeps).sum()),
                    "keeps_wrong": int((self.kept_wrong[mine] >= self.keeps).sum()),
                }
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Options, `layer_summary` and `rows`, JSON-able."""
        options = {k: getattr(self, k) for k in _OPTIONS}
        return {
            "languages": list(self.languages),
            **options,
            "layers": self.layer_summary(),
            "features": self.rows(),
        }


_NUMBERS: Final = (
    "rate", "romanised_rate", "kept", "kept_low", "kept_high", "p_latin", "p_romanised",
    "kept_wrong",
)  # fmt: skip
_OPTIONS: Final = ("keeps", "level", "confidence", "n_permutations", "n_draws", "seed")


def romanised_control(
    table: LineFeatures,
    romanised: LineFeatures,
    rates: LanguageRates,
    *,
    keeps: float,
    n_permutations: int,
    seed: int,
    n_threads: int,
    progress: bool,
) -> RomanisedControl:
    """See `script_split`."""
    pairs = {
        code: romanised_code(code)
        for code in table.languages
        if script_of(code) != LATIN and romanised_code(code) in romanised.languages
    }
    latin = [code for code in table.languages if script_of(code) == LATIN]
    if not pairs:
        raise ValueError(
            f"romanised has {', '.join(romanised.languages)}: none is a language of another script "
            f"of the table ({', '.join(table.languages)}) in Latin script"
        )
    if not latin:
        raise ValueError("table has no language in Latin script to compare romanised text with")
    taken = [code for code in pairs.values() if code in table.languages]
    if taken:
        raise ValueError(f"table has {taken[0]} itself: leave it out to compare scripts")
    counts, codes = _joined(table, romanised, pairs)
    every = Parts(counts, codes)
    options = {"n_permutations": n_permutations, "n_threads": n_threads, "progress": progress}
    draws = Draws.make(rates.n_draws, counts.n_documents, 2, seed)
    level = 1 - rates.confidence
    found: dict[str, list[Any]] = {name: [] for name in ("columns", "language", *_NUMBERS)}
    for at, (code, own) in enumerate(pairs.items()):
        columns = np.flatnonzero(rates.specific == rates.languages.index(code))
        others = [name for name in pairs.values() if name != own]
        part = every.of_columns(columns)
        own_rates = part.rates(own)
        kept = part.ratio(own, code)
        low, high = part.ratio_interval(own, code, draws, rates.confidence)
        p = [
            part.p_more(own, group, seed=seed, **options) * len(pairs)
            if group
            else np.full(len(columns), np.nan)
            for group in (latin, others)
        ]
        wrong = [part.ratio(other, code) for other in others]
        values = {
            "columns": columns,
            "language": np.full(len(columns), at),
            "rate": part.rates(code),
            "romanised_rate": own_rates,
            "kept": kept,
            "kept_low": low,
            "kept_high": high,
            "p_latin": np.minimum(1, p[0]),
            "p_romanised": np.minimum(1, p[1]),
            "kept_wrong": np.max(wrong, axis=0) if wrong else np.full(len(columns), np.nan),
        }
        for name, value in values.items():
            found[name].append(value)
    joined = {name: np.concatenate(values) for name, values in found.items()}
    return RomanisedControl(
        languages=tuple(pairs),
        **joined,
        verdict=_verdicts(joined, keeps, level + 1e-12),
        n_features=table.n_features,
        keeps=keeps,
        level=level,
        confidence=rates.confidence,
        n_permutations=n_permutations,
        n_draws=rates.n_draws,
        seed=seed,
    )


def _verdicts(found: dict[str, Any], keeps: float, level: float) -> tuple[str, ...]:
    more = (found["p_latin"] <= level) & (found["kept"] >= keeps)
    own = np.isnan(found["p_romanised"]) | (found["p_romanised"] <= level)
    script = found["kept_high"] < keeps
    words = np.select(
        [more & own, more, script], [FOLLOWS_LANGUAGE, ANY_ROMANISED, FOLLOWS_SCRIPT], UNDECIDED
    )
    return tuple(map(str, words))


@dataclass(frozen=True)
class Parts:
    """Counts of some columns, compared between texts by their names."""

    counts: DocumentCounts
    codes: tuple[str, ...]

    def of_columns(self, columns: Integers) -> Parts:
        return Parts(self.counts.of_columns(columns), self.codes)

    def rates(self, code: str) -> Floats:
        at = self.codes.index(code)
        found: Floats = self.counts.firings()[at] / self.counts.language_tokens()[at]
        return found

    def ratio(self, code: str, base: str) -> Floats:
        found: Floats = self.rates(code) / self.rates(base)
        return found

    def _against(self, code: str, others: list[str]) -> DocumentCounts:
        labels = np.full(len(self.codes), -1)
        labels[[self.codes.index(other) for other in others]] = 1
        labels[self.codes.index(code)] = 0
        return self.counts.relabelled(labels[self.counts.language])

    def ratio_interval(
        self, code: str, base: str, draws: Draws, confidence: float
    ) -> tuple[Floats, Floats]:
        both = self._against(code, [base])
        weights = draws.weights[:, : both.n_documents]
        rates = dataclasses.replace(draws, weights=weights).rates(both, both.clumping())
        tail = (1 - confidence) / 2
        if not both.n_columns:
            return np.empty(0), np.empty(0)
        low, high = np.quantile(rates[:, 0] / rates[:, 1], [tail, 1 - tail], axis=0)
        ratio = self.ratio(code, base)
        return np.where(ratio == 0, 0, np.minimum(low, ratio)), np.maximum(high, ratio)

    def p_more(self, code: str, others: list[str], *, seed: int, **options: Any) -> Floats:
        """p that it fires on `code` no more than on `others`, adjusted over columns."""
        both = self._against(code, others)
        test = permutation_test(both, seed=seed, **options)
        firings, tokens = both.firings(), both.language_tokens()
        rates = firings / tokens[:, None]
        return np.where(rates[0] > rates[1], test.p_adjusted, 1.0)


def _joined(
    table: LineFeatures, romanised: LineFeatures, pairs: dict[str, str]
) -> tuple[DocumentCounts, tuple[str, ...]]:
    """Both tables in one, translations and romanised lines of the same documents."""
    if (table.n_layers, table.n_features) != (romanised.n_layers, romanised.n_features):
        raise ValueError(
            f"romanised has {romanised.n_layers} layers of {romanised.n_features} features, the "
            f"table {table.n_layers} of {table.n_features}: use the same transcoder"
        )
    second = romanised.select(list(pairs.values()))
    document = np.empty(len(second), np.int64)
    for code, own in pairs.items():
        mine = second.language == second.languages.index(own)
        there = table.language == table.languages.index(code)
        if not np.array_equal(second.line[mine], table.line[there]):
            raise ValueError(f"{own} has other lines than {code}: romanise the same text")
        document[mine] = table.document[there]
    codes = (*table.languages, *second.languages)
    whole = dataclasses.replace(
        table,
        languages=codes,
        language=np.concatenate([table.language, second.language + len(table.languages)]),
        line=np.concatenate([table.line, second.line]),
        document=np.concatenate([table.document, document]),
        tokens=np.concatenate([table.tokens, second.tokens]),
        indptr=np.concatenate([table.indptr, second.indptr[1:] + table.indptr[-1]]),
        indices=np.concatenate([table.indices, second.indices]),
        counts=np.concatenate([table.counts, second.counts]),
        sums=np.concatenate([table.sums, second.sums]),
        maxima=np.concatenate([table.maxima, second.maxima]),
    )
    return DocumentCounts.of(whole), codes
