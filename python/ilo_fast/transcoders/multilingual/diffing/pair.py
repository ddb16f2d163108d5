"""One comparison: a model and its transcoder before, and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ilo_fast.models.identity import hash_state
from ilo_fast.transcoders.files.opening import Opened
from ilo_fast.transcoders.multilingual.diffing.brightness import Brightness, brightness
from ilo_fast.transcoders.multilingual.diffing.changes import FeatureChanges, feature_changes
from ilo_fast.transcoders.multilingual.diffing.edges import EdgeChanges, edge_changes
from ilo_fast.transcoders.multilingual.diffing.matching import (
    Matching,
    centres,
    decoder_lengths,
    match_features,
)
from ilo_fast.transcoders.multilingual.diffing.reading import Readings
from ilo_fast.transcoders.training.initial import INITIAL
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Correspondence = Literal["number", "match"]
Fit = Literal["reused", "refitted", "fresh"]


@dataclass(frozen=True, eq=False)
class PairDiff:
    """What differs between two models, each with a transcoder.

    Attributes
    ----------
    before, after : mapping
        Model and transcoder, by name and hash.
    fit : str
        How the second transcoder came to be: ``"reused"`` (the first one), ``"refitted"`` (one
        continues from the other, or both from a third), ``"fresh"`` (neither).
    correspondence : str
        ``"number"``: features of one number are compared; ``"match"``: those that are each other's
        most similar.
    changes : FeatureChanges
    brightness : Brightness
    matching : Matching or None
        None where the transcoder is the same.
    edges : EdgeChanges or None
    """

    before: dict[str, str]
    after: dict[str, str]
    fit: Fit
    correspondence: Correspondence
    changes: FeatureChanges
    brightness: Brightness
    matching: Matching | None
    edges: EdgeChanges | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without features."""
        return {
            "before": self.before,
            "after": self.after,
            "fit": self.fit,
            "correspondence": self.correspondence,
            "features_compared": len(self.changes),
            "brightness": self.brightness.to_dict(),
            "matching": None if self.matching is None else self.matching.to_dict(),
            "edges": None if self.edges is None else self.edges.to_dict(),
        }


def fit_of(before: CrossLayerTranscoder, after: CrossLayerTranscoder) -> Fit:
    """How two transcoders are related, by their weights and what they say they started from."""
    own = [hash_state(coder, computed=False) for coder in (before, after)]
    if own[0] == own[1]:
        return "reused"
    starts = [
        None if coder.info is None else coder.info.options.get(INITIAL) for coder in (before, after)
    ]
    related = starts[1] == own[0] or starts[0] == own[1] or (starts[0] and starts[0] == starts[1])
    same = before.encoder_weight.shape == after.encoder_weight.shape
    return "refitted" if related and same else "fresh"


def compare_pair(
    before: Opened,
    after: Opened,
    readings: Readings,
    *,
    correspondence: Correspondence | None,
    n_boot: int,
    seed: int,
) -> PairDiff:
    """Compare one pair; `correspondence` None: by number, unless the transcoder is a fresh one.

    Raises
    ------
    ValueError
        By number, of transcoders of different sizes.
    """
    coders = before.transcoder, after.transcoder
    fit = fit_of(*coders)
    chosen = correspondence or ("match" if fit == "fresh" else "number")
    shapes = [tuple(coder.encoder_weight.shape) for coder in coders]
    if chosen == "number" and shapes[0] != shapes[1]:
        raise ValueError(
            f"transcoders have (layers, features, width) {shapes[0]} and {shapes[1]}: they cannot "
            'be compared by number; pass correspondence="match"'
        )
    tables = readings.table(before), readings.table(after)
    lengths = [decoder_lengths(coder) for coder in coders]
    norms = coders[0], coders[1]
    weights = tuple((length**2).sum(axis=1) ** 0.5 for length in lengths)
    places = tuple(
        centres(length, coder.n_features) for length, coder in zip(lengths, norms, strict=True)
    )
    matching = pairs = None
    if fit != "reused":
        matching = match_features(
            *coders, (readings.activations(before), readings.activations(after))
        )
        if chosen == "match":
            pairs = matching.before[matching.kept], matching.after[matching.kept]
    return PairDiff(
        _named(before),
        _named(after),
        fit,
        chosen,
        feature_changes(
            *tables, norms=(weights[0], weights[1]), centres=(places[0], places[1]), pairs=pairs
        ),
        brightness(*tables, (weights[0], weights[1]), n_boot=n_boot, seed=seed),
        matching,
        edge_changes(*readings.graphs(before, after), n_boot=n_boot, seed=seed)
        if readings.wants_graphs
        else None,
    )


def _named(it: Opened) -> dict[str, str]:
    return {
        "model": it.name,
        "model_sha256": hash_state(it.model, computed=False),
        "transcoder": str(it.place),
        "transcoder_sha256": hash_state(it.transcoder, computed=False),
    }
