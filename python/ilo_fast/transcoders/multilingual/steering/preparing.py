"""What `steer` makes once, before the pairs: prompts, identifier, features, sets, vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilo_fast.corpora.lines import is_blank
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.representations.pooling import choose_pad_id
from ilo_fast.transcoders.multilingual.line_features import line_features
from ilo_fast.transcoders.multilingual.lines import beginning_token, position_limit_of
from ilo_fast.transcoders.multilingual.matched import column_numbers, matched_features
from ilo_fast.transcoders.multilingual.steering.background import (
    FeatureMeans,
    feature_means,
    mean_streams,
    mean_unembeddings,
    simple_language_columns,
)
from ilo_fast.transcoders.multilingual.steering.language_id import (
    IdentifierAccuracy,
    LanguageIdentifier,
)
from ilo_fast.transcoders.multilingual.steering.prompts import SteeringPrompts, steering_prompts
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.replacement import ReplacementModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LEAST_LINES: Final = 10


@dataclass(frozen=True)
class Settings:
    """What the results of a pair depend on, besides the model and the text."""

    n_prompts: int
    max_new_tokens: int
    strengths: tuple[float, ...]
    validation_share: float
    background_share: float
    background_lines: int
    baselines: tuple[str, ...]
    n_random: int
    n_examples: int
    seed: int


@dataclass(frozen=True, eq=False)
class Bench:
    """All that a pair needs.

    Attributes
    ----------
    it : ReplacementModel
    tokenizer
    settings : Settings
    prompts : SteeringPrompts
    identifier, accuracy
        Fitted on the background, measured on the lines that prompts are of.
    columns : language -> (features,)
    means : FeatureMeans
    norms : (columns,)
        Of what each feature writes when it is active.
    streams : language -> (layers, d); unembeddings : language -> (d,)
    beginning : tuple of int
        Tokens before a text.
    forbidden : tuple of int
        Tokens that do not go on with a text.
    pad : int
    """

    it: ReplacementModel
    tokenizer: Any
    settings: Settings
    prompts: SteeringPrompts
    identifier: LanguageIdentifier
    accuracy: IdentifierAccuracy
    columns: dict[str, Integers]
    means: FeatureMeans
    norms: Floats
    streams: dict[str, Floats]
    unembeddings: dict[str, Floats]
    beginning: tuple[int, ...]
    forbidden: tuple[int, ...]
    pad: int

    def random_sets(self, columns: Integers) -> Integers:
        """(sets, features): random ones in place of these, of no language."""
        of_languages = np.unique(np.concatenate(list(self.columns.values())))
        return matched_features(
            columns,
            self.means.density,
            self.norms,
            self.it.transcoder.n_features,
            n_sets=self.settings.n_random,
            seed=self.settings.seed,
            exclude=of_languages,
        )

    def mean_difference(self, source: str, target: str) -> Floats:
        """(layers, d): mean of the stream in the target minus that in the source."""
        return self.streams[target] - self.streams[source]

    def unembedding(self, source: str, target: str) -> Floats:
        """(layers, d): difference of mean rows of the head, as long as `mean_difference`."""
        row = self.unembeddings[target] - self.unembeddings[source]
        lengths = np.linalg.norm(self.mean_difference(source, target), axis=1)
        found: Floats = lengths[:, None] * row / max(float(np.linalg.norm(row)), 1e-12)
        return found


def prepared(
    it: ReplacementModel,
    corpus: ParallelCorpus,
    features: Mapping[str, ArrayLike] | None,
    background: Mapping[str, Sequence[str]] | None,
    tokenizer: Any,
    documents: Sequence[Any] | None,
    settings: Settings,
    *,
    progress: bool,
) -> Bench:
    """Draw, count, fit. Raises as `steer`."""
    reader = MLPReader(it.model, (it.parts, it.sites))
    prompts = steering_prompts(
        corpus,
        tokenizer,
        documents=documents,
        n_prompts=settings.n_prompts,
        validation_share=settings.validation_share,
        background_share=0.0 if background is not None else settings.background_share,
        max_new_tokens=settings.max_new_tokens,
        limit=position_limit_of(it.model, reader),
        seed=settings.seed,
    )
    lines = _background_lines(corpus, background, prompts)
    identifier = LanguageIdentifier.fit(lines)
    unseen = {code: [own[at] for at in prompts.line] for code, own in corpus.sentences.items()}
    read = _read(lines, tokenizer, it, settings, reader)
    table = line_features(
        it.model, it.transcoder, read,
        tokenizer=tokenizer, skip_positions=it.skip_positions, progress=progress,
    )  # fmt: skip
    means = feature_means(table)
    found = simple_language_columns(table) if features is None else features
    columns = _checked_columns(found, corpus.languages, it, means)
    first = tuple(beginning_token(tokenizer))
    if not first and settings.max_new_tokens < 2:
        raise ValueError(
            "max_new_tokens=1 must be at least 2: the tokenizer has no token that begins a text, "
            "behind which one token alone could be likely"
        )
    ids = {
        code: [[*first, *row] for row in _plain_ids(tokenizer, own)] for code, own in read.items()
    }
    norms = it.transcoder.decoder_norms().detach().double().cpu().numpy().ravel()
    vectors = {"mean_difference", "unembedding"} & set(settings.baselines)
    return Bench(
        it=it,
        tokenizer=tokenizer,
        settings=settings,
        prompts=prompts,
        identifier=identifier,
        accuracy=identifier.accuracy(unseen, seed=settings.seed),
        columns=columns,
        means=means,
        norms=norms * means.overall,
        streams=mean_streams(it, ids) if vectors else {},
        unembeddings=mean_unembeddings(it, ids) if "unembedding" in vectors else {},
        beginning=first,
        forbidden=tuple(sorted(set(getattr(tokenizer, "all_special_ids", ())))),
        pad=choose_pad_id(it.parts, tokenizer),
    )


def _background_lines(
    corpus: ParallelCorpus,
    background: Mapping[str, Sequence[str]] | None,
    prompts: SteeringPrompts,
) -> dict[str, list[str]]:
    if background is not None:
        missing = [code for code in corpus.languages if code not in background]
        if missing:
            raise ValueError(f"background has no {missing[0]}: it must have every language")
        found = {code: list(background[code]) for code in corpus.languages}
    else:
        found = {
            code: [own[at] for at in prompts.background] for code, own in corpus.sentences.items()
        }
    found = {code: [line for line in own if not is_blank(line)] for code, own in found.items()}
    least = min(found, key=lambda code: len(found[code]))
    if len(found[least]) < _LEAST_LINES:
        raise ValueError(
            f"the background has {len(found[least])} lines of {least}, wanted at least "
            f"{_LEAST_LINES}, better hundreds: raise background_share, or pass background="
        )
    return found


def _read(
    lines: Mapping[str, Sequence[str]],
    tokenizer: Any,
    it: ReplacementModel,
    settings: Settings,
    reader: MLPReader,
) -> dict[str, list[str]]:
    """Lines that go through the model: at most so many of each language, none too long or short."""
    limit = position_limit_of(it.model, reader)
    n_first = len(beginning_token(tokenizer))
    found = {}
    for code, own in lines.items():
        order = np.random.default_rng(settings.seed).permutation(len(own))
        order = np.sort(order[: settings.background_lines])
        drawn = [own[at] for at in order]
        found[code] = [
            text
            for text, row in zip(drawn, _plain_ids(tokenizer, drawn), strict=True)
            if row
            and n_first + len(row) > it.skip_positions
            and (limit is None or n_first + len(row) <= limit)
        ]
        if not found[code]:
            raise ValueError(
                f"of {len(drawn)} background lines of {code} none can be read: the model takes "
                f"{limit} tokens, and {it.skip_positions} at the beginning are skipped"
            )
    return found


def _plain_ids(tokenizer: Any, lines: Sequence[str]) -> list[list[int]]:
    found = tokenizer(list(lines), add_special_tokens=False, verbose=False)["input_ids"]
    return [list(row) for row in found]


def _checked_columns(
    features: Mapping[str, ArrayLike],
    languages: Sequence[str],
    it: ReplacementModel,
    means: FeatureMeans,
) -> dict[str, Integers]:
    """Of every language its columns that are ever active, ascending; maybe none."""
    width = it.transcoder.n_layers * it.transcoder.n_features
    found = {}
    for code in languages:
        if code not in features:
            raise ValueError(
                f"features has no {code}: it must name the features of every language of the "
                "corpus, be it none"
            )
        own = np.unique(column_numbers(f"features of {code}", features[code], width))
        found[code] = own[means.density[own] > 0]
    return found
