"""What is measured of continuations: their language, what of the content is kept, fluency."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.schema import object_of
from ilo_fast.transcoders.multilingual.documents import share_interval
from ilo_fast.transcoders.multilingual.steering.language_id import UND

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESAMPLES: Final = 2000


@dataclass(frozen=True)
class Share:
    """A share of the prompts, with Wilson's 95 % interval, documents being the trials."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Floats, document: Integers) -> Share:
        """As `share_interval`: prompts of a document that go on alike are one trial.

        values : (prompts,)
            0 to 1; where several runs of one prompt are averaged, between.
        """
        _, number = np.unique(document, return_inverse=True)
        within = np.clip(values, 0.0, 1.0)  # rounding
        hits, totals = np.bincount(number, within), np.bincount(number)
        return cls(*share_interval(hits.astype(np.float64), totals.astype(np.float64)))


@dataclass(frozen=True, eq=False)
class Outcome:
    """How some prompts went on under one condition.

    Attributes
    ----------
    texts : tuple of str
        The continuations.
    said : tuple of str
        Their language by the identifier; ``"und"`` where they hold no letter.
    reference, shuffled : (prompts,)
        Log-likelihood per token, under the condition, of how the translation goes on, and of how
        another line's does; NaN where it was not computed.
    chrf : (prompts,) or None
        Of the continuation against how the translation goes on.
    loss, loss_alone : (prompts,)
        Nats per token of the continuation under the model as it is, behind the prompt, and alone.
    distinct : (prompts,)
        Share of the continuation's tokens that are not repeated.
    """

    texts: tuple[str, ...]
    said: tuple[str, ...]
    reference: Floats
    shuffled: Floats
    chrf: Floats | None
    loss: Floats
    loss_alone: Floats
    distinct: Floats

    def is_in(self, language: str) -> Floats:
        """(prompts,): 1 where the continuation is in a language."""
        return np.array([float(code == language) for code in self.said])


@dataclass(frozen=True)
class Measures:
    """One condition on the test half of the prompts.

    Attributes
    ----------
    target, source, neither : Share
        Continuations in the target's language, in the prompt's, in another or in none.
    said : mapping
        Language -> share of the continuations; ``"und"``: no letter.
    reference, shuffled : float
        Mean log-likelihood per token of how the translation goes on, and of another line's; with
        several sets of random features, under the first.
    content : float
        Their difference: what the model still knows of this line, in the target's language.
    content_low, content_high : float
        Its 95 % interval, by bootstrap over documents.
    chrf : float or None
        0 to 100; None without sacrebleu.
    loss, loss_alone : float
        Nats per token of the continuation under the unmodified model, behind the prompt, and alone.
    distinct : float
        Share of the tokens that are not repeated.
    """

    target: Share
    source: Share
    neither: Share
    said: dict[str, float]
    reference: float
    shuffled: float
    content: float
    content_low: float
    content_high: float
    chrf: float | None
    loss: float
    loss_alone: float
    distinct: float

    @classmethod
    def from_dict(cls, data: Any) -> Measures:
        """Of what `vars` and JSON made of it."""
        plain = dict(object_of("measures", data))
        for name in ("target", "source", "neither"):
            plain[name] = Share(**object_of(name, plain[name]))
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        shares = {name: vars(getattr(self, name)) for name in ("target", "source", "neither")}
        return {**vars(self), **shares}


def measured(
    outcomes: Sequence[Outcome], source: str, target: str, document: Integers, seed: int
) -> Measures:
    """Of one condition; of several sets of random features, which are averaged prompt by prompt.

    Likelihoods are of the first set. document: (prompts,).
    """

    def mean(name: str) -> Floats:
        return np.asarray(np.mean([getattr(one, name) for one in outcomes], axis=0), np.float64)

    def share_of(language: str) -> Floats:
        return np.asarray(np.mean([one.is_in(language) for one in outcomes], axis=0), np.float64)

    in_target, in_source = share_of(target), share_of(source)
    said = sorted({code for one in outcomes for code in one.said})
    first = outcomes[0]
    content = first.reference - first.shuffled
    low, high = document_interval(content, document, seed=seed)
    return Measures(
        target=Share.of(in_target, document),
        source=Share.of(in_source, document),
        neither=Share.of(1 - in_target - in_source, document),
        said={code: float(share_of(code).mean()) for code in said},
        reference=float(first.reference.mean()),
        shuffled=float(first.shuffled.mean()),
        content=float(content.mean()),
        content_low=low,
        content_high=high,
        chrf=None if outcomes[0].chrf is None else float(mean("chrf").mean()),
        loss=float(mean("loss").mean()),
        loss_alone=float(mean("loss_alone").mean()),
        distinct=float(mean("distinct").mean()),
    )


def chrf_scores(texts: Sequence[str], references: Sequence[str]) -> Floats | None:
    """(texts,): chrF2 (Popovic 2015) of each against its reference; None without sacrebleu.

    A reference is cut to the text's length, at a character: it goes on where the text stops.
    """
    if importlib.util.find_spec("sacrebleu") is None:
        return None
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    return np.array(
        [
            metric.sentence_score(
                text.strip(), [reference.strip()[: max(len(text.strip()), 1)]]
            ).score
            for text, reference in zip(texts, references, strict=True)
        ]
    )


def document_interval(
    values: Floats, document: Integers, *, seed: int, within: float | None = None
) -> tuple[float, float]:
    """The 95 % interval of a mean, by bootstrap over documents.

    Parameters
    ----------
    values, document : (prompts,)
    seed
        Of the draws.
    within
        Values are from -within to within: two documents more, one of each extreme, are drawn from,
        so that what was not seen in some dozens of prompts is not taken for impossible (as Agresti
        and Min 2005 add to paired shares).
    """
    _, number = np.unique(document, return_inverse=True)
    sums = np.bincount(number, values)
    sizes = np.bincount(number).astype(np.float64)
    if within is not None:
        sums = np.concatenate([sums, sizes.mean() * within * np.array([1.0, -1.0])])
        sizes = np.concatenate([sizes, np.full(2, sizes.mean())])
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [0.025, 0.975])
    return float(low), float(high)


def plain_said(said: Sequence[str | None]) -> tuple[str, ...]:
    """Languages, ``"und"`` for None."""
    return tuple(UND if code is None else code for code in said)
