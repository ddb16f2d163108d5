"""Word vectors that share meaning across languages, to start the embedding table from.

Two cheap steps, both on bags of tokens, so that the costly transformer need not find out from
nothing which words translate which:

1. ``sentence_id_vectors``: factorise token x passage co-occurrence over all languages at once
   (Levy, Søgaard and Goldberg, 2017, "A strong baseline for learning cross-lingual word
   embeddings from sentence alignments", EACL): tokens that occur in the same verses, whatever
   their language, get near vectors.
2. ``refine``: sharpen them with the ranking loss that the transformer is trained with later,
   on plain means of token vectors, and tie in words that only plain text has: two random
   halves of one line are taken for a pair.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from .data import AlignedSampler, Ragged
from .losses import ranking_loss

log = logging.getLogger(__name__)


def _passage_counts(
    corpora: Mapping[str, Mapping[str, Ragged]], vocab_size: int, tokens_per_passage: int
) -> sparse.csr_matrix:
    """Token x passage matrix: in how many languages' versions of the passage the token occurs."""
    total: list[sparse.csr_matrix] = []
    for corpus in corpora.values():
        mean_length = np.mean([r.lengths for r in corpus.values()], axis=0)
        n_parts = np.maximum(1, np.round(mean_length / tokens_per_passage)).astype(np.int64)
        first = np.concatenate([[0], np.cumsum(n_parts)])
        block = sparse.csr_matrix((vocab_size, int(first[-1])), dtype=np.float32)
        for ragged in corpus.values():
            line = np.repeat(np.arange(len(ragged)), ragged.lengths)
            position = np.arange(len(ragged.ids)) - ragged.offsets[line]
            part = np.floor((position + 0.5) / ragged.lengths[line] * n_parts[line])
            column = first[line] + part.astype(np.int64)
            one = sparse.csr_matrix(
                (np.ones(len(line), np.float32), (ragged.ids, column)), shape=block.shape
            )
            one.data[:] = 1.0  # present or not
            block = block + one
        total.append(block)
    return sparse.hstack(total, format="csr")


def sentence_id_vectors(
    corpora: Mapping[str, Mapping[str, Ragged]],
    *,
    vocab_size: int,
    dim: int,
    tokens_per_passage: int,
    seed: int,
) -> NDArray[np.float32]:
    """(vocab_size, dim) vectors of tokens; rows of tokens without aligned text are zero."""
    start = time.perf_counter()
    counts = _passage_counts(corpora, vocab_size, tokens_per_passage).tocoo()
    total = counts.sum()
    by_token = np.asarray(counts.sum(axis=1)).ravel()
    by_passage = np.asarray(counts.sum(axis=0)).ravel()
    pmi = np.log(counts.data * total / (by_token[counts.row] * by_passage[counts.col]))
    keep = pmi > 0
    weights = sparse.csr_matrix(
        (pmi[keep].astype(np.float32), (counts.row[keep], counts.col[keep])), shape=counts.shape
    )
    # Randomised subspace iteration (Halko, Martinsson and Tropp, 2011).
    rng = np.random.default_rng(seed)
    transposed = weights.T.tocsr()
    basis = rng.standard_normal((weights.shape[1], dim + 16)).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(transposed @ (weights @ basis))
    left, values, _ = np.linalg.svd(weights @ basis, full_matrices=False)
    vectors = left[:, :dim] * np.sqrt(values[:dim])
    log.info(
        "sentence-id vectors: %d passages, %d entries, %.0f s",
        weights.shape[1],
        weights.nnz,
        time.perf_counter() - start,
    )
    return vectors.astype(np.float32)


def _bags(
    sequences: list[NDArray[np.int32]],
) -> tuple[torch.Tensor, torch.Tensor]:
    offsets = np.cumsum([0] + [len(s) for s in sequences[:-1]])
    return torch.from_numpy(np.concatenate(sequences).astype(np.int64)), torch.from_numpy(offsets)


def refine(
    vectors: NDArray[np.float32],
    sampler: AlignedSampler,
    plain: Mapping[str, Ragged],
    *,
    steps: int,
    passages: int,
    views: int,
    plain_lines: int,
    plain_weight: float,
    lr: float,
    temperature: float,
    seed: int,
) -> NDArray[np.float32]:
    """Train `vectors` with the ranking loss on means of token vectors; return them, rescaled."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    start_norm = float(np.median(np.linalg.norm(vectors, axis=1)[vectors.any(axis=1)]))
    table = torch.from_numpy(vectors / start_norm).clone()
    table += 0.02 * torch.randn(table.shape)
    bag = torch.nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="mean")
    optimizer = torch.optim.Adam(bag.parameters(), lr=lr, betas=(0.9, 0.99))
    codes = sorted(plain)
    p = np.array([len(plain[c]) ** 0.5 for c in codes])
    p /= p.sum()
    started = time.perf_counter()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, 2.0 * (1 - step / steps))
        sequences, passage = sampler.draw(rng, passages, views)
        loss = ranking_loss(bag(*_bags(sequences)), torch.from_numpy(passage), temperature)
        # One language a step: were there several, telling the language would be rewarded.
        ragged = plain[codes[rng.choice(len(codes), p=p)]]
        halves: list[NDArray[np.int32]] = []
        for line in rng.integers(len(ragged), size=plain_lines):
            row = ragged[int(line)]
            if len(row) < 4:
                continue
            row = rng.permutation(row)
            halves += [row[: len(row) // 2], row[len(row) // 2 :]]
        pair = torch.arange(len(halves)) // 2
        plain_loss = ranking_loss(bag(*_bags(halves)), pair, temperature)
        optimizer.zero_grad()
        (loss + plain_weight * plain_loss).backward()
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            log.info(
                "word vectors, step %d/%d, %.0f s: ranking %.3f, halves %.3f",
                step,
                steps,
                time.perf_counter() - started,
                loss.item(),
                plain_loss.item(),
            )
    return bag.weight.detach().numpy()
