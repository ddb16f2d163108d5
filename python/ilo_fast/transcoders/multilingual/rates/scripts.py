"""Language or script: how much of a feature's selectivity lies between scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number, whole_number
from ilo_fast._util.optional import data_frame
from ilo_fast.graph.options import thread_count
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.multilingual.rates.language_entropy import entropy_bits
from ilo_fast.transcoders.multilingual.rates.rates_result import LanguageRates
from ilo_fast.transcoders.multilingual.rates.romanise import script_of
from ilo_fast.transcoders.multilingual.rates.romanised_control import (
    RomanisedControl,
    romanised_control,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScriptSplit:
    """Selectivity of features, split into that between scripts and that within them.

    Of the share p of each language, log2(languages) - entropy(p) is what a feature is selective
    for, in bits: 0 where all rates are equal. With q the share of each script and n its languages,
    it is between + within = sum q log2(q languages / n) + sum q (log2 n - entropy within it).

    Attributes
    ----------
    languages, scripts : tuple of str
    script_of_language : tuple of str
    share : (scripts, columns) float64
        q; NaN where a feature is not tested, as below.
    entropy_between, entropy_within : (columns,) float64
        Bits: entropy of q, and the mean over scripts, weighted by q, of that within. Together
        that of p; plain, not corrected for their bias in few firings.
    between, within : (columns,) float64
        Bits of selectivity. A language that is alone in its script adds to `between` alone: which
        of both it is, only romanised text can say.
    n_layers, n_features : int
    control : RomanisedControl or None
    """

    languages: tuple[str, ...]
    scripts: tuple[str, ...]
    script_of_language: tuple[str, ...]
    share: Floats
    entropy_between: Floats
    entropy_within: Floats
    between: Floats
    within: Floats
    n_layers: int
    n_features: int
    control: RomanisedControl | None = None

    def __repr__(self) -> str:
        tested = int((~np.isnan(self.between)).sum())
        control = "with" if self.control else "without"
        return (
            f"ScriptSplit({len(self.languages)} languages, scripts {', '.join(self.scripts)}, "
            f"{tested} features; {control} romanised text)"
        )

    def layer_summary(self) -> list[dict[str, Any]]:
        """Of each layer: tested features, their mean selectivity, and the share between scripts."""
        found = []
        for layer in range(self.n_layers):
            part = slice(layer * self.n_features, (layer + 1) * self.n_features)
            known = ~np.isnan(self.between[part])
            between, within = self.between[part][known], self.within[part][known]
            n, total = len(between), between.sum() + within.sum()
            found.append(
                {
                    "layer": layer,
                    "tested": n,
                    "between": float(between.mean()) if n else None,
                    "within": float(within.mean()) if n else None,
                    "share_between": float(between.sum() / total) if n and total > 0 else None,
                }
            )
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each tested feature."""
        return [
            {
                "layer": int(column // self.n_features),
                "feature": int(column % self.n_features),
                "between": float(self.between[column]),
                "within": float(self.within[column]),
                **{f"share_{s}": float(self.share[i, column]) for i, s in enumerate(self.scripts)},
            }
            for column in np.flatnonzero(~np.isnan(self.between))
        ]

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Scripts, `layer_summary`, `rows` and the control, JSON-able."""
        return {
            "languages": list(self.languages),
            "scripts": list(self.scripts),
            "script_of_language": list(self.script_of_language),
            "layers": self.layer_summary(),
            "features": self.rows(),
            "control": None if self.control is None else self.control.to_dict(),
        }


def script_split(
    table: LineFeatures,
    rates: LanguageRates,
    *,
    romanised: LineFeatures | None = None,
    keeps: float = 0.2,
    n_permutations: int = 1000,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> ScriptSplit:
    """Split selectivity by script, and say what features do where the script is another.

    Parameters
    ----------
    table, rates
        `line_features`, and `language_rates` of it. Codes name their script: ``rus_Cyrl``.
    romanised
        `line_features` of the same lines `romanised`, with the same model and transcoder. Features
        specific to a language of another script are looked up in it.
    keeps
        A feature follows the language if it keeps this share of its rate, or more.
    n_permutations, seed, n_threads, progress
        Of the control, as in `language_rates`.

    Raises
    ------
    ValueError
        `rates` is of other languages or features; a code names no script; `romanised` is of other
        lines or features, or no language of it is of another script in `table`.
    """
    if (rates.languages, rates.n_layers, rates.n_features) != (
        table.languages,
        table.n_layers,
        table.n_features,
    ):
        raise ValueError(f"rates is {rates!r}, which is not of this table: compute it of the same")
    keeps = real_number("keeps", keeps)
    if not 0 < keeps < 1:
        raise ValueError(f"keeps={keeps:g} must be between 0 and 1")
    of_language = tuple(script_of(code) for code in rates.languages)
    scripts = tuple(dict.fromkeys(of_language))
    member = np.array([[own == script for own in of_language] for script in scripts], np.float64)
    p = np.where(rates.tested, rates.share, np.nan)
    q = member @ p
    size = member.sum(axis=1)
    between, whole = entropy_bits(q), entropy_bits(p)
    # Of q against what equal rates would give: n languages of all.
    selective = -between - (q * np.log2(size / len(of_language))[:, None]).sum(axis=0)
    within = np.maximum(0, whole - between)
    control = None
    if romanised is not None:
        control = romanised_control(
            table,
            romanised,
            rates,
            keeps=keeps,
            n_permutations=whole_number("n_permutations", n_permutations),
            seed=whole_number("seed", seed, least=0),
            n_threads=thread_count(n_threads),
            progress=progress,
        )
    return ScriptSplit(
        rates.languages,
        scripts,
        of_language,
        q,
        between,
        within,
        np.maximum(0, selective),
        np.maximum(0, (q * np.log2(size)[:, None]).sum(axis=0) - within),
        rates.n_layers,
        rates.n_features,
        control,
    )
