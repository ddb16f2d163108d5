"""Whether features of late layers can be foretold linearly from what early layers read.

The paper's mechanism: early layers encode language linearly, and the language features of the last
layers carry it to the output. If so, early vectors tell where those features will be active, better
than where other late features of the same density will be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.json_numbers import finite
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.transcoders.multilingual.documents import share_interval
from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
    LanguageFeatures,
)
from ilo_fast.transcoders.multilingual.matched import matched_features
from ilo_fast.transcoders.multilingual.probes.logistic import binary, multinomial
from ilo_fast.transcoders.multilingual.probes.probes import standardised
from ilo_fast.transcoders.multilingual.probes.token_sample import TokenSample, token_sample
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_LEAST: Final = 10  # tokens with, and without, in either half
_PENALTY: Final = 0.01


@dataclass(frozen=True, eq=False)
class LateFeatures:
    """How well early layers foretell late features.

    Attributes
    ----------
    columns : (features,) int64
        Late language features that were active often enough to be asked for.
    language : (features,) int64
        Index into `languages`.
    languages : tuple of str
    layers : tuple of int
        The early layers.
    auc : (features, layers) float64
        Of the probe for "active at this token", on the half of the documents that did not fit it:
        0.5 is chance.
    matched : (n_random, features, layers) float64
        The same of random features of the layer, of like density and norm.
    p : (layers,) float64
        Rank of the mean AUC among the means of the random sets.
    named : (share, low, high)
        How often a probe on the activations of these features alone names the language of a token
        of the other half: how much of it they carry. With the interval by document.
    named_matched : (n_random,) float64
        The same of the random sets.
    options : mapping
    """

    columns: Integers
    language: Integers
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    n_features: int
    auc: Floats
    matched: Floats
    p: Floats
    named: tuple[float, float, float]
    named_matched: Floats
    options: Mapping[str, Any]

    def __repr__(self) -> str:
        auc = self.auc.mean(axis=0)
        return (
            f"LateFeatures({len(self.columns)} features, from layers {self.layers}: AUC "
            f"{auc.min():.3f} to {auc.max():.3f}, random {self.matched.mean():.3f})"
        )

    @property
    def named_p(self) -> float:
        """Rank of `named` among the random sets."""
        above = int((self.named_matched >= self.named[0] - 1e-12).sum())
        return (1 + above) / (1 + len(self.named_matched))

    def records(self) -> list[dict[str, Any]]:
        """A row for each early layer: means over features."""
        means = self.matched.mean(axis=1)
        return [
            {
                "layer": layer,
                "auc": finite(self.auc[:, at].mean()),
                "matched_auc": finite(means[:, at].mean()),
                "matched_low": finite(np.percentile(means[:, at], 2.5)),
                "matched_high": finite(np.percentile(means[:, at], 97.5)),
                "p": float(self.p[at]),
            }
            for at, layer in enumerate(self.layers)
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "features": [
                {
                    "language": self.languages[self.language[at]],
                    "layer": int(column // self.n_features),
                    "feature": int(column % self.n_features),
                    "auc": self.auc[at].tolist(),
                    "matched_auc": self.matched[:, at].mean(axis=0).tolist(),
                }
                for at, column in enumerate(self.columns)
            ],
            "layers": self.records(),
            "named": {
                "accuracy": self.named[0],
                "accuracy_low": self.named[1],
                "accuracy_high": self.named[2],
                "matched_mean": float(self.named_matched.mean()),
                "matched_low": float(np.percentile(self.named_matched, 2.5)),
                "matched_high": float(np.percentile(self.named_matched, 97.5)),
                "p": self.named_p,
            },
            "options": dict(self.options),
        }


def late_features(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    features: LanguageFeatures,
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    *,
    tokenizer: Any,
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    late_from: int | None = None,
    early_before: int | None = None,
    n_tokens: int = 500,
    n_random: int = 100,
    exclude: Sequence[int] | Integers = (),
    seed: int = 0,
    progress: bool = False,
) -> LateFeatures:
    """Foretell late language features from early layers, and random late features beside them.

    Parameters
    ----------
    model, transcoder, texts, tokenizer, documents
        As `line_features` takes them.
    features
        Of `language_features` on the same texts, documents and seed.
    late_from, early_before
        Layers from the one are late, before the other early. None: the last and the first half.
    n_tokens
        As `language_probes` takes it.
    n_random
        Sets of random features.
    exclude
        Columns that no random set has, as in `ablation_matrix`.
    seed
        Of the halves, the tokens and the random features.
    progress
        A bar on stderr.

    Raises
    ------
    CorpusError, ValueError
        As `line_features`; no late language feature is active often enough; features were found on
        another half of the documents.
    """
    n_layers = transcoder.n_layers
    late = (n_layers + 1) // 2 if late_from is None else late_from
    early = n_layers // 2 if early_before is None else early_before
    whole_number("late_from", late, least=0, most=n_layers - 1)
    whole_number("early_before", early, least=1, most=late)
    whole_number("n_random", n_random)
    sample = token_sample(
        model, transcoder, texts,
        tokenizer=tokenizer, documents=documents, n_tokens=n_tokens, seed=seed, progress=progress,
    )  # fmt: skip
    norms = transcoder.decoder_norms().detach().double().cpu().numpy().ravel()
    return foretold(
        sample, features, norms,
        late_from=late, early_before=early, n_random=n_random, seed=seed, exclude=exclude,
        progress=progress,
    )  # fmt: skip


def foretold(
    sample: TokenSample,
    features: LanguageFeatures,
    norms: Floats,
    *,
    late_from: int,
    early_before: int,
    n_random: int,
    seed: int,
    exclude: Sequence[int] | Integers = (),
    progress: bool = False,
) -> LateFeatures:
    """`late_features` of tokens that were drawn and read; `norms` of all features' decoders."""
    late, early = late_from, early_before
    tested_on = features.test_documents
    if len(tested_on) <= sample.document.max() or not np.array_equal(
        tested_on[sample.document], ~sample.first
    ):
        raise ValueError(
            "features were found on other documents than those that probes are fitted on, and so "
            "maybe on those that test them: give both the same texts, documents and seed"
        )
    usable, density, strength = _usable(sample)
    mine = (features.layer >= late) & usable[features.columns]
    columns = features.columns[mine]
    if not len(columns):
        raise ValueError(
            f"features has none from layer {late} on that is active at {_LEAST} tokens or more of "
            "either half: pass more text, or another late_from="
        )
    drawn = matched_features(
        columns, np.where(usable, density, 0.0), norms * strength, sample.n_features,
        n_sets=n_random, seed=seed, exclude=exclude,
    )  # fmt: skip
    every = np.unique(np.concatenate([columns, drawn.ravel()]))
    active = sample.activations(every) != 0
    auc = np.empty((len(every), early))
    with cost_bar(progress, "foretelling", cost=early, items=early, unit="layer") as bar:
        for layer in range(early):
            auc[:, layer] = _auc(sample, standardised(sample.x[:, layer], sample.first), active)
            bar.advance(1, 1)
    own, others = auc[np.searchsorted(every, columns)], auc[np.searchsorted(every, drawn)]
    document = sample.document[~sample.first]
    hits = _named(sample, columns)
    each = np.bincount(document).astype(np.float64)
    named = share_interval(np.bincount(document, hits).astype(np.float64), each)
    by_others = np.array([_named(sample, other).mean() for other in drawn])
    above = (others.mean(axis=1) >= own.mean(axis=0) - 1e-12).sum(axis=0)
    return LateFeatures(
        columns, features.language[mine], features.languages, tuple(range(early)),
        sample.n_features, own, others, (1 + above) / (1 + n_random), named, by_others,
        {"late_from": late, "early_before": early, "n_random": n_random, "n_excluded": len(exclude),
         "seed": seed, "penalty": _PENALTY},
    )  # fmt: skip


