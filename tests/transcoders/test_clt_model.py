"""The model whose MLPs are a transcoder, which other tests are made with."""

import secrets

import pytest
import torch
from helpers.clt_models import clt_model, random_transcoder

from ilo_fast.models.forward import trial_output
from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.sites import find_sites
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


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


@pytest.mark.parametrize("activation", [TopK(2), BatchTopK(2), JumpReLU()], ids=lambda a: a.kind)
def test_second_derivatives_are_an_error_and_never_zero(activation) -> None:
    transcoder = CrossLayerTranscoder(2, 4, 6, activation=activation).train()
    x = torch.randn(3, 2, 4)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return transcoder(x).square().sum()

    with pytest.raises(NotImplementedError, match="first order only"):
        torch.autograd.functional.hessian(loss, x)
    x.requires_grad_()
    (once,) = torch.autograd.grad(loss(x), x)
    (kept,) = torch.autograd.grad(loss(x), x, create_graph=True)
    assert torch.equal(once, kept)
    with pytest.raises(NotImplementedError, match="first order only"):
        torch.autograd.grad(kept.sum(), x)


@pytest.mark.parametrize(
    ("sizes", "options", "wanted"),
    [
        ((0, 4, 6), {}, "n_layers=0 must be at least 1"),
        ((2, 0, 6), {}, "hidden_size=0 must be at least 1"),
        ((2, 4, -6), {}, "n_features=-6 must be at least 1"),
        ((2, 4, 2**30), {}, r"n_layers=2 of n_features=1073741824, together more than 2\^31"),
        ((2, 4, 6), {"seed": -1}, "seed=-1 must be at least 0"),
        ((2, 4, 6), {"activation": "topk"}, "activation must be JumpReLU"),
    ],
)
def test_sizes_that_cannot_be_are_named(sizes, options, wanted) -> None:
    with pytest.raises((ValueError, TypeError), match=wanted):
        CrossLayerTranscoder(*sizes, **{"activation": TopK(2)} | options)


def test_inputs_that_are_of_something_else_are_named() -> None:
    transcoder = CrossLayerTranscoder(3, 4, 6, activation=TopK(2))
    x = torch.randn(5, 3, 4)
    for wrong in (x[:, :1], x[:, 0], x[..., :3], x[None]):
        with pytest.raises(ValueError, match=r"x has shape .*, wanted \(tokens, 3, 4\)"):
            transcoder(wrong)
    with pytest.raises(ValueError, match=r"x has shape \(5, 3, 4\), wanted \(tokens, 4\)"):
        transcoder.encode_layer(1, x)
    with pytest.raises(TypeError, match=r"x is torch.float64, the transcoder torch.float32"):
        transcoder(x.double())
    for layer in (-1, 3):
        with pytest.raises(ValueError, match=f"layer={layer} must be at"):
            transcoder.encode_layer(layer, x[:, 0])
    features = transcoder.encode(x)
    with pytest.raises(ValueError, match="features are of 3 layers of 6, wanted 1 of 6"):
        transcoder.decode_layer(1, features)
    with pytest.raises(ValueError, match="features are of 1 layers of 6, wanted 3 of 6"):
        transcoder.decode(transcoder.encode_layer(1, x[:, 1]))
