"""ILO, translation share and bits per byte, in plain NumPy: small, and independent of ilo_fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

K, T = 5, 3


def neighbours(x: NDArray[np.float32], k: int = K) -> NDArray[np.int64]:
    """The k nearest other rows by cosine, (n, k), in blocks."""
    x = x.astype(np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
    x = (x - x.mean(axis=0)).astype(np.float32)  # distances do not change; rounding shrinks
    square = (x * x).sum(axis=1)
    out = np.empty((len(x), k), dtype=np.int64)
    for a in range(0, len(x), 1024):
        distance = square[None, :] - 2 * (x[a : a + 1024] @ x.T)
        rows = np.arange(len(distance))
        distance[rows, a + rows] = np.inf
        out[a : a + 1024] = np.argpartition(distance, k, axis=1)[:, :k]
    return out


def ilo(vectors: Mapping[str, NDArray[np.float32]], *, control_seed: int = 0) -> dict[str, Any]:
    """Scores of one layer.  vectors: language -> (n, dim), row i means the same everywhere.

    "shuffled" is the control of the translation share: the same neighbours, the sentence
    numbers of each language permuted at random.  (ILO itself does not look at them.)
    """
    codes = list(vectors)
    n = len(vectors[codes[0]])
    language = np.repeat(np.arange(len(codes)), n)
    sentence = np.tile(np.arange(n), len(codes))
    rng = np.random.default_rng(control_seed)
    permuted = np.concatenate([rng.permutation(n) for _ in codes])
    near = neighbours(np.concatenate([vectors[c] for c in codes]))
    bridge, reach, score, share = [], [], [], []
    abroad = language[near] != language[:, None]
    translated = (sentence[near] == sentence[:, None]) & abroad
    for number in range(len(codes)):
        rows = near[language == number]
        others = [set(r) - {number} for r in language[rows].tolist()]
        b = float(np.mean([len(s) >= T for s in others]))
        r = len(set().union(*others)) / (len(codes) - 1)
        bridge.append(b)
        reach.append(r)
        score.append(2 * b * r / (b + r) if b + r else 0.0)
        share.append(float(translated[language == number].mean()))
    return {
        "languages": codes,
        "bridge": bridge,
        "reach": reach,
        "ilo": score,
        "translations": share,
        "shuffled": float(((permuted[near] == permuted[:, None]) & abroad).mean()),
        "chance": (len(codes) - 1) / (len(codes) * n - 1),
        "n": n,
    }


@torch.no_grad()
def sentence_vectors(
    model: Any, tokenizer: Any, lines: Sequence[str], batch_tokens: int = 4096, cap: int = 512
) -> NDArray[np.float32]:
    """(layers, n, dim): mean over the tokens of every hidden state, <s> included."""
    rows = [
        [tokenizer.token_to_id("<s>"), *e.ids][:cap]
        for e in tokenizer.encode_batch(list(lines), add_special_tokens=False)
    ]
    order = np.argsort([len(r) for r in rows], kind="stable")
    config = model.config
    out = np.empty((config.num_hidden_layers + 1, len(rows), config.hidden_size), dtype=np.float32)
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * len(rows[order[end]]) <= batch_tokens:
            end += 1
        chosen = order[begin:end]
        width = len(rows[chosen[-1]])
        ids = torch.zeros(len(chosen), width, dtype=torch.long)
        mask = torch.zeros(len(chosen), width, dtype=torch.long)
        for i, row in enumerate(chosen):
            ids[i, : len(rows[row])] = torch.tensor(rows[row])
            mask[i, : len(rows[row])] = 1
        ids, mask = ids.to(model.device), mask.to(model.device)
        states = model.model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
        weight = mask[:, :, None].float()
        for layer, state in enumerate(states):
            out[layer, chosen] = ((state.float() * weight).sum(1) / weight.sum(1)).cpu().numpy()
        begin = end
    return out


def layer_scores(
    model: Any, tokenizer: Any, text: Mapping[str, Sequence[str]], limit: int | None = None
) -> list[dict[str, Any]]:
    """``ilo`` at every layer, for parallel `text`."""
    was_training = model.training
    model.eval()
    vectors = {
        code: sentence_vectors(model, tokenizer, lines[:limit]) for code, lines in text.items()
    }
    model.train(was_training)
    n_layers = len(next(iter(vectors.values())))
    return [ilo({c: v[h] for c, v in vectors.items()}) for h in range(n_layers)]


@torch.no_grad()
def bits_per_byte(
    model: Any, tokenizer: Any, text: Mapping[str, Sequence[str]], unigram: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    """Bits per UTF-8 byte of held-out lines, under the model, token unigrams, and uniform tokens.

    Every line is scored with </s> at its end.
    """
    model.eval()
    bos, eos = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    log_unigram = np.log2(unigram)
    out = {}
    for code, lines in text.items():
        bits = base = tokens = 0.0
        n_bytes = sum(len(line.encode()) for line in lines)
        for line in lines:
            ids = tokenizer.encode(line, add_special_tokens=False).ids
            row = torch.tensor([[bos, *ids, eos]], device=model.device)
            logp = model(row).logits[0, :-1].float().log_softmax(-1)
            bits -= float(logp.gather(1, row[0, 1:, None]).sum()) / np.log(2)
            base -= float(log_unigram[[*ids, eos]].sum())
            tokens += len(ids) + 1
        out[code] = {
            "model": bits / n_bytes,
            "unigram": base / n_bytes,
            "uniform": tokens * np.log2(len(unigram)) / n_bytes,
        }
    return out
