"""Features matched: shuffled and moved ones are found again, unrelated ones are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.clt_models import random_transcoder
from helpers.seeds import fresh
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.diffing import matching as module
from ilo_fast.transcoders.multilingual.diffing.matching import (
    centres,
    decoder_lengths,
    match_features,
)
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


def coder_of(rng: np.random.Generator, *, cross_layer: bool = True) -> CrossLayerTranscoder:
    return random_transcoder(int(rng.integers(2**31)), cross_layer=cross_layer).float()


def firing(rng: np.random.Generator, columns: int = 120) -> NDArray[np.float32]:
    found = rng.exponential(size=(300, columns)) * (rng.random((300, columns)) < 0.2)
    return found.astype(np.float32)


@torch.no_grad()
def shuffled(
    coder: CrossLayerTranscoder, order: NDArray[np.int64], cross_layer: bool = True
) -> CrossLayerTranscoder:
    """Feature `order[l, f]` of layer l has become feature f."""
    other = CrossLayerTranscoder(3, 16, 40, activation=coder.activation, cross_layer=cross_layer)
    other.load_state_dict(coder.state_dict())
    for layer in range(3):
        at = torch.tensor(order[layer])
        other.encoder_weight[layer] = coder.encoder_weight[layer, at]
        other.decoder_weights[layer].copy_(coder.decoder_weights[layer][at])
    return other.eval()


@pytest.mark.parametrize("cross_layer", [True, False])
def test_shuffled_features_are_matched_one_and_all(
    cross_layer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = fresh()
    monkeypatch.setattr(module, "_ROWS", 7)
    coder, active = coder_of(rng, cross_layer=cross_layer), firing(rng)
    order = np.stack([rng.permutation(40) for _ in range(3)])
    flat = (order + 40 * np.arange(3)[:, None]).ravel()
    found = match_features(coder, shuffled(coder, order, cross_layer), (active, active[:, flat]))
    assert (flat[found.after] == found.before).all()
    assert len(found.before) == 120 and found.share == 1 and found.moved == 0
    for values in (found.similarity, found.encoder, found.decoder, found.correlation):
        assert values == pytest.approx(np.ones(120), abs=1e-5)


def test_a_feature_that_went_to_another_layer_is_found_there() -> None:
    rng = fresh()
    coder, active = coder_of(rng), firing(rng)
    order = np.tile(np.arange(40), (3, 1))
    other, moved = shuffled(coder, order), active.copy()
    with torch.no_grad():
        # 1/5 becomes 0/7, which it could be: layer 0 writes wherever layer 1 does.
        other.encoder_weight[0, 7] = coder.encoder_weight[1, 5]
        other.decoder_weights[0][7] = 0
        other.decoder_weights[0][7, 1:] = coder.decoder_weights[1][5]
        other.encoder_weight[1, 5] = torch.randn(16)
    moved[:, 7], moved[:, 45] = active[:, 45], 0
    found = match_features(coder, other, (active, moved))
    pairs = dict(zip(found.before.tolist(), found.after.tolist(), strict=True))
    assert pairs[45] == 7 and 7 not in {b: a for b, a in pairs.items() if b != 45}.values()
    assert found.n_before == 120 and found.n_after == 119  # 1/5 is silent now
    assert found.moved == pytest.approx(1 / 119)
    assert found.share == pytest.approx(119 / 120)


def test_each_pair_is_mutually_nearest_as_by_brute_force() -> None:
    rng = fresh()
    one, other, a, b = coder_of(rng), coder_of(rng), firing(rng), firing(rng)
    found = match_features(one, other, (a, b))
    assert found.share is not None and found.share < 0.02  # unrelated
    assert len(set(found.before.tolist())) == len(set(found.after.tolist())) == len(found.before)
    written = [np.zeros((3, 40, 3, 16)) for _ in range(2)]
    for coder, out in zip((one, other), written, strict=True):
        for layer in range(3):
            for to in range(layer, 3):
                vectors = coder.decoder_weights[layer][:, to - layer].detach().double().numpy()
                out[layer, :, to] = vectors / float(coder.output_scale[to])
    similar = np.zeros((120, 120))
    for i in range(120):
        for j in range(120):
            reads = [
                c.encoder_weight.detach().double().numpy().reshape(120, 16)[at]
                for c, at in ((one, i), (other, j))
            ]
            writes = [out.reshape(120, 48)[at] for out, at in zip(written, (i, j), strict=True)]
            similar[i, j] = sum(
                u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in (reads, writes)
            )
    similar = (similar + np.corrcoef(a.T, b.T)[:120, 120:]) / 3
    best, back = similar.argmax(axis=1), similar.argmax(axis=0)
    wanted = {(i, int(j)) for i, j in enumerate(best) if back[j] == i}
    assert set(zip(found.before.tolist(), found.after.tolist(), strict=True)) == wanted
    assert found.similarity == pytest.approx(similar[found.before, found.after], abs=1e-4)


def test_centres_are_where_a_feature_writes() -> None:
    coder = coder_of(fresh())
    with torch.no_grad():
        coder.output_scale.fill_(2.0)
        coder.decoder_weights[0][4] = 0
        coder.decoder_weights[0][4, 2, 0] = 6
        coder.decoder_weights[1][4] = 0
    lengths = decoder_lengths(coder)
    assert lengths[4].tolist() == [0, 0, 3]
    found = centres(lengths, 40)
    assert found[4] == 2 and found[44] == 1 and (found[80:] == 2).all()


def test_what_cannot_be_matched_is_refused() -> None:
    rng = fresh()
    coder, active = coder_of(rng), firing(rng)
    with pytest.raises(ValueError, match="n_layers=3, after 2"):
        match_features(coder, random_transcoder(1, n_layers=2), (active, active))
    with pytest.raises(ValueError, match="300 and 299 tokens"):
        match_features(coder, coder, (active, active[1:]))
    nothing = match_features(coder, coder, (active, np.zeros_like(active)))
    assert not len(nothing.before) and nothing.share == 0 and nothing.moved is None
