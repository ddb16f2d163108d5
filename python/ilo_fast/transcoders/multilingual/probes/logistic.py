"""Ridge-penalised logistic regression, many at once on the same vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch.nn import functional

_STEPS: Final = 200
_FLAT: Final = 1e-4  # the largest gradient at which it is done, as in scikit-learn


def multinomial(
    X: torch.Tensor, labels: torch.Tensor, n_classes: int, penalty: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Classifiers of several labellings of the same rows.

    Each minimises its mean cross-entropy plus penalty / 2 times the squared norm of its weights;
    biases are free.

    Parameters
    ----------
    X : (rows, dims)
    labels : (fits, rows) int64
    n_classes
    penalty : (fits,)

    Returns
    -------
    weight : (fits, dims, classes), bias : (fits, classes)
    """
    n_fits, dims = len(labels), X.shape[1]
    weight = X.new_zeros(dims, n_fits * n_classes)
    bias = X.new_zeros(n_fits * n_classes)
    ridge = penalty.to(X.dtype).repeat_interleave(n_classes)

    def loss() -> torch.Tensor:
        scores = (X @ weight + bias).view(len(X), n_fits, n_classes)
        fit = functional.cross_entropy(scores.permute(0, 2, 1), labels.T, reduction="sum") / len(X)
        return fit + (ridge * weight.square().sum(0)).sum() / 2

    _minimise([weight, bias], loss)
    shaped = weight.detach().view(dims, n_fits, n_classes).permute(1, 0, 2)
    return shaped, bias.detach().view(n_fits, n_classes)


def binary(X: torch.Tensor, targets: torch.Tensor, penalty: float) -> torch.Tensor:
    """Classifiers of yes and no, each as in `multinomial`.

    Parameters
    ----------
    X : (rows, dims)
    targets : (rows, fits)
        0 or 1.

    Returns
    -------
    (dims + 1, fits)
        Weights, and below them the biases.
    """
    weight = X.new_zeros(X.shape[1], targets.shape[1])
    share = targets.to(X.dtype).mean(0).clamp(1e-6, 1 - 1e-6)
    bias = torch.logit(share)
    wanted = targets.to(X.dtype)

    def loss() -> torch.Tensor:
        scores = X @ weight + bias
        fit = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / len(X)
        return fit + penalty / 2 * weight.square().sum()

    _minimise([weight, bias], loss)
    return torch.cat([weight.detach(), bias.detach()[None]])


def _minimise(parameters: list[torch.Tensor], loss: Callable[[], torch.Tensor]) -> None:
    for parameter in parameters:
        parameter.requires_grad_(True)
    search = torch.optim.LBFGS(
        parameters, max_iter=_STEPS, history_size=20, tolerance_grad=_FLAT,
        tolerance_change=1e-9, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def step() -> torch.Tensor:
        search.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        search.step(step)  # type: ignore[no-untyped-call]
