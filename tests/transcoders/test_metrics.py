"""Metrics of a transcoder against a slow oracle, and in cases whose answer is known."""

from __future__ import annotations

import dataclasses
import math
import secrets

import numpy as np
import pytest
import torch
from helpers.clt_models import clt_model, random_transcoder
from oracles.transcoder_metrics import Oracle, add_row, means_of
from transformers import LlamaConfig, LlamaForCausalLM

from ilo_fast.transcoders.evaluation.metrics import evaluate_transcoder
from ilo_fast.transcoders.evaluation.result import DENSITY_EDGES, TranscoderScores
from ilo_fast.transcoders.evaluation.summary import resampled_sums
from ilo_fast.transcoders.evaluation.tables import notes
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import Windows

_INTERVALS = ("explained_variance", "kl", "recovered_zero", "recovered_mean")


def _llama(seed: int, n_layers: int = 2) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=30, hidden_size=16, intermediate_size=24, num_hidden_layers=n_layers,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).double().eval()


def _windows(seed: int, *rows: int, tokens: int = 7, vocabulary: int = 30) -> Windows:
    """So many windows of each language; a document is a few tokens long."""
    random = torch.Generator().manual_seed(seed)
    n = sum(rows)
    ids = torch.randint(vocabulary, (n, tokens), generator=random)
    language = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(rows))
    document = (torch.rand(n, tokens, generator=random) < 0.3).flatten().cumsum(0)
    order = torch.randperm(n, generator=random)  # languages need not stand together
    languages = ("deu_Latn", "eng_Latn", "fra_Latn")[: len(rows)]
    return Windows(ids, language[order], document.view(n, tokens), languages)


@pytest.mark.parametrize("cross_layer", [True, False])
def test_against_the_oracle(cross_layer: bool) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model = _llama(seed)
    coder = random_transcoder(seed, n_layers=2, cross_layer=cross_layer)
    windows = _windows(seed, 3, 2)
    found = evaluate_transcoder(model, coder, windows, batch_tokens=14, n_boot=50)
    means = means_of(model, windows.ids)
    groups = [windows.ids, *(windows.ids[windows.language == at] for at in (0, 1))]
    for g, rows in enumerate(groups):
        oracle = Oracle()
        for row in rows:
            add_row(oracle, model, coder, row, means)
        assert found.n_windows[g] == len(rows)
        assert found.n_tokens[g] == len(oracle.y) and found.n_predictions[g] == len(oracle.ce_model)

        def near(value: float) -> object:
            return pytest.approx(value, rel=1e-8, abs=1e-10)

        def mean(values: list) -> float:
            return math.fsum(values) / len(values)

        ce_model = mean(oracle.ce_model)
        assert found.ce_model[g] == near(ce_model)
        for layer in (0, 1):
            assert found.explained_variance[g, layer] == near(oracle.explained_variance(layer))
            assert found.l0[g, layer] == near(oracle.l0(layer)) and oracle.l0(layer) > 1
            assert found.dead_share[g, layer] == near(oracle.dead_share(layer))
        for output in (0, 1, 2):
            ce = {name: mean(oracle.ce[name, output]) for name in ("replacement", "zero", "mean")}
            assert found.ce_replacement[g, output] == near(ce["replacement"])
            assert found.ce_zero[g, output] == near(ce["zero"])
            assert found.ce_mean[g, output] == near(ce["mean"])
            assert found.kl[g, output] == near(mean(oracle.kl[output]))
            assert found.top1_agreement[g, output] == near(mean(oracle.top1[output]))
            for name in ("zero", "mean"):
                gap = ce[name] - ce_model
                wanted = (ce[name] - ce["replacement"]) / gap if gap > 1e-5 else math.nan
                value = getattr(found, f"recovered_{name}")[g, output]
                assert value == pytest.approx(wanted, rel=1e-6, abs=1e-8, nan_ok=True)
        if g == 0:
            density = np.mean([a for a in oracle.active], axis=0)  # (layers, features)
            for layer in (0, 1):
                some = density[layer][density[layer] > 0]
                counts, _ = np.histogram(np.log10(some), DENSITY_EDGES)
                assert found.density_histogram[layer].tolist() == counts.tolist()
                assert found.above_tenth[layer] == (some > 0.1).sum()
                assert found.above_half[layer] == (some > 0.5).sum()


