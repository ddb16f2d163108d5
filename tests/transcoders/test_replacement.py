"""A model with its MLPs replaced: by itself, by vectors, by a transcoder; then as it was before."""

import dataclasses
import secrets

import pytest
import torch
import transformers
from helpers.clt_models import clt_model, random_transcoder
from transcoders.test_files import INFO
from transcoders.test_sites import FAMILIES, model_of

from ilo_fast.models.forward import callers_hooks
from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.evaluation.metrics import evaluate_transcoder
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.windows import Windows

_LAYOUTS = ("Llama", "GPT2", "Gemma2", "GPTNeoX", "Falcon", "Cohere", "Bloom", "OPT", "Granite",
            "Mixtral")  # fmt: skip


def _ids(seed: int, rows: int = 3, tokens: int = 9) -> torch.Tensor:
    return torch.randint(3, 64, (rows, tokens), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "skip"), [("Llama", 0), ("OPT", 2), ("Bloom", 2), *((name, 1) for name in _LAYOUTS)]
)
def test_every_layout(name: str, skip: int) -> None:
    """Own outputs put in place change nothing; the first position alone keeps its MLPs."""
    model = model_of(name, FAMILIES[name][0])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    coder = random_transcoder(secrets.randbelow(2**31), n_layers=2, hidden_size=32).float()
    it = ReplacementModel(model, coder, skip_positions=skip)
    ids = _ids(skip)
    own = it.read(ids)
    assert own.x.shape == own.y.shape == (3, 9, 2, 32)
    with it.with_outputs({layer: own.y[:, skip:, layer] for layer in (0, 1)}):
        again = it.logits(ids)
    torch.testing.assert_close(again, own.logits, rtol=1e-4, atol=1e-5)
    # One layer: the stream behind it, and what the transcoder says of the true inputs.
    guess = coder(own.x.flatten(0, 1)).view_as(own.y)
    for layer in (0, 1):
        with it.replaced([layer]):
            by_coder = it.logits(ids)
        with it.with_outputs({layer: guess[:, skip:, layer]}):
            given = it.logits(ids)
        torch.testing.assert_close(by_coder, given, rtol=1e-4, atol=1e-5)
        with it.replaced([layer]):
            seen = it.read(ids)
        torch.testing.assert_close(seen.x[:, :, layer], own.x[:, :, layer])
    with it.ablated():
        nothing = it.logits(ids)
    with it.replaced():
        cascade = it.logits(ids)
    for other in (by_coder, nothing, cascade):
        if skip:
            torch.testing.assert_close(other[:, :skip], own.logits[:, :skip], rtol=1e-4, atol=1e-5)
        changed = (other - own.logits).abs().amax((0, 2))
        assert (changed[skip:] > 1e-5).all()
    assert callers_hooks(model) == []
    assert torch.equal(it.logits(ids), own.logits)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("activation", [JumpReLU(), TopK(6), BatchTopK(6)], ids=lambda a: a.kind)
@pytest.mark.parametrize("cross_layer", [True, False])
def test_a_model_whose_mlps_are_the_transcoder(activation, cross_layer) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    coder = random_transcoder(seed, activation=activation, cross_layer=cross_layer)
    model = clt_model(coder, seed)
    it = ReplacementModel(model, coder.train())  # its mode does not matter
    ids = _ids(seed)
    own = it.logits(ids)
    for layers in (None, [0], [1], [2], [0, 2]):
        with it.replaced(layers):
            torch.testing.assert_close(it.logits(ids), own, rtol=1e-10, atol=1e-10)
    with it.replaced():
        assert not coder.training
    assert coder.training


