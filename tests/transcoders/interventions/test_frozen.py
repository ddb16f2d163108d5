"""Everything held: the response is in proportion to what is done, and what `LocalModel` says."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
import torch
from helpers.clt_models import random_transcoder
from torch import nn
from transcoders.test_sites import FAMILIES, model_of

from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel

LAYOUTS = ("Llama", "GPT2", "Gemma2", "Olmo2", "GPTNeoX", "Falcon", "Cohere", "Bloom", "OPT",
           "Granite", "Mixtral")  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
@torch.no_grad()
def test_as_the_local_model_says(name: str) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model: Any = model_of(name, FAMILIES[name][0]).double()
    with torch.no_grad():
        for parameter in model.parameters():  # so that attention and soft caps are felt
            parameter.mul_(4.0 if parameter.dim() > 1 else 1.0)
    coder = random_transcoder(seed, n_layers=2, hidden_size=32)
    it = ReplacementModel(model, coder)
    ids = torch.randint(3, 64, (2, 7), generator=torch.Generator().manual_seed(seed))
    local = LocalModel(it, ids, torch.tensor([7, 7]))
    active = torch.stack(
        [coder.encode_layer(0, x.flatten(0, 1)).to_dense().view(2, 7, -1) for x in local.base.reads]
    )[0]
    feature = int(active[:, 1:].amax((0, 1)).argmax())

    # Twice as much of one feature everywhere, and a second one of layer 1 set at the end.
    adds = local.adds.clone()
    for layer in range(2):
        weight = coder.decoder_weights[0][feature, layer] / coder.output_scale[layer]
        adds[:, 1:, layer] += active[:, 1:, feature, None] * weight
    first = active_at_end(coder, local, 9)
    adds[:, 6, 1] += (2.5 - first)[:, None] * coder.decoder_weights[1][9, 0] / coder.output_scale[1]
    wanted = local.replay(adds=adds).scores[:, 0] * local.factors

    def run(*given: Intervention) -> torch.Tensor:
        with intervened(it, None, given, frozen="all"):
            found: torch.Tensor = model(input_ids=ids).logits[:, -1]
        return found

    one = Intervention(0, feature, scale=2.0)
    other = Intervention(1, 9, value=2.5, positions=-1)
    close = {"rtol": 1e-9, "atol": 1e-9 * float(local.logits.abs().max())}
    torch.testing.assert_close(run(one, other), wanted, **close)
    own = run()
    torch.testing.assert_close(own, local.logits, **close)
    # In proportion, and the sum of what each does.
    step = run(one) - own
    assert step.abs().max() > 1e-6
    for times in (0.0, -3.0):
        found = run(Intervention(0, feature, scale=times)) - own
        torch.testing.assert_close(found, (times - 1) * step, **close)
    torch.testing.assert_close(run(one, other) - own, step + run(other) - own, **close)


def active_at_end(coder: Any, local: LocalModel, feature: int) -> torch.Tensor:
    """Of layer 1, in both rows."""
    dense: torch.Tensor = coder.encode_layer(1, local.base.reads[1][:, -1]).to_dense()
    return dense[:, 0, feature]


class _Gate(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.tanh()


def test_a_model_with_more_than_mlps_that_is_not_linear_is_refused() -> None:
    model: Any = model_of("Llama", FAMILIES["Llama"][0])
    coder = random_transcoder(0, n_layers=2, hidden_size=32).float()
    it = ReplacementModel(model, coder)
    for block in model.model.layers:
        block.self_attn.o_proj = nn.Sequential(block.self_attn.o_proj, _Gate())
    one = Intervention(0, 1, add=1.0)
    refused = pytest.raises(ValueError, match="model is not affine in the residual stream")
    with refused, intervened(it, None, one, frozen="all"):
        pass
    with intervened(it, None, one, frozen="attention"):
        assert model(torch.arange(3, 9)[None]).logits.isfinite().all()


def test_frozen_passes_are_whole_and_of_the_whole_model() -> None:
    model: Any = model_of("Llama", FAMILIES["Llama"][0])
    coder = random_transcoder(0, n_layers=2, hidden_size=32).float()
    ids = torch.arange(3, 9)[None]
    with intervened(model, coder, Intervention(0, 1, add=1.0), frozen="all"):
        with pytest.raises(ValueError, match="call it, not a part of it"):
            model.model(ids)
        with pytest.raises(ValueError, match=r"labels was passed, .* leave labels out"):
            model(ids, labels=ids)
        (as_tuple, *_) = model(ids, return_dict=False)
        assert torch.equal(as_tuple, model(ids).logits)
    refused = pytest.raises(ValueError, match="frozen='norms' is not known: use 'attention' or")
    with refused, intervened(model, coder, [], frozen="norms"):  # type: ignore[arg-type]
        pass
