"""Models trained on, on one language, and what that changed; vocabularies of several sizes.

The transcoder of the base model is used as it is, refitted, and trained anew on the tuned model.
Beside each the same between fits that differ in seed, or in what was trained on, alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ilo_fast import finetune, train_transcoder
from ilo_fast.evaluation import compare_tokenizers
from ilo_fast.training.pretrain.vocabularies import train_tokenizers
from ilo_fast.transcoders import diff_models, open_transcoder
from ilo_fast.transcoders.files.opening import Opened
from multilingual_clt.making import Making, quiet
from multilingual_clt.plan import CONDITIONS, ENGLISH

TUNED_ON = "deu_Latn"
BASE = "equal"
LORA_RANK = 16
STEPS = 150
VOCABULARIES = (8192, 16384, 32768, 65536)

TUNINGS = ("full", "lora", "mixture", "mixture-again")
"""Fully and by low-rank adapters on one language; twice fully on all languages, the controls."""

MIXTURES = TUNINGS[2:]


class Tuning:
    """Fine-tunings of the base models of the plan, in the study's folder."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._sizes = making.plan.sizes
        self._base = CONDITIONS[BASE]

    def _folder(self, kind: str, seed: int) -> Path:
        return self._making.folder / "tuned" / f"{kind}-{seed}"

    def _base_folder(self, seed: int) -> Path:
        return self._making.transcoder_folder(self._base, seed, "clt")

    def tune(self, kind: str, seed: int) -> dict[str, Any]:
        """Train on, on verses of one language or of all."""
        lines = self._making.train(self._base).lines
        text: Sequence[str] = lines[TUNED_ON]
        folder = self._folder(kind, seed)
        model = self._making.model_folder(self._base, seed) / "model"
        if kind in MIXTURES:
            seed += 50 * MIXTURES.index(kind)
            every = [line for own in lines.values() for line in own]
            order = np.random.default_rng(seed).permutation(len(every))
            text = [every[at] for at in order]
        with quiet():
            run = finetune(
                str(model), list(text), folder, language=TUNED_ON,
                lora=LORA_RANK if kind == "lora" else None, max_steps=STEPS,
                learning_rate=5e-3 if kind == "lora" else 1e-3, batch_size=32, seed=seed,
            )  # fmt: skip
        return {"metrics": run.metrics, "steps": run.card["steps"]}

    def fit(self, name: str, model: Path, seed: int, *, refit: bool, base_seed: int) -> None:
        """A transcoder of a model, from that of the base or anew."""
        with quiet():
            train_transcoder(
                str(model / "model"), self._making.train(self._base).lines,
                self._making.folder / "refits" / name,
                initial=self._base_folder(base_seed) if refit else None,
                n_features=None if refit else self._sizes.n_features, eval_fraction=0.02,
                tokens=self._sizes.transcoder_tokens // (4 if refit else 1),
                learning_rate=1e-3 if refit else 5e-3, context_length=self._sizes.context,
                seed=seed, save_steps=100,
            )  # fmt: skip

    def _open(self, folder: Path, model: Path) -> Opened:
        with quiet():
            return open_transcoder(folder, model=model / "model", allow_other_weights=True)

    def diff(self, kind: str, seed: int, way: str) -> dict[str, Any]:
        """What a fine-tuning changed, by a transcoder that is ``reused``, ``refitted``, ``fresh``.

        Two controls each. Of a re-used one: the same on models trained on, on all languages; of a
        refitted or fresh one: others of the base model.
        """
        base_model = self._making.model_folder(self._base, seed)
        tuned_model, base_folder = self._folder(kind, seed), self._base_folder(seed)
        base = self._open(base_folder, base_model)
        refits = self._making.folder / "refits"
        controls: list[Any]
        if way == "reused":
            tuned = self._open(base_folder, tuned_model)
            controls = [self._open(base_folder, self._folder(name, seed)) for name in MIXTURES]
        else:
            refit, name = way == "refitted", f"{way}-{kind}-{seed}"
            self.fit(name, tuned_model, seed + 200, refit=refit, base_seed=seed)
            tuned = self._open(refits / name, tuned_model)
            controls = []
            for number in (100, 101):
                other = f"{way}-base-{seed}-{number}"
                self.fit(other, base_model, seed + number, refit=refit, base_seed=seed)
                controls.append(self._open(refits / other, base_model))
        corpus = self._making.held_out(self._base).corpus(300)
        return diff_models(base, tuned, corpus, controls=controls, seed=seed).to_dict()

    def vocabularies(self) -> dict[str, Any]:
        """Tokens of each language, by the size of the vocabulary and the share of English."""
        tokenizers = train_tokenizers(
            self._making.train(self._base).lines, vocab_sizes=VOCABULARIES,
            mixtures={"equal": None, "english90": {ENGLISH: 0.9}}, n_lines=10_000,
        )  # fmt: skip
        corpus = self._making.held_out(self._base).corpus(1000, longest=10_000)
        return compare_tokenizers(tokenizers, corpus).to_dict()