def test_the_cascade_is_fed_with_the_replaced_stream() -> None:
    """Step by step: replace the first layer, read what the second reads, replace that."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    coder = random_transcoder(seed)
    model = model_of("Llama", FAMILIES["Llama"][0] | {"hidden_size": 16, "num_hidden_layers": 3})
    it = ReplacementModel(model.double(), coder)
    ids = _ids(seed)
    given: dict[int, torch.Tensor] = {}
    for layer in range(3):
        with it.with_outputs(given):
            x = it.read(ids).x
        given[layer] = coder(x.flatten(0, 1)).view_as(x)[:, 1:, layer]
    with it.with_outputs(given):
        wanted = it.logits(ids)
    with it.replaced():
        torch.testing.assert_close(it.logits(ids), wanted, rtol=1e-9, atol=1e-9)
        # Rows of another shape in the same block: nothing is left over.
        other = it.logits(ids[:1, :5])
    torch.testing.assert_close(other, wanted[:1, :5], rtol=1e-9, atol=1e-9)


def test_as_many_positions_are_skipped_as_in_the_training() -> None:
    coder = random_transcoder(0)
    model = clt_model(coder)
    assert ReplacementModel(model, coder).skip_positions == 1  # it does not say
    coder.info = dataclasses.replace(INFO, skip_positions=3)
    assert ReplacementModel(model, coder).skip_positions == 3
    assert ReplacementModel(model, coder, skip_positions=0).skip_positions == 0
    windows = Windows(_ids(0), torch.zeros(3).long(), torch.arange(27).view(3, 9), ("eng_Latn",))
    scores = evaluate_transcoder(model, coder, windows, n_boot=10)
    assert scores.skip_positions == 3 and scores.n_tokens.tolist() == [18, 18]


def test_after_an_error_the_model_is_as_it_was() -> None:
    coder = random_transcoder(0)
    model = clt_model(coder).train()
    it = ReplacementModel(model, coder)
    own = it.logits(_ids(0))
    with pytest.raises(RuntimeError, match="broken off"), it.replaced():
        it.logits(_ids(0))
        raise RuntimeError("broken off")
    with pytest.raises(RuntimeError, match="expand"), it.with_outputs({1: torch.ones(5)}):
        it.logits(_ids(0))
    assert callers_hooks(model) == []
    assert torch.equal(it.logits(_ids(0)), own)
    assert all(module.training for module in model.modules())


def test_what_a_pass_that_broke_off_left_is_forgotten() -> None:
    coder = random_transcoder(0)
    it = ReplacementModel(clt_model(coder), coder)

    def broken(*_: object) -> None:
        raise RuntimeError("broken off")

    with it.replaced():
        wanted = it.logits(_ids(0))
        handle = it.parts.blocks[1].register_forward_pre_hook(broken)
        with pytest.raises(RuntimeError, match="broken off"):
            it.logits(_ids(1))
        handle.remove()
        assert torch.equal(it.logits(_ids(0)), wanted)


def test_gradients_pass_through_what_is_given() -> None:
    """Interventions want them."""
    coder = random_transcoder(0)
    it = ReplacementModel(clt_model(coder), coder)
    vector = torch.ones(16, dtype=torch.float64, requires_grad=True)
    with it.with_outputs({1: vector}):
        it.model(input_ids=_ids(0)).logits.sum().backward()
    assert vector.grad is not None and vector.grad.abs().max() > 0


def test_what_does_not_fit_is_refused() -> None:
    coder = random_transcoder(0)
    model = clt_model(coder)
    with pytest.raises(ValueError, match="LlamaModel, which has no head and gives no logits: load"):
        ReplacementModel(model.model, coder)
    with pytest.raises(ValueError, match="of 2 layers of width 16, model has 3 of width 16: pass"):
        ReplacementModel(model, random_transcoder(0, n_layers=2))
    with pytest.raises(ValueError, match="skip_positions=-1"):
        ReplacementModel(model, coder, skip_positions=-1)
    it = ReplacementModel(model, coder)
    names = pytest.raises(ValueError, match="layers names 3, model has layers 0 to 2")
    with names, it.replaced([1, 3]):
        pass
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=8, num_hidden_layers=3,
        num_attention_heads=2, pad_token_id=0,
    )  # fmt: skip
    classifier = transformers.LlamaForSequenceClassification(config).double()
    with pytest.raises(ValueError, match="no head"):
        ReplacementModel(classifier, coder)
