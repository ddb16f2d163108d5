"""What is measured of each model and transcoder: functions that give JSON-able numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ilo_fast import ParallelCorpus
from ilo_fast.transcoders import (
    ablation_matrix,
    feature_sharing,
    language_features,
    language_probes,
    language_rates,
    line_features,
    line_influence,
    shared_space,
    steer,
    word_features,
)
from ilo_fast.transcoders.files.opening import Opened
from ilo_fast.transcoders.multilingual.probes.late_features import late_features
from ilo_fast.transcoders.multilingual.rates.romanised_control import romanised_control
from multilingual_clt.making import Making, quiet
from multilingual_clt.plan import Condition

VERSES = 400
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

    def _opened(self, condition: Condition, seed: int, kind: str) -> tuple[Opened, ParallelCorpus]:
        it = self._making.opened(condition, seed, kind)
        return it, self._making.held_out(condition).corpus(VERSES)

    def space(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Both notions of sharing, by layer and pair of languages."""
        it, corpus = self._opened(condition, seed, kind)
        table = line_features(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)
        with quiet():
            found = shared_space(
                it.model, it.transcoder, corpus, tokenizer=it.tokenizer, table=table, seed=seed
            )
        return found.to_dict()

    def influence(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Sharing of the features that carry each line's influence on what is predicted."""
        it, corpus = self._opened(condition, seed, kind)
        table = line_influence(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)
        return feature_sharing(table, by="influence", seed=seed).to_dict()

    def languages(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Rates, language features, and what early layers know of late ones."""
        it, corpus = self._opened(condition, seed, kind)
        table = line_features(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)
        rates = language_rates(table, seed=seed)
        features = language_features(table, seed=seed)
        late = late_features(
            it.model, it.transcoder, features, corpus, tokenizer=it.tokenizer, seed=seed
        )
        return {
            "rates": rates.layer_summary(),
            "features": features.to_dict(),
            "summary": features.summary(),
            "late": late.to_dict(),
        }

    def probes(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """How linearly each layer encodes language."""
        it, corpus = self._opened(condition, seed, kind)
        return language_probes(
            it.model, it.transcoder, corpus, tokenizer=it.tokenizer, n_shuffles=5, seed=seed
        ).to_dict()

    def script(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Whether features of a language follow its text into Latin script."""
        it, corpus = self._opened(condition, seed, kind)
        from multilingual_clt.romanising import romanised_corpus

        table = line_features(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)
        other = line_features(
            it.model, it.transcoder, romanised_corpus(corpus), tokenizer=it.tokenizer
        )
        control = romanised_control(table, other, language_rates(table, seed=seed), seed=seed)
        return {"layers": control.layer_summary()}

    def ablation(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Loss per language without each language's features."""
        it, corpus = self._opened(condition, seed, kind)
        table = line_features(it.model, it.transcoder, corpus, tokenizer=it.tokenizer)
        features = language_features(table, seed=seed)
        return ablation_matrix(
            it.model, it.transcoder, features, corpus, tokenizer=it.tokenizer, table=table,
            n_lines=20, n_random=200, seed=seed,
        ).to_dict()  # fmt: skip

    def steering(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Suppression and substitution, all ordered pairs of languages that were trained on."""
        it = self._making.opened(condition, seed, kind)
        verses = self._making.held_out(condition)
        if condition.english == 0:
            verses = verses.without("eng_Latn")
        return steer(
            it.model, it.transcoder, verses.corpus(800), tokenizer=it.tokenizer, n_prompts=200,
            seed=seed, output_dir=self._folder / "steering" / f"{condition.name}-{seed}-{kind}",
        ).to_dict()  # fmt: skip

    def words(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Features of whole words at their last piece."""
        it = self._making.opened(condition, seed, kind)
        corpus = self._making.held_out(condition).corpus(1600)
        return word_features(
            it.model, it.transcoder, corpus, tokenizer=it.tokenizer, seed=seed
        ).to_dict()
