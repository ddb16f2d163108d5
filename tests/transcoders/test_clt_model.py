"""The model whose MLPs are a transcoder, which other tests are made with."""

import secrets

import pytest
import torch
from helpers.clt_models import clt_model, random_transcoder

from ilo_fast.models.forward import trial_output
from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.sites import find_sites


@pytest.mark.parametrize("activation", [JumpReLU(), TopK(6), BatchTopK(6)], ids=lambda a: a.kind)
@pytest.mark.parametrize("cross_layer", [True, False])
def test_what_its_mlps_add_is_what_the_transcoder_says(activation, cross_layer) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    transcoder = random_transcoder(seed, activation=activation, cross_layer=cross_layer)
    model = clt_model(transcoder, seed)
    parts, sites = find_sites(model)
    assert [site.reads for site in sites] == [block.mlp for block in model.model.layers]
    assert [(s.writes, s.scale, s.residual, s.parallel) for s in sites] == [
        (block.mlp, pytest.approx(1.0), None, False) for block in model.model.layers
    ]
    ids = torch.randint(3, 64, (2, 11), generator=torch.Generator().manual_seed(seed))
    x, y = {}, {}
    for _ in range(2):  # nothing is left over from a pass
        with torch.no_grad(), watched(sites, x.__setitem__, y.__setitem__):
            trial_output(parts.backbone, ids)
        read, added = (torch.stack([d[i] for i in range(3)], 2).flatten(0, 1) for d in (x, y))
        features = transcoder.encode(read)
        share = len(features.values) / (read.shape[0] * 3 * 40)
        assert 0.03 < share < 0.6
        wanted = transcoder.decode(features)
        assert (added - wanted).norm() < 1e-12 * wanted.norm()
        assert wanted.std(0).min() > 1e-6
