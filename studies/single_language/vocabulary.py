"""A model whose vocabulary is cut to what some texts use: the same values, less to train.

Multilingual vocabularies have 250 000 pieces or more, and AdamW moves every row of the embeddings
at every step, read or not: most of the time that a small model trains on a CPU. Rows that no text
reads get no gradient, so that the others, and the scores, come out the same without them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from .journal import write_text


def cut_vocabulary(model: str, texts: Sequence[str], folder: Path) -> dict[str, int]:
    """Write a copy of a model that knows the pieces of `texts` and no others; say how many.

    A Unigram tokenizer takes the likeliest split into pieces; leaving out pieces of splits that are
    not the likeliest changes no split of these texts. This is checked text by text.

    Raises
    ------
    ValueError
        The tokenizer is of another type, or a text would be split otherwise.
    """
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    data = json.loads(tokenizer.backend_tokenizer.to_str())
    if data["model"]["type"] != "Unigram":
        raise ValueError(
            f"--cut-vocabulary: the tokenizer of {model} is {data['model']['type']}; only of "
            "Unigram can pieces be left out: leave the flag out"
        )
    split = tokenizer(list(texts))["input_ids"]
    special = {token["id"] for token in data["added_tokens"]} | {data["model"]["unk_id"]}
    old = sorted(special.union(*split))
    new_of = {piece: position for position, piece in enumerate(old)}
    data["model"]["vocab"] = [data["model"]["vocab"][piece] for piece in old]
    data["model"]["unk_id"] = new_of[data["model"]["unk_id"]]
    for token in data["added_tokens"]:
        token["id"] = new_of[token["id"]]
    _renumber(data["post_processor"], new_of)
    if data["padding"]:
        data["padding"]["pad_id"] = new_of[data["padding"]["pad_id"]]

    module = AutoModel.from_pretrained(model)
    rows = module.get_input_embeddings().weight.detach()[torch.tensor(old)].clone()
    padding = new_of[module.config.pad_token_id]
    module.config.vocab_size, module.config.pad_token_id = len(old), padding
    module.set_input_embeddings(
        torch.nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=padding)
    )
    folder.mkdir(parents=True, exist_ok=True)
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_text(folder / "tokenizer.json", json.dumps(data, ensure_ascii=False))
    again = AutoTokenizer.from_pretrained(folder)(list(texts))["input_ids"]
    wrong = [i for i, ids in enumerate(split) if [new_of[piece] for piece in ids] != again[i]]
    if wrong:
        raise ValueError(
            f"--cut-vocabulary: {len(wrong)} of {len(texts)} texts would be split otherwise, the "
            f"first is number {wrong[0]}: leave the flag out"
        )
    return {"pieces": len(old), "of": len(tokenizer)}


def _renumber(processor: object, new_of: dict[int, int]) -> None:
    """Ids in a post-processor of any make: in templates lists of ids, in others pairs."""
    if isinstance(processor, dict):
        for key, value in processor.items():
            if key == "ids":
                processor[key] = [new_of[piece] for piece in value]
            elif key in ("sep", "cls") and isinstance(value, list):
                processor[key] = [value[0], new_of[value[1]]]
            else:
                _renumber(value, new_of)
    elif isinstance(processor, list):
        for value in processor:
            _renumber(value, new_of)
