"""One step of a transcoder's training: the loss, dead features, Adam, and what a resume needs.

With x and y scaled, and var_l the variance of y_l about its mean, measured once:

    loss = mean over l of  mean over tokens of ||y_l - y^_l||^2 / var_l
         + lambda(t) * mean over tokens of 1/L sum over features of tanh(c a ||D||)     (JumpReLU)
         + alpha * mean over l of  ||e_l - e^_l||^2 / ||e_l||^2                          (AuxK)

Each is a mean over tokens or a ratio of two, so none changes with the size of a batch. `a ||D||` is
what a feature writes over all layers (Lindsey et al. 2025). e is the residual y - y^ of the batch's
first 512 tokens, which dead features try to explain, so that they have something to say when they
live again (Gao et al. 2024, arXiv 2406.04093; there each token takes its highest dead features,
here each dead feature its highest tokens first). While a feature is dead, its bias also rises
towards the weakest active ones, until it fires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from ilo_fast.transcoders.activations import JumpReLU
from ilo_fast.transcoders.sparse import ActiveFeatures
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

SATURATION: Final = 4.0  # c
_AUXILIARY_TOKENS: Final = 512  # of a batch, to revive dead features with
_RARITY: Final = 16  # tokens, for one of which a dead feature is made to fire in that loss
_LIFT: Final = 10.0  # learning rates by which the bias of a dead feature rises in a step, or
_CLOSED: Final = 0.1  # this share of what it lacks, where that is more
_MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Rates over the steps of a run.

    The learning rate rises over the first share of the steps, and falls to zero over the last; the
    penalty's coefficient rises over its own share.
    """

    steps: int
    learning_rate: float = 5e-3
    warmup_share: float = 0.05
    decay_share: float = 0.3
    sparsity_coefficient: float = 0.0
    sparsity_warmup_share: float = 0.3

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        rise = (step + 1) / max(1.0, self.warmup_share * self.steps)
        fall = (self.steps - step) / max(1.0, self.decay_share * self.steps)
        return self.learning_rate * min(1.0, rise, fall)

    def sparsity(self, step: int) -> float:
        """The penalty's coefficient at a step."""
        rise = (step + 1) / max(1.0, self.sparsity_warmup_share * self.steps)
        return self.sparsity_coefficient * min(1.0, rise)


@dataclass(frozen=True)
class StepRecord:
    """What a step was like; of layers, tensors (layers,).

    Attributes
    ----------
    loss : float
        With penalty and auxiliary loss.
    unexplained : per layer
        Share of the variance of y that is not explained.
    l0 : per layer
        Active features of a token.
    dead : per layer
        Share of the features that are dead.
    penalty, auxiliary : float
        Before their coefficients; 0 where there is none.
    gradient_norm : float
        Before clipping.
    learning_rate : float
    """

    loss: float
    unexplained: torch.Tensor
    l0: torch.Tensor
    dead: torch.Tensor
    penalty: float
    auxiliary: float
    gradient_norm: float
    learning_rate: float