def _usable(sample: TokenSample) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Of each feature: whether it is on and off often enough; density; mean activation."""
    total = sample.n_layers * sample.n_features
    usable = np.ones(total, bool)
    for half in (True, False):
        on = np.bincount(sample.columns[sample.first[sample.tokens_of] == half], minlength=total)
        n = int((sample.first == half).sum())
        usable &= (on >= _LEAST) & (n - on >= _LEAST)
    fired = np.bincount(sample.columns, minlength=total)
    sums = np.bincount(sample.columns, weights=sample.values, minlength=total)
    return usable, fired / len(sample), sums / np.maximum(fired, 1)


def _named(sample: TokenSample, columns: Integers) -> Floats:
    """Of each token of the second half, whether these features name its language."""
    train, test = torch.from_numpy(sample.first), torch.from_numpy(~sample.first)
    X = standardised(sample.activations(columns), sample.first)
    truth = torch.from_numpy(sample.language)
    weight, bias = multinomial(
        X[train], truth[train][None], len(sample.languages), torch.tensor([_PENALTY])
    )
    hits = (X[test] @ weight[0] + bias[0]).argmax(-1) == truth[test]
    return hits.numpy().astype(np.float64)


def _auc(sample: TokenSample, X: torch.Tensor, active: torch.Tensor) -> Floats:
    train, test = torch.from_numpy(sample.first), torch.from_numpy(~sample.first)
    found = binary(X[train], active[train], _PENALTY)
    scores = (X[test] @ found[:-1] + found[-1]).double().numpy()
    return area_under_curve(scores, active[test].numpy())


def area_under_curve(scores: Floats, truth: NDArray[np.bool_]) -> Floats:
    """(fits,): the chance that a yes scores above a no, ties counted half.

    scores, truth : (rows, fits)
    """
    out = np.empty(scores.shape[1])
    for at in range(scores.shape[1]):
        values, rank, count = np.unique(scores[:, at], return_inverse=True, return_counts=True)
        middle = np.cumsum(count) - (count - 1) / 2  # mean rank, from 1
        yes = truth[:, at]
        n_yes, n_no = int(yes.sum()), int((~yes).sum())
        above = middle[rank.reshape(-1)][yes].sum() - n_yes * (n_yes + 1) / 2
        out[at] = above / (n_yes * n_no) if n_yes and n_no and len(values) else np.nan
    return out
