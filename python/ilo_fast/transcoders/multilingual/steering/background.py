"""What steering needs to know beforehand, from text that no prompt is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast.models.forward import evaluating, first_tensor, inference, trial_output
from ilo_fast.transcoders.multilingual.by_language import largest_other, rates, shares, summed
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.multilingual.lines import equal_batches
from ilo_fast.transcoders.replacement import ReplacementModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_BATCH_TOKENS: Final = 2048


@dataclass(frozen=True, eq=False)
class FeatureMeans:
    """Of every feature, in text of several languages.

    Attributes
    ----------
    languages : tuple of str
    rate : (languages, columns)
        Share of the tokens at which it is active.
    strength : (languages, columns)
        Mean activation where it is active; 0 where it never is.
    overall : (columns,)
        `strength` over all languages together.
    """

    languages: tuple[str, ...]
    rate: Floats
    strength: Floats
    overall: Floats

    @property
    def density(self) -> Floats:
        """(columns,): share of the tokens at which it is active, languages counting alike."""
        found: Floats = self.rate.mean(axis=0)
        return found

    def of(self, language: str, columns: Integers) -> Floats:
        """Mean activation where active, in a language; over all where it never is in this one."""
        own = self.strength[self.languages.index(language)][columns]
        return np.where(own > 0, own, self.overall[columns])


def feature_means(table: LineFeatures) -> FeatureMeans:
    """Rates and strengths, counted in a table of features line by line."""
    counts, sums = summed(table, table.counts), summed(table, table.sums)
    strength = sums / np.maximum(counts, 1)
    overall = sums.sum(axis=0) / np.maximum(counts.sum(axis=0), 1)
    return FeatureMeans(table.languages, rates(table), strength, overall)


def simple_language_columns(
    table: LineFeatures,
    *,
    share: float = 0.5,
    others: float = 0.1,
    least_rate: float = 0.002,
    most: int = 30,
) -> dict[str, Integers]:
    """Features of each language by a simple rule, for want of a tested list.

    With the rates of a feature in all languages divided by their sum, the language has at least
    `share` of it and every other less than `others`.

    Parameters
    ----------
    table
        Of text that nothing is tested on later.
    least_rate
        Share of the language's tokens at which it must be active.
    most
        So many of each language at most: those that are active most often.

    Returns
    -------
    dict
        Language -> columns (layer * n_features + feature), ascending; maybe none.
    """
    rate = rates(table)
    part = shares(rate)
    rest = largest_other(part)
    found = {}
    for at, code in enumerate(table.languages):
        chosen = np.flatnonzero(
            (part[at] >= share) & (rest[at] < others) & (rate[at] >= least_rate)
        )
        often = chosen[np.argsort(-rate[at][chosen], kind="stable")][:most]
        found[code] = np.sort(often).astype(np.int64)
    return found


def mean_streams(
    it: ReplacementModel, ids: Mapping[str, Sequence[Sequence[int]]]
) -> dict[str, Floats]:
    """Language -> (layers, d): mean of the residual stream behind each layer.

    ids: language -> lines as token ids. Positions that the transcoder skips do not count.
    """
    ends: list[nn.Module] = [*it.parts.entries[1:], it.parts.final_norm or it.parts.head]  # type: ignore[list-item]
    skip, sums = it.skip_positions, torch.zeros(it.n_layers, it.parts.dim, dtype=torch.float64)

    def reading(layer: int) -> object:
        def hook(_: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            stream = first_tensor(args, kwargs)
            assert stream is not None
            sums[layer] += stream[:, skip:].double().sum((0, 1)).cpu()

        return hook

    device = next(it.parts.embeddings.parameters()).device
    handles = [
        module.register_forward_pre_hook(reading(layer), with_kwargs=True)  # type: ignore[arg-type]
        for layer, module in enumerate(ends)
    ]
    found = {}
    try:
        with evaluating(it.model), inference(it.model):
            for code, rows in ids.items():
                sums.zero_()
                for batch in equal_batches(rows, _BATCH_TOKENS):
                    given = torch.tensor([list(rows[at]) for at in batch], device=device)
                    trial_output(it.model, given)
                n = sum(max(0, len(row) - skip) for row in rows)
                found[code] = (sums / n).numpy().copy()
    finally:
        for handle in handles:
            handle.remove()
    return found


def mean_unembeddings(
    it: ReplacementModel, ids: Mapping[str, Sequence[Sequence[int]]]
) -> dict[str, Floats]:
    """Language -> (d,): mean of the head's rows over the tokens of its text."""
    assert it.parts.head is not None
    weight = it.parts.head.get_parameter("weight").detach().double().cpu()
    found = {}
    for code, rows in ids.items():
        tokens = torch.tensor([token for row in rows for token in row[it.skip_positions :]])
        counts = torch.bincount(tokens, minlength=len(weight)).double()
        found[code] = (counts @ weight / counts.sum()).numpy()
    return found
