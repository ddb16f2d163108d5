"""What is measured of each model and transcoder: functions that give JSON-able numbers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from ilo_fast import ParallelCorpus
from ilo_fast.transcoders import (
    LanguageFeatures,
    LineFeatures,
    ablation_matrix,
    feature_sharing,
    language_features,
    language_probes,
    language_rates,
    late_features,
    line_features,
    line_influence,
    script_split,
    shared_space,
    steer,
    word_features,
)
from ilo_fast.transcoders.files.opening import Opened
from multilingual_clt.making import Making, losses, quiet
from multilingual_clt.plan import ENGLISH, Condition

VERSES = 600
"""Of each language, held out, spread over all chapters that are."""


class Analysing:
    """Measurements of what `making` made, on verses that it held out.

    Parameters
    ----------
    making
        The models.
    folder
        Where long measurements keep their parts.
    """

    def __init__(self, making: Making, folder: Path) -> None:
        self._making, self._folder = making, folder

    def _read(
        self, condition: Condition, seed: int, kind: str
    ) -> tuple[Opened, ParallelCorpus, LineFeatures]:
        it = self._making.opened(condition, seed, kind)
        corpus = self._making.held_out(condition).corpus(VERSES)
        return it, corpus, line_features(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)

    def loss(self, condition: Condition, seed: int, _: str) -> dict[str, Any]:
        """Bits and characters of held-out verses, per language and chapter."""
        model, tokenizer = self._making.loaded(condition, seed)
        corpus = self._making.held_out(condition).corpus(VERSES)
        return losses(model, tokenizer, corpus)

    def space(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Both notions of sharing, by layer and pair of languages; excess by document."""
        it, corpus, table = self._read(condition, seed, kind)
        with quiet():
            found = shared_space(
                it.model, it.transcoder, corpus, tokenizer=it.tokenizer, table=table,
                match_length=True, seed=seed,
            )  # fmt: skip
        sums = found.sharing.document_sums["jaccard"]
        return {
            "space": found.to_dict(),
            "pairs": [list(pair) for pair in itertools.combinations(found.languages, 2)],
            "excess_by_document": np.round(sums, 6).tolist(),  # (documents, pairs, layers)
            "lines_by_document": np.bincount(
                np.unique(found.sharing.documents, return_inverse=True)[1]
            ).tolist(),
        }

    def influence(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Sharing of the features that carry each line's influence on what is predicted."""
        it = self._making.opened(condition, seed, kind)
        corpus = self._making.held_out(condition).corpus(VERSES // 2)
        table = line_influence(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)
        return feature_sharing(table, by="influence", match_length=True, seed=seed).to_dict()

    def languages(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Rates, features of single languages, and what early layers know of late ones."""
        it, corpus, table = self._read(condition, seed, kind)
        rates = language_rates(table, n_permutations=200, seed=seed)
        found = language_features(table, n_permutations=200, seed=seed)
        late = language_features(table, layers=self._late(it), n_permutations=200, seed=seed)
        foretold = late_features(
            it.model, it.transcoder, late, corpus, tokenizer=it.tokenizer, n_random=20,
            exclude=late.passed, seed=seed,
        )  # fmt: skip
        return {
            "rates": rates.layer_summary(),
            "mass": mass_by_layer(table, found),
            "found": found.summary(),
            "records": found.records(),
            "late": foretold.to_dict(),
        }

    def _late(self, it: Opened) -> tuple[int, ...]:
        return tuple(range(it.transcoder.n_layers - 2, it.transcoder.n_layers))

    def probes(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """How linearly each layer encodes language."""
        it, corpus, _ = self._read(condition, seed, kind)
        return language_probes(
            it.model, it.transcoder, corpus, tokenizer=it.tokenizer, n_shuffles=5, seed=seed
        ).to_dict()

    def script(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Whether features of a language follow its text into Latin script."""
        it, _, table = self._read(condition, seed, kind)
        same = self._making.held_out(condition).spread(VERSES)
        latin = line_features(
            it.model, it.transcoder, self._making.romanised_held_out().part(same).whole(),
            tokenizer=it.tokenizer,
        )  # fmt: skip
        rates = language_rates(table, n_permutations=200, seed=seed)
        split = script_split(table, rates, romanised=latin, n_permutations=200, seed=seed)
        assert split.control is not None
        return {"layers": split.layer_summary(), "control": split.control.layer_summary()}

    def ablation(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Loss per language without each language's late features."""
        it, corpus, table = self._read(condition, seed, kind)
        late = language_features(table, layers=self._late(it), n_permutations=200, seed=seed)
        return ablation_matrix(
            it.model, it.transcoder, late, corpus, tokenizer=it.tokenizer, table=table,
            n_lines=20, n_random=200, exclude=late.passed, seed=seed,
        ).to_dict()  # fmt: skip

    def steering(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Suppression and substitution, all ordered pairs of languages that were trained on.

        Features are found on every second chapter, prompts are of the others.
        """
        it = self._making.opened(condition, seed, kind)
        verses = self._making.held_out(condition)
        if condition.english == 0:
            verses = verses.without(ENGLISH)
        finding, prompting = verses.split(2)
        corpus = finding.corpus(VERSES)
        table = line_features(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)
        found = language_features(table, n_permutations=200, n_per_language=30, seed=seed)
        with quiet():
            return steer(
                it.model, it.transcoder, prompting.corpus(400),
                {code: found.of(code) for code in found.languages},
                tokenizer=it.tokenizer, background=corpus.sentences, n_prompts=100, n_random=2,
                strengths=(0.5, 1.0, 2.0, 4.0), seed=seed, n_examples=0,
                output_dir=self._folder / "steering" / f"{condition.name}-{seed}-{kind}",
            ).to_dict()  # fmt: skip

    def words(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Features of whole words at their last piece; the words themselves are not kept."""
        it = self._making.opened(condition, seed, kind)
        corpus = self._making.held_out(condition).corpus(1600)
        found = word_features(
            it.model, it.transcoder, corpus, tokenizer=it.tokenizer, min_count=2, seed=seed,
            n_permutations=200, n_null=5,
        ).to_dict()  # fmt: skip
        for feature in found["features"]:
            feature.pop("word"), feature.pop("last_piece")
        return found


def mass_by_layer(table: LineFeatures, found: LanguageFeatures) -> list[dict[str, Any]]:
    """Of each layer, what share of all firings is of features that passed as of one language.

    And of these, what share is of the ten that fire most, with the 95 % interval of 500 draws of
    documents: whether it is few features that carry it.
    """
    documents = int(table.document.max()) + 1
    key = table.document[table.rows] * table.n_columns + table.indices
    cells = np.bincount(key, table.counts, minlength=documents * table.n_columns)
    cells = cells.reshape(documents, table.n_columns)
    draws = np.random.default_rng(0).multinomial(documents, np.full(documents, 1 / documents), 500)
    firings, drawn = cells.sum(axis=0), draws @ cells
    passed = np.zeros(table.n_columns, bool)
    passed[found.passed] = True
    rows = []
    for layer in range(table.n_layers):
        part = slice(layer * table.n_features, (layer + 1) * table.n_features)
        of = np.flatnonzero(passed[part])
        own = firings[part][of]
        ten = of[np.argsort(-own, kind="stable")[:10]]
        of_draws = drawn[:, part]
        with np.errstate(invalid="ignore"):
            shares = of_draws[:, ten].sum(axis=1) / of_draws[:, of].sum(axis=1)
        ends = np.nanpercentile(shares, [2.5, 97.5]) if len(of) else (np.nan, np.nan)
        rows.append(
            {
                "layer": layer,
                "n_passed": len(of),
                "share_of_firings": float(own.sum() / firings[part].sum()),
                "ten_of_specific": [
                    float(value) if np.isfinite(value) else None
                    for value in (firings[part][ten].sum() / max(1, own.sum()), *ends)
                ],
            }
        )
    return rows