@pytest.mark.parametrize("fixed", [None, 3])
@pytest.mark.parametrize("cross_layer", [True, False])
def test_a_model_whose_mlps_are_the_transcoder(cross_layer: bool, fixed: int | None) -> None:
    seed = secrets.randbelow(2**31) if fixed is None else fixed
    print(f"seed {seed}")
    coder = random_transcoder(seed, cross_layer=cross_layer)
    model = clt_model(coder, seed).train()
    windows = _windows(seed, 4, 4, vocabulary=64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = evaluate_transcoder(model, coder, windows, n_boot=20)
    np.testing.assert_allclose(found.explained_variance, 1, atol=1e-9)
    np.testing.assert_allclose(found.kl, 0, atol=1e-12)
    np.testing.assert_allclose(found.top1_agreement, 1)
    for back in (found.recovered_zero, found.recovered_mean):
        known = back[np.isfinite(back)]  # the MLPs of a random model may do harm
        np.testing.assert_allclose(known, 1, atol=1e-5)
        assert len(known) or fixed is None
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


def _silent(model: LlamaForCausalLM) -> CrossLayerTranscoder:
    coder = random_transcoder(0, n_layers=len(model.model.layers))
    with torch.no_grad():
        coder.log_threshold.fill_(50)
        coder.decoder_bias.zero_()
    return coder


def test_a_transcoder_that_says_nothing() -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model, windows = _llama(seed), _windows(seed, 3, 3)
    coder = _silent(model)
    found = evaluate_transcoder(model, coder, windows, n_boot=20)
    assert (found.explained_variance <= 0).all() and (found.dead_share == 1).all()
    assert (found.l0 == 0).all() and found.density_histogram.sum() == 0
    np.testing.assert_allclose(found.ce_replacement, found.ce_zero, rtol=1e-12)
    # With the mean in its bias it is mean ablation, and explains nothing, exactly.
    with torch.no_grad():
        coder.decoder_bias.copy_(means_of(model, windows.ids) * coder.output_scale[:, None])
    found = evaluate_transcoder(model, coder, windows, n_boot=20)
    np.testing.assert_allclose(found.explained_variance[0], 0, atol=1e-12)
    assert (found.explained_variance[1:] < 0).all()  # the mean of all is none of a language's
    np.testing.assert_allclose(found.ce_replacement, found.ce_mean, rtol=1e-12)
    back = found.recovered_mean
    np.testing.assert_allclose(back[np.isfinite(back)], 0, atol=1e-6)


def test_the_direction_of_kl() -> None:
    """KL(model || replacement), where the reverse is another number: the model is the surer."""
    model, windows = _llama(0), _windows(0, 2)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.mul_(30)
        model.lm_head.weight[:] = 0.1 * model.lm_head.weight
        model.lm_head.weight[5] *= 30  # one token's logit moves with the last MLP
        own = model(input_ids=windows.ids).logits[:, 1:-1].log_softmax(-1)
        handle = model.model.layers[1].mlp.register_forward_hook(
            lambda _, args, output: torch.cat([output[:, :1], 0 * output[:, 1:]], 1)
        )
        other = model(input_ids=windows.ids).logits[:, 1:-1].log_softmax(-1)
        handle.remove()
    forward = float((own.exp() * (own - other)).sum(-1).mean())
    reverse = float((other.exp() * (other - own)).sum(-1).mean())
    assert abs(forward - reverse) > 0.2 * forward
    found = evaluate_transcoder(model, _silent(model), windows, n_boot=20)
    assert found.kl[0, 1] == pytest.approx(forward, rel=1e-9)


def test_the_size_of_a_batch_changes_nothing() -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model, windows = _llama(seed), _windows(seed, 3, 4)
    coder = random_transcoder(seed, n_layers=2)
    one, many = (
        evaluate_transcoder(model, coder, windows, batch_tokens=n, n_boot=30).to_dict()["tables"]
        for n in (1, 1000)
    )
    assert one.keys() == many.keys()
    for name, values in one.items():
        a, b = (np.array(v, dtype=np.float64) for v in (values, many[name]))
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=name)


