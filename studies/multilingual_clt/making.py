"""The models of the study, and their transcoders: trained once each, kept in the study's folder."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from ilo_fast import ParallelCorpus, pretrain, train_transcoder
from ilo_fast._util.files import replace_folder
from ilo_fast.models.forward import evaluating, inference
from ilo_fast.training.pretrain.model import build_model, llama_sizes
from ilo_fast.training.pretrain.vocabularies import train_tokenizers
from ilo_fast.transcoders import open_transcoder
from ilo_fast.transcoders.activations import TopK
from ilo_fast.transcoders.files.opening import Opened
from multilingual_clt.plan import ENGLISH, Condition, Plan
from multilingual_clt.romanising import romanised_verses
from multilingual_clt.verses import Verses

TOKENIZER_LINES = 4000
"""Of each language, on average."""

KINDS = {"clt": True, "plt": False}
"""A cross-layer transcoder, and the control whose features write into their own layer."""


class Making:
    """What is made of the plan, in a folder.

    Parameters
    ----------
    folder
        Of the study.
    train
        Verses to train on.
    held_out
        Verses that no model and no transcoder sees.
    """

    def __init__(self, plan: Plan, folder: Path, train: Verses, held_out: Verses) -> None:
        self.plan, self.folder = plan, folder
        self._text = {"train": train, "held_out": held_out}

    def train(self, condition: Condition) -> Verses:
        """Verses that a condition trains on."""
        return self._of("train", condition.romanised)

    def held_out(self, condition: Condition) -> Verses:
        """Verses that it does not."""
        return self._of("held_out", condition.romanised)

    def romanised_held_out(self) -> Verses:
        """The same in Latin script, for models that were not trained on any such."""
        return self._of("held_out", romanised=True)

    def _of(self, part: str, romanised: bool) -> Verses:
        if not romanised:
            return self._text[part]
        name = f"romanised_{part}"
        if name not in self._text:
            self._text[name] = romanised_verses(self._text[part], self.folder / "text" / name)
        return self._text[name]

    def model_folder(self, condition: Condition, seed: int) -> Path:
        return self.folder / "models" / f"{condition.name}-{seed}"

    def transcoder_folder(self, condition: Condition, seed: int, kind: str) -> Path:
        return self.folder / "transcoders" / f"{condition.name}-{seed}-{kind}"

    def opened(self, condition: Condition, seed: int, kind: str) -> Opened:
        """A model and its transcoder."""
        with quiet():
            return open_transcoder(
                self.transcoder_folder(condition, seed, kind),
                model=self.model_folder(condition, seed) / "model",
            )

    def tokenizer_folder(self, condition: Condition) -> Path:
        """Trained where it is not there yet; shared by all models of like text."""
        share = condition.tokenizer_english
        name = "romanised" if condition.romanised else "equal" if share is None else f"en{share:g}"
        folder = self.folder / "tokenizers" / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                (tokenizer,) = train_tokenizers(
                    self.train(condition).lines, vocab_sizes=(self.plan.sizes.vocab_size,),
                    mixtures={name: None if share is None else {ENGLISH: share}},
                    n_lines=TOKENIZER_LINES,
                ).values()  # fmt: skip
                with replace_folder(folder) as new:
                    tokenizer.save_pretrained(new)
        return folder

    def make_model(self, condition: Condition, seed: int) -> dict[str, Any]:
        """Train a model, or leave it as it is initialised."""
        sizes, tokenizer = self.plan.sizes, self.tokenizer_folder(condition)
        folder = self.model_folder(condition, seed)
        if condition.trained:
            with quiet():
                run = pretrain(
                    self.train(condition).lines, folder,
                    mixture=self.plan.mixture(condition), tokenizer=tokenizer, allow_unknown=True,
                    hidden_size=sizes.hidden_size, num_hidden_layers=sizes.num_hidden_layers,
                    max_steps=sizes.max_steps, context=sizes.context, batch_size=sizes.batch_size,
                    learning_rate=sizes.learning_rate, seed=seed, save_steps=250,
                )  # fmt: skip
            found, model = {"text": run.card["text"]}, run.model
        else:
            from transformers import AutoTokenizer

            own = AutoTokenizer.from_pretrained(tokenizer)
            shape = llama_sizes(sizes.hidden_size, sizes.num_hidden_layers, None, None, None, 512)
            model, _ = build_model(None, shape, own, seed)
            with replace_folder(folder / "model") as new:
                model.save_pretrained(new)
                own.save_pretrained(new)
            found = {"text": {}}
        return {**found, "parameters": sum(p.numel() for p in model.parameters())}

    def loaded(self, condition: Condition, seed: int) -> tuple[Any, Any]:
        """A model and its tokenizer."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = self.model_folder(condition, seed) / "model"
        with quiet():
            return (
                AutoModelForCausalLM.from_pretrained(folder),
                AutoTokenizer.from_pretrained(folder),
            )

    def make_transcoder(self, condition: Condition, seed: int, kind: str) -> dict[str, Any]:
        """Train a transcoder, on equal shares of all languages."""
        sizes = self.plan.sizes
        with quiet():
            trained = train_transcoder(
                str(self.model_folder(condition, seed) / "model"),
                self.train(condition).lines, self.transcoder_folder(condition, seed, kind),
                allow_unknown=True, n_features=sizes.n_features, activation=TopK(sizes.k),
                cross_layer=KINDS[kind], tokens=sizes.transcoder_tokens,
                context_length=sizes.context, batch_tokens=2048, eval_fraction=0.02, seed=seed,
                save_steps=100,
            )  # fmt: skip
        return {"metrics": trained.metrics, "tokens": trained.card["tokens"]}


def losses(model: Any, tokenizer: Any, corpus: ParallelCorpus) -> dict[str, Any]:
    """Bits and characters of each document, per language: language -> (documents,)."""
    assert corpus.groups is not None
    documents = np.unique(corpus.groups, return_inverse=True)[1]
    bits, characters = {}, {}
    with evaluating(model), inference(model):
        for code, lines in corpus.sentences.items():
            rows = tokenizer(list(lines))["input_ids"]
            of_line = np.zeros(len(rows))
            for begin in range(0, len(rows), 32):
                batch = rows[begin : begin + 32]
                ids = torch.full((len(batch), max(map(len, batch))), tokenizer.pad_token_id)
                mask = torch.zeros_like(ids)
                for at, row in enumerate(batch):
                    ids[at, : len(row)] = torch.tensor(row)
                    mask[at, : len(row)] = 1
                logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
                of_next = logits.gather(-1, ids[:, 1:, None])[..., 0] * mask[:, 1:]
                of_line[begin : begin + len(batch)] = -of_next.sum(dim=1).numpy() / math.log(2)
            bits[code] = np.bincount(documents, of_line).round(3).tolist()
            characters[code] = np.bincount(documents, [len(line) for line in lines]).tolist()
    return {"bits": bits, "characters": characters}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the bars of other libraries."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    yield
