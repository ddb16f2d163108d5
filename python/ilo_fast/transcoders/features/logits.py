"""What features add to logits by themselves: the tokens that each speaks for, and against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

_CHUNK_BYTES: Final = 50e6  # of logits

Ranked = tuple[tuple[str, float], ...]


def summed_vectors(transcoder: CrossLayerTranscoder, features: NDArray[np.int64]) -> torch.Tensor:
    """What features write at an activation of 1, over all layers, in the model's units.

    features: layer * n_features + feature. Returns (features, d).
    """
    layers, within = np.divmod(features, transcoder.n_features)
    out = torch.zeros(
        len(features), transcoder.hidden_size,
        dtype=transcoder.encoder_weight.dtype, device=transcoder.encoder_weight.device,
    )  # fmt: skip
    with torch.no_grad():
        for layer, weight in enumerate(transcoder.decoder_weights):
            here = torch.from_numpy(np.flatnonzero(layers == layer)).to(out.device)
            rows = weight[torch.from_numpy(within).to(out.device)[here]]
            scale = transcoder.output_scale[layer : layer + weight.shape[1], None]
            out[here] = (rows / scale).sum(1)
    return out


def logit_effects(
    local: LocalModel,
    transcoder: CrossLayerTranscoder,
    features: NDArray[np.int64],
    texts: Callable[[list[int]], list[str]],
    k: int = 10,
    *,
    advance: Callable[[int], Any] | None = None,
) -> list[tuple[Ranked, Ranked]]:
    """The k tokens whose logits each feature raises most, and those that it lowers most.

    Its vectors, all layers together, at an activation of 1, where nothing but the last norm and the
    head follows. The norm scales as it does at the last token of the first prompt.

    Parameters
    ----------
    local
        The model near some prompts.
    features : (features,)
        layer * n_features + feature.
    texts
        Of token ids, the tokens as they are shown.
    advance
        Is told how many features are done.

    Returns
    -------
    of each feature, what it raises (the most first) and what it lowers (the most first)
    """
    whole_number("k", k)
    vectors = summed_vectors(transcoder, features).to(local.adds)
    vocabulary = local.logits.shape[-1]
    rows = max(1, int(_CHUNK_BYTES // (local.logits.element_size() * vocabulary)))
    found: list[tuple[Ranked, Ranked]] = []
    for at in range(0, len(vectors), rows):
        effects = local.effects_on_logits(vectors[at : at + rows])
        columns = []
        for largest in (True, False):
            values, ids = effects.topk(min(k, vocabulary), dim=-1, largest=largest)
            words = texts(ids.flatten().tolist())
            numbers = values.flatten().tolist()
            step = values.shape[1]
            pairs = list(zip(words, numbers, strict=True))
            columns.append([tuple(pairs[i : i + step]) for i in range(0, len(pairs), step)])
        found.extend(zip(*columns, strict=True))
        if advance is not None:
            advance(len(effects))
    return found
