"""How well each layer encodes language linearly: probes on single tokens, and their baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.json_numbers import finite
from ilo_fast._util.optional import data_frame
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.transcoders.multilingual.documents import (
    document_halves,
    mean_interval,
    permuted_labels,
    share_interval,
)
from ilo_fast.transcoders.multilingual.probes.logistic import multinomial
from ilo_fast.transcoders.multilingual.probes.token_baselines import token_baselines
from ilo_fast.transcoders.multilingual.probes.token_sample import TokenSample, token_sample
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Floats = NDArray[np.float64]
Interval = tuple[float, float, float]

PENALTIES: Final = (1.0, 0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True)
class Probe:
    """One probe, on the tokens of the half that it was not fitted on.

    Attributes
    ----------
    kind : str
        ``"embedding"``: token embeddings. ``"x"``: what the MLP of a layer reads. ``"a"``:
        activations of its features.
    layer : int
        0 for embeddings.
    accuracy : (share, low, high)
        With the interval by document.
    over_unigram, over_embedding : (difference, low, high)
        In accuracy on the same tokens: to counts of tokens (`token_baselines`), and to the probe on
        token embeddings, which also names tokens that were never counted.
    shuffled : tuple of float
        Accuracies where the labels of documents were permuted before the fit.
    recall : tuple of float
        Of each language.
    penalty : float
        Chosen within the half that it was fitted on.
    """

    kind: str
    layer: int
    accuracy: Interval
    over_unigram: Interval
    over_embedding: Interval
    shuffled: tuple[float, ...]
    recall: tuple[float, ...]
    penalty: float

    @property
    def selectivity(self) -> float:
        """Accuracy minus the mean of the shuffled.

        As Hewitt and Liang (EMNLP 2019) have it, but labels are permuted by document, not drawn for
        each word: it does not say what a probe learns by heart of words. `over_embedding` does.
        """
        return self.accuracy[0] - float(np.mean(self.shuffled))

    @property
    def p(self) -> float:
        """Rank of the accuracy among the shuffled."""
        above = sum(value >= self.accuracy[0] for value in self.shuffled)
        return (1 + above) / (1 + len(self.shuffled))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "kind": self.kind,
            "layer": self.layer,
            **_named("accuracy", self.accuracy),
            "selectivity": self.selectivity,
            "shuffled_mean": float(np.mean(self.shuffled)),
            "shuffled_low": min(self.shuffled),
            "shuffled_high": max(self.shuffled),
            "p": self.p,
            **_named("over_unigram", self.over_unigram),
            **_named("over_embedding", self.over_embedding),
            "penalty": self.penalty,
        }


@dataclass(frozen=True)
class LanguageProbes:
    """Probes for language of every layer, and what counts of tokens alone achieve.

    Attributes
    ----------
    languages : tuple of str
    probes : tuple of Probe
        The embeddings, then x and a of each layer.
    baselines : mapping
        ``"unigram"``, ``"bigram"``, ``"line_so_far"`` -> accuracy with its interval; see
        `token_baselines`.
    n_tokens : (int, int)
        Of each language, of the half that fits and of the other.
    n_documents : (int, int)
    options : mapping
        What `language_probes` was called with.
    """

    languages: tuple[str, ...]
    probes: tuple[Probe, ...]
    baselines: Mapping[str, Interval]
    n_tokens: tuple[int, int]
    n_documents: tuple[int, int]
    options: Mapping[str, Any]

    @property
    def chance(self) -> float:
        return 1 / len(self.languages)

    def of(self, kind: str) -> tuple[Probe, ...]:
        """Those of one kind, by layer."""
        return tuple(probe for probe in self.probes if probe.kind == kind)

    def records(self) -> list[dict[str, Any]]:
        """A row for each probe."""
        return [
            probe.to_dict()
            | {f"recall_{c}": r for c, r in zip(self.languages, probe.recall, strict=True)}
            for probe in self.probes
        ]

    def to_dataframe(self) -> Any:
        """`records` as a table."""
        return data_frame(self.records())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "languages": list(self.languages),
            "chance": self.chance,
            "probes": self.records(),
            "baselines": {
                name: _named("accuracy", value) for name, value in self.baselines.items()
            },
            "n_tokens": list(self.n_tokens),
            "n_documents": list(self.n_documents),
            "options": dict(self.options),
        }


def language_probes(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    *,
    tokenizer: Any,
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    n_tokens: int = 500,
    n_shuffles: int = 20,
    seed: int = 0,
    progress: bool = False,
) -> LanguageProbes:
    """Logistic regressions that tell a token's language from one vector.

    Fitted on tokens of one half of the documents, with the ridge penalty chosen within it by
    held-out documents; measured on the other half.

    Parameters
    ----------
    model, transcoder, texts, tokenizer, documents
        As `line_features` takes them.
    n_tokens
        Of each language, drawn from each half; where a language has fewer, as many of all.
    n_shuffles
        Fits with permuted labels: those of a document's languages among each other.
    seed
        Of the halves, the tokens and the shuffles.
    progress
        A bar on stderr.

    Raises
    ------
    CorpusError, ValueError
        As `line_features`; fewer than two languages, or four documents of one.
    """
    whole_number("n_shuffles", n_shuffles)
    sample = token_sample(
        model, transcoder, texts,
        tokenizer=tokenizer, documents=documents, n_tokens=n_tokens, seed=seed, progress=progress,
    )  # fmt: skip
    return probes_of(sample, n_shuffles=n_shuffles, seed=seed, progress=progress)


def probes_of(
    sample: TokenSample, *, n_shuffles: int = 20, seed: int = 0, progress: bool = False
) -> LanguageProbes:
    """`language_probes` of tokens that were drawn and read."""
    trivial = token_baselines(sample)
    beside = {"unigram": trivial["unigram"]}
    kinds = list(_vectors(sample))
    probes = []
    with cost_bar(progress, "probing", cost=len(kinds), items=len(kinds), unit="probe") as bar:
        for kind, layer in kinds:
            X = standardised(_matrix(sample, kind, layer), sample.first)
            probes.append(_probe(sample, kind, layer, X, beside, n_shuffles, seed))
            bar.advance(1, 1)
    test = sample.document[~sample.first]
    each = [int((sample.first == half).sum()) // len(sample.languages) for half in (True, False)]
    names = [len(np.unique(sample.document[sample.first == half])) for half in (True, False)]
    return LanguageProbes(
        sample.languages,
        tuple(probes),
        {name: _by_document(hits, test) for name, hits in trivial.items()},
        (each[0], each[1]),
        (names[0], names[1]),
        {"n_shuffles": n_shuffles, "seed": seed,
         "penalties": list(PENALTIES)},
    )  # fmt: skip


def _vectors(sample: TokenSample) -> Iterator[tuple[str, int]]:
    yield "embedding", 0
    for layer in range(sample.n_layers):
        yield "x", layer
        yield "a", layer


def _matrix(sample: TokenSample, kind: str, layer: int) -> torch.Tensor:
    if kind == "embedding":
        return sample.embedded
    if kind == "x":
        return sample.x[:, layer]
    return sample.activations(np.arange(sample.n_features) + layer * sample.n_features)


def standardised(X: torch.Tensor, first: NDArray[np.bool_]) -> torch.Tensor:
    """Centred, and of mean variance 1, on the rows of the first half."""
    fitted = X[torch.from_numpy(first)]
    X = X - fitted.mean(0)
    return X / (fitted.var(0, correction=0).mean().sqrt() + 1e-12)


def chosen_penalty(X: torch.Tensor, language: NDArray[np.int64], document: NDArray[np.int64],
                   n_classes: int, seed: int) -> float:  # fmt: skip
    """Of `PENALTIES`, the one of least cross-entropy on documents held out; the rows are fitted on.

    Fitted on one half of the documents, tried on the other.
    """
    _, names = np.unique(document, return_inverse=True)
    try:
        inner = document_halves(language, names, seed=seed)[names]
    except ValueError:  # too few documents to try anything on
        return PENALTIES[len(PENALTIES) // 2]
    labels = torch.from_numpy(language)
    fit, held = torch.from_numpy(inner), torch.from_numpy(~inner)
    weight, bias = multinomial(
        X[fit], labels[fit].expand(len(PENALTIES), -1), n_classes, torch.tensor(PENALTIES)
    )
    scores = torch.einsum("nd,gdc->gnc", X[held], weight) + bias[:, None]
    losses = [nn.functional.cross_entropy(one, labels[held]).item() for one in scores]
    return PENALTIES[int(np.argmin(losses))]


def _probe(
    sample: TokenSample, kind: str, layer: int, X: torch.Tensor, beside: dict[str, Floats],
    n_shuffles: int, seed: int,
) -> Probe:  # fmt: skip
    """One probe; that of the embeddings, which come first, joins what others stand beside."""
    first, n = sample.first, len(sample.languages)
    train, test = torch.from_numpy(first), torch.from_numpy(~first)
    penalty = chosen_penalty(X[train], sample.language[first], sample.document[first], n, seed)
    random = np.random.default_rng([seed, 3])
    labels = np.stack([
        sample.language,
        *(permuted_labels(sample.language, sample.document, random) for _ in range(n_shuffles)),
    ])  # fmt: skip
    weight, bias = multinomial(
        X[train], torch.from_numpy(labels[:, first]), n, torch.full((len(labels),), penalty)
    )
    named = (torch.einsum("nd,gdc->gnc", X[test], weight) + bias[:, None]).argmax(-1).numpy()
    hits = (named == labels[:, ~first]).astype(np.float64)
    truth, document = sample.language[~first], sample.document[~first]

    def over(other: Floats) -> Interval:
        return mean_interval(_sums(document, hits[0] - other), _sums(document))

    return Probe(
        kind,
        layer,
        _by_document(hits[0], document),
        over(beside["unigram"]),
        over(beside.setdefault("embedding", hits[0])),
        tuple(hits[1:].mean(axis=1).tolist()),
        tuple(float(hits[0, truth == code].mean()) for code in range(n)),
        penalty,
    )


def _by_document(hits: Floats, document: NDArray[np.int64]) -> Interval:
    return share_interval(_sums(document, hits), _sums(document))


def _sums(document: NDArray[np.int64], values: Floats | None = None) -> Floats:
    return np.bincount(document, values).astype(np.float64)


def _named(name: str, value: Interval) -> dict[str, float | None]:
    ends = (name, f"{name}_low", f"{name}_high")
    return {k: finite(v) for k, v in zip(ends, value, strict=True)}
