"""A model of two languages in which a few features decide the language and nothing else.

Language A is written in a to m, B in n to z; letter n of one means what letter n of the other does.
What is said next depends on the meaning alone (m is followed by a), in which language on features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from helpers import tiny_models
from helpers.clt_models import clt_model

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.transcoders.activations import JumpReLU
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

A, B = "deu_Latn", "eng_Latn"
MEANINGS, WIDTH, FEATURES = 13, 32, 40
FIRST = {A: 5, B: 5 + MEANINGS}  # ids of a and n in the tokenizer of characters
OF_LANGUAGE = {A: (0, 1, 2), B: (3, 4, 5)}  # features of layer 0, and again of layer 1
_READ, _WRITE = {A: 13, B: 14}, {A: 15, B: 16}  # directions


def columns() -> dict[str, list[int]]:
    """The features that decide: language -> layer * n_features + feature."""
    return {code: [*own, *(FEATURES + f for f in own)] for code, own in OF_LANGUAGE.items()}


def other_columns(seed: int) -> dict[str, list[int]]:
    """As many of those that decide nothing, at random."""
    free = np.setdiff1d(np.arange(2 * FEATURES), np.concatenate(list(columns().values())))
    drawn = np.random.default_rng(seed).permutation(free)
    return {A: sorted(map(int, drawn[:6])), B: sorted(map(int, drawn[6:12]))}


def transcoder() -> CrossLayerTranscoder:
    """Two layers; features of a language read it and write it, others read a meaning."""
    coder = CrossLayerTranscoder(2, WIDTH, FEATURES, activation=JumpReLU(), seed=0).double()
    random = np.random.default_rng(0)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in coder.parameters():  # by which the model's parts are told from each other
            weight.copy_(1e-3 * torch.randn(weight.shape, generator=noise, dtype=weight.dtype))
        coder.log_threshold.sub_(1.0)
        for layer in range(2):
            for code, own in OF_LANGUAGE.items():
                for feature in own:
                    coder.encoder_weight[layer, feature, _READ[code]] = 1.0
                    coder.decoder_weights[layer][feature, 0, _WRITE[code]] = 0.3
            for feature in range(6, FEATURES):
                coder.encoder_weight[layer, feature, feature % MEANINGS] = 0.5
                coder.encoder_weight[layer, feature, _READ[(A, B)[feature % 2]]] = 0.5
                where = 20 + random.integers(WIDTH - 20)
                coder.decoder_weights[layer][feature, 0, where] = 0.05
    return coder.eval()


def model(coder: CrossLayerTranscoder) -> Any:
    """A Llama that looks at the last token alone."""
    found = clt_model(coder)
    with torch.no_grad():
        embeddings, head = found.model.embed_tokens.weight, found.lm_head.weight
        head.zero_()
        embeddings[:2].zero_()  # what begins a text, and what fills it up
        embeddings[:2, WIDTH - 1] = 1.0
        for code, first in FIRST.items():
            for meaning in range(MEANINGS):
                embeddings[first + meaning].zero_()
                embeddings[first + meaning, meaning] = 1.0
                embeddings[first + meaning, _READ[code]] = 0.5
                head[first + meaning, (meaning - 1) % MEANINGS] = 4.0
                head[first + meaning, _WRITE[code]] = 6.0
        for block in found.model.layers:
            block.self_attn.o_proj.weight.mul_(1e-2)
    found.generation_config.eos_token_id = None
    return found


def corpus(lines: int, seed: int = 0) -> ParallelCorpus:
    """Lines of 12 to 18 letters that begin anywhere and go on as the model does."""
    random = np.random.default_rng(seed)
    shapes = [(int(random.integers(MEANINGS)), int(random.integers(12, 19))) for _ in range(lines)]

    def text(first: str, start: int, length: int) -> str:
        return "".join(chr(ord(first) + (start + n) % MEANINGS) for n in range(length))

    return ParallelCorpus.from_dict(
        {A: [text("a", *s) for s in shapes], B: [text("n", *s) for s in shapes]}
    )


def tokenizer() -> Any:
    """Of characters; a text begins with <s>."""
    return tiny_models.tokenizer()