class Optimisation:
    """Trains a transcoder, step by step; deterministic on a CPU, and without random numbers.

    Parameters
    ----------
    transcoder
        Calibrated; changed in place.
    variance : (layers,)
        The loss's denominators, as `start_from_data` returns them.
    dead_after
        Tokens for which a feature is silent before it counts as dead.
    auxiliary_coefficient, auxiliary_features
        alpha, and how many dead features per layer explain a token's residual (None: d / 2).
    """

    def __init__(
        self,
        transcoder: CrossLayerTranscoder,
        variance: torch.Tensor,
        schedule: Schedule,
        *,
        max_grad_norm: float = 1.0,
        dead_after: int = 100_000,
        auxiliary_coefficient: float = 1 / 32,
        auxiliary_features: int | None = None,
    ) -> None:
        self.transcoder = transcoder
        self.variance = variance
        self.schedule = schedule
        self.steps_done = 0
        self.tokens_done = 0
        self._max_grad_norm = max_grad_norm
        self._dead_after = dead_after
        self._auxiliary = auxiliary_coefficient
        self._most_dead = auxiliary_features or max(1, transcoder.hidden_size // 2)
        self._parameters = list(transcoder.parameters())
        # Tokens since each feature fired.
        self.silent = torch.zeros(
            transcoder.n_layers * transcoder.n_features,
            dtype=torch.int64,
            device=transcoder.encoder_weight.device,
        )
        fused = self.silent.device.type in ("cpu", "cuda")
        self._optimizer = torch.optim.Adam(self._parameters, lr=schedule.rate(0), fused=fused)

    @property
    def dead(self) -> torch.Tensor:
        """Which features are dead: (layers, features)."""
        return (self.silent >= self._dead_after).view(self.transcoder.n_layers, -1)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> StepRecord:
        """Take one step on tokens; x and y (tokens, layers, d), in the model's units.

        Raises
        ------
        FloatingPointError
            Loss or gradient is no finite number; the weights are as before the step.
        """
        model, n = self.transcoder.train(), len(x)
        try:
            features = model.encode(x)
        except ValueError as broken:  # the kernels take no NaN
            raise FloatingPointError(f"step {self.steps_done + 1}: {broken}") from broken
        error = (model.decode(features) - y) * model.output_scale[:, None]
        unexplained = error.square().sum(dim=2).mean(dim=0) / self.variance
        loss = unexplained.mean()
        penalty = auxiliary = loss.new_zeros(())
        if isinstance(model.activation, JumpReLU) and self.schedule.sparsity_coefficient:
            penalty = sparsity_penalty(model, features)
            loss = loss + self.schedule.sparsity(self.steps_done) * penalty
        dead = self.dead
        if self._auxiliary and bool(dead.any()):
            some = slice(_AUXILIARY_TOKENS)
            auxiliary = auxiliary_loss(model, x[some], -error[some], dead, self._most_dead)
            loss = loss + self._auxiliary * auxiliary
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        if not (bool(loss.isfinite()) and bool(norm.isfinite())):
            self._optimizer.zero_grad()
            raise FloatingPointError(
                f"step {self.steps_done + 1}: loss {float(loss.detach()):.4g}, "
                f"gradient {float(norm):.4g}"
            )
        rate = self.schedule.rate(self.steps_done)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._auxiliary:
            lift(model, x[:_AUXILIARY_TOKENS], features, dead, _LIFT * rate)
        fired = features.indices[features.values > 0].long()
        self.silent += n
        self.silent[fired] = 0
        self.steps_done += 1
        self.tokens_done += n
        by_layer = torch.bincount(fired // model.n_features, minlength=model.n_layers)
        return StepRecord(
            loss=float(loss.detach()),
            unexplained=unexplained.detach(),
            l0=by_layer / n,
            dead=dead.float().mean(dim=1),
            penalty=float(penalty.detach()),
            auxiliary=float(auxiliary.detach()),
            gradient_norm=float(norm),
            learning_rate=rate,
        )

    def check_finite(self) -> None:
        """Refuse weights that the last step has broken.

        Raises
        ------
        FloatingPointError
            Names the step.
        """
        for name, weight in self.transcoder.named_parameters():
            if not bool(weight.isfinite().all()):
                raise FloatingPointError(
                    f"step {self.steps_done}: {name} holds numbers that are not finite"
                )

    def state(self) -> dict[str, torch.Tensor]:
        """All that the next step depends on, but for the batch."""
        found = {f"transcoder.{k}": v for k, v in self.transcoder.state_dict().items()}
        for i, parameter in enumerate(self._parameters):
            moments = self._optimizer.state[parameter]
            found |= {f"optimizer.{i}.{name}": moments[name] for name in _MOMENTS if moments}
        done = torch.tensor([self.steps_done, self.tokens_done])
        found |= {"silent": self.silent, "variance": self.variance, "done": done}
        return {name: value.detach().contiguous() for name, value in found.items()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        own = "transcoder."
        weights = {k.removeprefix(own): v for k, v in state.items() if k.startswith(own)}
        self.transcoder.load_state_dict(weights)
        for i, parameter in enumerate(self._parameters):
            moments = {m: state.get(f"optimizer.{i}.{m}") for m in _MOMENTS}
            for name, value in moments.items():
                if value is not None:
                    where = "cpu" if name == "step" and not _fused(self) else parameter.device
                    self._optimizer.state[parameter][name] = value.clone().to(where)
        self.silent = state["silent"].to(self.silent.device)
        self.variance = state["variance"].to(self.variance.device)
        self.steps_done, self.tokens_done = state["done"].tolist()


def _fused(optimisation: Optimisation) -> bool:
    return bool(optimisation._optimizer.defaults["fused"])


def sparsity_penalty(model: CrossLayerTranscoder, features: ActiveFeatures) -> torch.Tensor:
    """Mean over tokens of 1/L sum tanh(c a ||D||)."""
    norms = model.decoder_norms().flatten()[features.indices.long()]
    total = torch.tanh(SATURATION * features.values * norms).sum()
    return total / ((len(features.indptr) - 1) * model.n_layers)


def auxiliary_loss(
    model: CrossLayerTranscoder,
    x: torch.Tensor,
    residual: torch.Tensor,
    dead: torch.Tensor,
    most: int,
) -> torch.Tensor:
    """Share of the residual that dead features leave unexplained.

    Each counts as if its bias let it fire for one token in 16, its highest; of those that then do
    for a token, the strongest `most` explain it.

    Parameters
    ----------
    x, residual : (tokens, layers, d)
        In the model's units; scaled.
    dead : (layers, features)
    most
        Features per layer and token.
    """
    residual = residual.detach()
    written = torch.zeros_like(residual)
    for layer, chosen in enumerate(dead):
        which = chosen.nonzero()[:, 0]
        if not len(which):
            continue
        scaled = x[:, layer] * model.input_scale[layer]
        weight, bias = model.encoder_weight[layer, which], model.encoder_bias[layer, which]
        pre = torch.addmm(bias, scaled, weight.T)
        # A dead feature may be far below zero, where it would learn nothing.
        level = pre.detach().kthvalue(max(1, len(x) - len(x) // _RARITY), dim=0).values
        top = (pre - level).relu().topk(min(most, len(which)), dim=1)
        dense = top.values.new_zeros(pre.shape).scatter(1, top.indices, top.values)
        decoder = model.decoder_weights[layer][which]
        added = (dense @ decoder.flatten(1)).view(len(x), *decoder.shape[1:])
        behind = model.n_layers - layer - decoder.shape[1]
        written = written + functional.pad(added, (0, 0, layer, behind))
    left = (residual - written).square().sum(dim=(0, 2))
    of = residual.square().sum(dim=(0, 2)).clamp(min=torch.finfo(residual.dtype).tiny)
    return (left / of).mean()


@torch.no_grad()
def lift(
    model: CrossLayerTranscoder,
    x: torch.Tensor,
    features: ActiveFeatures,
    dead: torch.Tensor,
    least: float,
) -> None:
    """Raise the biases of dead features towards what makes them active for one of the tokens.

    Parameters
    ----------
    x : (tokens, layers, d)
        In the model's units: the first of those that `features` are of.
    dead : (layers, features)
    least
        By so much at least.
    """
    n_layers, n = model.n_layers, len(x)
    active = features.values > 0
    places = (features.tokens * n_layers + features.layers)[active]
    weakest = x.new_full(((len(features.indptr) - 1) * n_layers,), torch.inf)
    weakest.scatter_reduce_(0, places, features.values.detach()[active], "amin")
    weakest = weakest.view(-1, n_layers)[:n]
    weakest[weakest.isinf()] = 0
    for layer, chosen in enumerate(dead):
        which = chosen.nonzero()[:, 0]
        if not len(which):
            continue
        scaled = x[:, layer] * model.input_scale[layer]
        pre = torch.addmm(
            model.encoder_bias[layer, which], scaled, model.encoder_weight[layer, which].T
        )
        lacks = (weakest[:, layer, None] - pre).min(dim=0).values
        model.encoder_bias[layer, which] += (_CLOSED * lacks).clamp(min=least)
