"""What features add to logits: against passes of the whole model, and in order."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from transcoders.test_sites import FAMILIES, model_of

from ilo_fast.transcoders.activations import TopK
from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.features.logits import logit_effects, summed_vectors
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

# Of each kind of what follows the blocks: norms, biases, scales and caps of logits.
FEW = ("Llama", "GPT2", "Gemma2", "Cohere", "OPT")


def transcoder_of(**sizes: int) -> CrossLayerTranscoder:
    it = CrossLayerTranscoder(2, 32, 12, activation=TopK(4), seed=3, **sizes).double()
    it.output_scale[:] = torch.tensor([0.5, 4.0])
    return it


def local_of(name: str, seed: int) -> LocalModel:
    model = model_of(name, FAMILIES[name][0]).double()
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases, too
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
            parameter += 0.1 * noise
    ids = torch.randint(3, 64, (2, 5), generator=torch.Generator().manual_seed(seed))
    replacement = ReplacementModel(model, transcoder_of())
    return LocalModel(replacement, ids, torch.tensor([5, 3]))


@pytest.mark.parametrize("name", FEW)
def test_effects_are_those_of_adding_the_vector_to_the_last_layer(name: str) -> None:
    seed = random.randrange(2**31)
    print("seed", seed)
    local = local_of(name, seed)
    scaled = name in ("Gemma2", "Cohere")  # a soft cap, a scale of logits
    assert bool((local.factors < 0.9999).any()) == scaled
    vectors = torch.randn(3, 32, generator=torch.Generator().manual_seed(seed + 1)).double()
    for row, last in ((0, 4), (1, 2)):
        found = local.effects_on_logits(vectors, row)
        base = local.replay().scores[row, 0]
        for vector, effect in zip(vectors, found, strict=True):
            adds = local.adds.clone()
            adds[row, last, -1] += vector
            wanted = (local.replay(adds=adds).scores[row, 0] - base) * local.factors[row]
            assert wanted.abs().max() > 1e-3
            torch.testing.assert_close(effect, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cross_layer", [True, False])
def test_vectors_are_summed_in_the_units_of_the_model(cross_layer: bool) -> None:
    it = transcoder_of(cross_layer=cross_layer)
    features = np.array([0, 5, 11, 12, 23])
    found = summed_vectors(it, features)
    for at, feature in enumerate(features):
        layer, within = divmod(int(feature), 12)
        wanted = torch.zeros(32).double()
        for place, vector in enumerate(it.decoder_weights[layer][within]):
            wanted += vector / it.output_scale[layer + place]
        torch.testing.assert_close(found[at], wanted)


def test_tokens_are_ranked_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    local, it = local_of("Llama", 7), transcoder_of()
    features = np.array([1, 4, 13])
    done: list[int] = []

    def named(ids: list[int]) -> list[str]:
        return [f"t{i}" for i in ids]

    found = logit_effects(local, it, features, named, 5, advance=done.append)
    effects = local.effects_on_logits(summed_vectors(it, features))
    for (top, bottom), effect in zip(found, effects, strict=True):
        order = sorted(range(64), key=lambda token: float(effect[token]))
        assert [name for name, _ in bottom] == [f"t{i}" for i in order[:5]]
        assert [name for name, _ in top] == [f"t{i}" for i in order[::-1][:5]]
        assert top[0][1] == pytest.approx(float(effect.max()), rel=1e-12)
    assert sum(done) == 3
    monkeypatch.setattr("ilo_fast.transcoders.features.logits._CHUNK_BYTES", 1)
    again = logit_effects(local, it, features, named, 5)
    assert [[n for n, _ in top] for top, _ in again] == [[n for n, _ in top] for top, _ in found]
    assert len(logit_effects(local, it, features[:1], named, 1000)[0][0]) == 64
