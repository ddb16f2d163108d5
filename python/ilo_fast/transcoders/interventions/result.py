"""What interventions did to prompts: plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.interventions.intervention import Intervention


@dataclass(frozen=True)
class NextToken:
    """How probable a token is after a prompt, before and after the interventions."""

    token_id: int
    text: str
    before: float
    after: float


@dataclass(frozen=True)
class FeatureReading:
    """One feature on one prompt, before and after.

    Attributes
    ----------
    layer, feature : int
    pre_before, pre_after : (tokens,)
        What its encoder makes of what the MLP reads.
    before, after : (tokens,)
        Its activation; of a feature that is intervened on, `after` is what it was made to be.
    """

    layer: int
    feature: int
    pre_before: NDArray[np.float64]
    pre_after: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


@dataclass(frozen=True)
class PromptEffect:
    """What interventions did to one prompt.

    Attributes
    ----------
    prompt : str
    tokens : tuple of str
    token_ids : tuple of int
    logits_before, logits_after : (vocabulary,)
        Of the token that follows.
    likely_before, likely_after : tuple of NextToken
        The most probable ones, before and after.
    changes : tuple of NextToken
        Those whose probability changed most.
    features : tuple of FeatureReading
        Those intervened on, then the others that were asked for.
    continuation_before, continuation_after : str or None
        The most probable token by token; None where none were asked for.
    """

    prompt: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    logits_before: NDArray[np.float64]
    logits_after: NDArray[np.float64]
    likely_before: tuple[NextToken, ...]
    likely_after: tuple[NextToken, ...]
    changes: tuple[NextToken, ...]
    features: tuple[FeatureReading, ...]
    continuation_before: str | None
    continuation_after: str | None

    @property
    def kl(self) -> float:
        """KL divergence, in nats, of the next token's distribution after from that before."""
        before, after = (_log_softmax(x) for x in (self.logits_before, self.logits_after))
        return float((np.exp(before) * (before - after)).sum())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; without the logits."""
        tokens = ("likely_before", "likely_after", "changes")
        plain = ("prompt", "continuation_before", "continuation_after", "kl")
        return {
            **{name: getattr(self, name) for name in plain},
            "tokens": list(self.tokens),
            "token_ids": list(self.token_ids),
            **{name: [vars(token) for token in getattr(self, name)] for name in tokens},
            "features": [
                {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(one).items()}
                for one in self.features
            ],
        }


@dataclass(frozen=True)
class InterventionResult:
    """What interventions did.

    Attributes
    ----------
    prompts : tuple of PromptEffect
        In the order given.
    interventions : tuple of Intervention
    frozen : str or None
    info : mapping
        JSON-able.
    """

    prompts: tuple[PromptEffect, ...]
    interventions: tuple[Intervention, ...]
    frozen: str | None
    info: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; without the logits."""
        return {
            "interventions": [one.to_dict() for one in self.interventions],
            "frozen": self.frozen,
            "prompts": [one.to_dict() for one in self.prompts],
            "info": dict(self.info),
        }


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max()
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return found
