"""Companion scores from their definitions: dense, in float64, with loops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def gram_cka(X: Floats, Y: Floats) -> float:
    """Kornblith et al.: through the centred n x n kernels."""
    n = len(X)
    H = np.eye(n) - np.ones((n, n)) / n
    K, L = H @ X @ X.T @ H, H @ Y @ Y.T @ H
    return float((K * L).sum() / math.sqrt((K * K).sum() * (L * L).sum()))


def song_hsic(K: Floats, L: Floats) -> float:
    """Song et al. 2012, equation 5, of kernels that are not centred."""
    m, one = len(K), np.ones(len(K))
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    first = np.trace(K @ L)
    second = (one @ K @ one) * (one @ L @ one) / ((m - 1) * (m - 2))
    third = 2 / (m - 2) * (one @ K @ L @ one)
    return float((first + second - third) / (m * (m - 3)))


def unbiased_cka(X: Floats, Y: Floats) -> float:
    K, L = X @ X.T, Y @ Y.T
    return song_hsic(K, L) / math.sqrt(song_hsic(K, K) * song_hsic(L, L))


def canonical_correlations(X: Floats, Y: Floats, p: int, q: int) -> Floats:
    """Of the first p and q principal components, by maximising step by step: a generalised
    eigenvalue problem of their covariances."""
    from scipy.linalg import eigh

    def components(Z, many):
        Z = Z - Z.mean(axis=0)
        return Z @ np.linalg.svd(Z, full_matrices=False)[2][:many].T

    A, B = components(X, p), components(Y, q)
    cross = A.T @ B
    M = cross @ np.linalg.solve(B.T @ B, cross.T)
    squares = eigh(M, A.T @ A, eigvals_only=True)[::-1]
    return np.sqrt(np.clip(squares[: min(p, q)], 0, 1))


def distances(X: Floats, metric: str) -> Floats:
    from scipy.spatial.distance import cdist

    return cdist(X, X, metric)


def imbalance(X: Floats, Y: Floats, metric: str) -> float:
    """2 / N times the mean rank in Y of the nearest in X; equal distances share their mean rank."""
    from scipy.stats import rankdata

    of_x, of_y = distances(X, metric), distances(Y, metric)
    n, total = len(X), 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        nearest = min(others, key=lambda j: (of_x[i, j].round(12), j))
        ranks = rankdata(of_y[i, others].round(12))
        total += ranks[others.index(nearest)]
    return 2 / n * total / n


def cosines(X: Floats, Y: Floats) -> Floats:
    return np.array([[x @ y / math.sqrt((x @ x) * (y @ y)) for y in Y] for x in X])


def csls(S: Floats, k: int) -> Floats:
    """Of cosines; rows are queries."""
    of_x = np.array([sorted(row)[-k:] for row in S]).mean(axis=1)
    of_y = np.array([sorted(column)[-k:] for column in S.T]).mean(axis=1)
    return 2 * S - of_x[:, None] - of_y[None, :]


def margin(S: Floats, k: int) -> Floats:
    of_x = np.array([sorted(row)[-k:] for row in S]).mean(axis=1)
    of_y = np.array([sorted(column)[-k:] for column in S.T]).mean(axis=1)
    return S / ((of_x[:, None] + of_y[None, :]) / 2)


def ranks(S: Floats, tie: float = 1e-9) -> list[int]:
    """Of the diagonal in its row; what is no further than `tie` from it comes before it."""
    return [
        1 + sum(value >= row[i] - tie for j, value in enumerate(row) if j != i)
        for i, row in enumerate(S)
    ]


def retrieval(S: Floats, tie: float = 1e-9) -> dict[str, float]:
    found = ranks(S, tie)
    return {
        "p1": sum(r == 1 for r in found) / len(found),
        "p5": sum(r <= 5 for r in found) / len(found),
        "mrr": sum(1 / r for r in found) / len(found),
    }


def mexa(S: Floats, tie: float = 1e-9) -> float:
    """compute_mexa.py of cisnlp/MEXA, as its formula has it."""
    n = len(S)
    hits = 0
    for i in range(n):
        row = max(S[i, j] for j in range(n) if j != i)
        column = max(S[j, i] for j in range(n) if j != i)
        hits += S[i, i] > row + tie and S[i, i] > column + tie
    return hits / n


def isoscore(X: Floats) -> float:
    """Algorithm 1 of Rudman et al., step by step."""
    n = X.shape[1]
    C = np.cov(X.T)
    rotated = (X - X.mean(axis=0)) @ np.linalg.eigh(C)[1]
    variances = np.diag(np.cov(rotated.T))
    normed = math.sqrt(n) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(normed - 1) / math.sqrt(2 * (n - math.sqrt(n)))
    filled = (n - defect**2 * (n - math.sqrt(n))) ** 2 / n**2
    return (n * filled - 1) / (n - 1)


def mean_cosine(X: Floats) -> float:
    S = cosines(X, X)
    return float((S.sum() - np.trace(S)) / (len(X) * (len(X) - 1)))


def partition(X: Floats) -> float:
    X = X / math.sqrt((X**2).sum() / len(X))
    vectors = np.linalg.eigh(X.T @ X)[1]
    Z = [np.exp(X @ (sign * c)).sum() for c in vectors.T for sign in (1, -1)]
    return float(min(Z) / max(Z))


def language_share(arrays: Sequence[Floats]) -> tuple[float, float, float]:
    """Two-way analysis of variance: share of languages, then parts of all variance."""
    X = np.stack(arrays)  # (languages, sentences, d)
    n_languages, n, _ = X.shape
    mean = X.mean(axis=(0, 1))
    language = sum(n * ((X[c].mean(axis=0) - mean) ** 2).sum() for c in range(n_languages))
    sentence = sum(n_languages * ((X[:, s].mean(axis=0) - mean) ** 2).sum() for s in range(n))
    total = ((X - mean) ** 2).sum()
    return language / (language + sentence), language / total, sentence / total


def translation_scores(
    indices: NDArray[np.int64], n_languages: int, threshold: int
) -> tuple[list[float], list[float]]:
    """Bridge and reach of each language over neighbours that are translations."""
    n = len(indices) // n_languages
    bridge, reach = [], []
    for c in range(n_languages):
        bridging, union = 0, set()
        for s in range(n):
            near = {int(j) // n for j in indices[c * n + s] if j >= 0 and j % n == s}
            bridging += len(near) >= threshold
            union |= near
        bridge.append(bridging / n)
        reach.append(len(union) / (n_languages - 1))
    return bridge, reach