def test_a_far_mean_costs_no_digits() -> None:
    """Vectors whose mean is far from their spread: E[y^2] - E[y]^2 would be noise."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    coder = random_transcoder(seed)
    windows = _windows(seed, 3, 3, vocabulary=64)
    with torch.no_grad():
        coder.decoder_bias.add_(1e5)
    model = clt_model(coder, seed)
    with torch.no_grad():
        coder.decoder_bias.add_(1.0)  # now wrong by 1 everywhere
    found = evaluate_transcoder(model, coder, windows, n_boot=20)
    seen: dict[int, list[torch.Tensor]] = {}
    handles = [
        block.mlp.register_forward_hook(
            lambda _, args, out, at=at: seen.setdefault(at, []).append(out[:, 1:].detach())
        )
        for at, block in enumerate(model.model.layers)
    ]
    with torch.no_grad():
        model(input_ids=windows.ids)
    for handle in handles:
        handle.remove()
    for layer in range(3):
        y = torch.cat(seen[layer]).flatten(0, 1)
        wrong = len(y) * 16 / float(coder.output_scale[layer]) ** 2
        wanted = 1 - wrong / float((y - y.mean(0)).square().sum())
        assert found.explained_variance[0, layer] == pytest.approx(wanted, rel=1e-6)


def test_sums_of_languages_are_those_of_all() -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model, windows = _llama(seed), _windows(seed, 2, 5, 3)
    coder = random_transcoder(seed, n_layers=2)
    found = evaluate_transcoder(model, coder, windows, n_boot=20)
    for name in ("n_windows", "n_documents", "n_tokens", "n_predictions"):
        counts = getattr(found, name)
        assert counts[0] == counts[1:].sum()
    tokens, predictions = (n[1:] / n[0] for n in (found.n_tokens, found.n_predictions))
    np.testing.assert_allclose(tokens @ found.l0[1:], found.l0[0])
    for name in ("ce_model", "ce_replacement", "ce_zero", "ce_mean", "kl", "top1_agreement"):
        values = getattr(found, name)
        np.testing.assert_allclose(np.tensordot(predictions, values[1:], 1), values[0])
    assert (found.dead_share[0] <= found.dead_share[1:].min(0)).all()


def test_intervals_are_a_bootstrap_over_documents() -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model, windows = _llama(seed), _windows(seed, 6, 6)
    coder = random_transcoder(seed, n_layers=2)
    found = evaluate_transcoder(model, coder, windows, n_boot=400)
    again = evaluate_transcoder(model, coder, windows, n_boot=400)
    assert found == again
    other = evaluate_transcoder(model, coder, windows, n_boot=400, seed=1)
    assert not np.array_equal(other.kl_interval, found.kl_interval)
    np.testing.assert_allclose(other.kl_interval, found.kl_interval, rtol=0.3)
    for name in _INTERVALS:
        value, interval = getattr(found, name), getattr(found, f"{name}_interval")
        assert interval.shape == (*value.shape, 2)
        known = np.isfinite(interval).all(-1)
        assert (interval[known][:, 0] < interval[known][:, 1]).all()
    inside = (found.kl_interval[..., 0] < found.kl) & (found.kl < found.kl_interval[..., 1])
    assert inside.all()
    # A language with one document has none.
    one = dataclasses.replace(windows, document=torch.zeros_like(windows.document))
    single = evaluate_transcoder(model, coder, one, n_boot=20)
    assert np.isnan(single.kl_interval).all() and single.n_documents.tolist() == [2, 1, 1]


def test_languages_are_drawn_independently() -> None:
    """The same text as two languages: other draws, and less spread of both together."""
    model, one = _llama(0), _windows(0, 30)
    both = Windows(
        one.ids.repeat(2, 1), torch.arange(2).repeat_interleave(30), one.document.repeat(2, 1),
        ("deu_Latn", "eng_Latn"),
    )  # fmt: skip
    coder = random_transcoder(0, n_layers=2)
    found, alone = (evaluate_transcoder(model, coder, w, n_boot=1000) for w in (both, one))
    np.testing.assert_allclose(found.kl[1], found.kl[2])
    assert not np.allclose(found.kl_interval[1], found.kl_interval[2], rtol=1e-6)
    width = np.diff(found.kl_interval)[..., 0]
    np.testing.assert_allclose(width[0] / width[1:].mean(0), 0.5**0.5, rtol=0.12)
    # And the same whichever other languages there are.
    np.testing.assert_allclose(alone.kl_interval[1], found.kl_interval[1])


def test_sums_that_are_drawn_have_the_spread_of_theory() -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    values = np.random.default_rng(seed).standard_normal((40, 2)) + 3
    drawn = resampled_sums(values, seed=(seed,), n_boot=20_000)
    np.testing.assert_allclose(drawn.mean(0), values.sum(0), rtol=0.01)
    np.testing.assert_allclose(drawn.std(0), 40**0.5 * values.std(0), rtol=0.04)


def test_where_ablation_does_no_harm_there_is_nothing_to_recover() -> None:
    model, windows = _llama(0), _windows(0, 3)
    with torch.no_grad():
        model.lm_head.weight.zero_()  # all tokens are as probable, whatever the MLPs do
    found = evaluate_transcoder(model, _silent(model), windows, n_boot=20)
    assert np.isnan(found.recovered_zero).all() and np.isnan(found.recovered_mean).all()
    assert any("against zero ablation where that does no harm" in note for note in notes(found))
    assert TranscoderScores.from_json(found.to_json()) == found


def test_what_cannot_be_evaluated() -> None:
    model, coder = _llama(0), random_transcoder(0, n_layers=2)
    windows = _windows(0, 2, 2)
    short = dataclasses.replace(windows, ids=windows.ids[:, :2], document=windows.document[:, :2])
    with pytest.raises(ValueError, match="4 of 2 tokens, wanted one or more of at least 3"):
        evaluate_transcoder(model, coder, short)
    other = dataclasses.replace(windows, ids=windows.ids + 1)
    other.ids[0, 0] = 30
    with pytest.raises(ValueError, match="token id 30, model knows 30: they are of another tok"):
        evaluate_transcoder(model, coder, other)
    more = dataclasses.replace(windows, languages=(*windows.languages, "ces_Latn"))
    with pytest.raises(ValueError, match="no text of ces_Latn"):
        evaluate_transcoder(model, coder, more)
    with torch.no_grad():
        model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="not finite on a window of"):
        evaluate_transcoder(model, coder, windows)
