"""What is known of a feature beyond one prompt, and groups of features: plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """A place where a feature is strongly active.

    Attributes
    ----------
    tokens : tuple of str
        Around the place, as they may be shown.
    activations : tuple of float
        Of the feature, at each of them.
    peak : int
        Which token the context was chosen for.
    language : str
        Its code.
    """

    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    peak: int
    language: str


@dataclass(frozen=True)
class FeatureNote:
    """What is known of one feature of a transcoder.

    Attributes
    ----------
    layer, feature : int
    contexts : tuple of Context
        The strongest first, no two of one line of text.
    top_logits, bottom_logits : tuple of (token, number)
        What the feature's vectors, all layers together, add to logits at an activation of 1 where
        nothing else follows: the largest first; the smallest first.
    rates : language -> share of its tokens in which the feature is active
    density : float
        Mean of the rates.
    max_activation : float
    description : str
        Made by rule from the above: a proposal. Empty where no rule applies.
    """

    layer: int
    feature: int
    contexts: tuple[Context, ...]
    top_logits: tuple[tuple[str, float], ...]
    bottom_logits: tuple[tuple[str, float], ...]
    rates: Mapping[str, float]
    density: float
    max_activation: float
    description: str


@dataclass(frozen=True)
class Supernode:
    """Sources of a graph that are shown as one.

    Attributes
    ----------
    name : str
    members : tuple of int
        Indices into the graph's sources.
    proposed : bool
        By rule; False: by a person.
    """

    name: str
    members: tuple[int, ...]
    proposed: bool
