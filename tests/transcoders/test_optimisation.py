"""A training step: a planted dictionary is found, means do not depend on batches, dead features."""

from __future__ import annotations

import random

import pytest
import torch
from torch.nn import functional

from ilo_fast.transcoders.activations import Activation, BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.training.calibration import start_from_data
from ilo_fast.transcoders.training.optimisation import (
    SATURATION,
    Optimisation,
    Schedule,
    auxiliary_loss,
    lift,
    sparsity_penalty,
)
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

ACTIVATIONS = (TopK(3), BatchTopK(3), JumpReLU())


@pytest.fixture
def generator() -> torch.Generator:
    seed = random.randrange(2**32)
    print("seed", seed)
    return torch.Generator().manual_seed(seed)


def made(
    x: torch.Tensor, y: torch.Tensor, activation: Activation, n_features: int = 24, l0: float = 3
) -> tuple[CrossLayerTranscoder, torch.Tensor]:
    _, n_layers, d = x.shape
    transcoder = CrossLayerTranscoder(n_layers, d, n_features, activation=activation)
    return transcoder, start_from_data(transcoder, x, y, target_l0=l0)


class Planted:
    """Sparse features, each of which writes from its own layer up to a layer of its own."""

    def __init__(self, generator: torch.Generator, n_layers: int = 3, d: int = 16) -> None:
        self.random = generator
        directions = torch.randn(n_layers, d, d, generator=generator)
        self.encoder = torch.linalg.qr(directions)[0]  # rows
        self.decoder = torch.zeros(n_layers, d, n_layers, d)  # layer, feature, into
        for layer in range(n_layers):
            for feature in range(d):
                last = int(torch.randint(layer, n_layers, (), generator=generator))
                size = (last + 1 - layer, d)
                self.decoder[layer, feature, layer : last + 1] = torch.randn(
                    size, generator=generator
                )
        self.shape = n_layers, d

    def draw(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        size = (n, *self.shape)
        on = torch.rand(size, generator=self.random) < 0.08
        a = on * (0.5 + torch.rand(size, generator=self.random))
        x = torch.einsum("nlf,lfd->nld", a, self.encoder)
        return x, torch.einsum("nlf,lfkd->nkd", a, self.decoder)


def test_planted_dictionary_across_layers_is_recovered(generator: torch.Generator) -> None:
    planted = Planted(generator)
    transcoder, variance = made(*planted.draw(4096), TopK(3), n_features=32)
    schedule = Schedule(steps=250, learning_rate=1e-2)
    optimisation = Optimisation(transcoder, variance, schedule, dead_after=5000)
    for _ in range(250):
        optimisation.step(*planted.draw(256))
    found = spans = 0
    n_layers, d = planted.shape
    with torch.no_grad():
        for layer in range(n_layers):
            rows = functional.normalize(transcoder.encoder_weight[layer], dim=1)
            cosines, which = (planted.encoder[layer] @ rows.T).max(dim=1)
            found += int((cosines > 0.9).sum())
            written = transcoder.decoder_weights[layer] / transcoder.output_scale[layer:, None]
            lengths = written[which].norm(dim=2)
            ours = lengths > 0.2 * lengths.max(dim=1, keepdim=True).values
            theirs = planted.decoder[layer, :, layer:].norm(dim=2) > 0
            spans += int((ours == theirs).all(dim=1).sum())
    print("found", found, "spans", spans, "of", n_layers * d)
    assert found >= 0.9 * n_layers * d
    assert spans >= 0.9 * n_layers * d


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.kind)
def test_loss_and_penalty_do_not_depend_on_the_batch_size(
    activation: Activation, generator: torch.Generator
) -> None:
    x, y = Planted(generator).draw(512)
    records = []
    for times in (1, 3):
        transcoder, variance = made(x, y, activation)
        schedule = Schedule(steps=10, sparsity_coefficient=0.1)
        step = Optimisation(transcoder, variance, schedule, max_grad_norm=1e9)
        some = slice(64)
        records.append(step.step(x[some].repeat(times, 1, 1), y[some].repeat(times, 1, 1)))
    first, second = records
    for name in ("loss", "penalty", "gradient_norm"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=1e-4), name
    torch.testing.assert_close(first.l0, second.l0)
    assert (first.penalty > 0) == isinstance(activation, JumpReLU)


def test_loss_and_penalty_are_their_dense_formulas(generator: torch.Generator) -> None:
    x, y = Planted(generator).draw(512)
    transcoder, variance = made(x, y, JumpReLU())
    transcoder.train()
    scaled = y * transcoder.output_scale[:, None]
    torch.testing.assert_close(
        variance, (scaled - scaled.mean(0)).square().sum(2).mean(0), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        (x * transcoder.input_scale[:, None]).norm(dim=2).mean(0), torch.full((3,), 4.0)
    )
    features = transcoder.encode(x[:32])
    dense = features.to_dense().detach()
    wanted = torch.zeros(())
    for layer in range(3):
        norms = transcoder.decoder_weights[layer].flatten(1).norm(dim=1)
        wanted = wanted + torch.tanh(SATURATION * dense[:, layer] * norms).sum() / (32 * 3)
    torch.testing.assert_close(sparsity_penalty(transcoder, features), wanted)
    out = torch.zeros(32, 3, 16) + transcoder.decoder_bias.detach()
    for layer in range(3):
        weight = transcoder.decoder_weights[layer].detach()
        out[:, layer:] += torch.einsum("nf,fsd->nsd", dense[:, layer], weight)
    loss = ((out - scaled[:32]).square().sum(2) / variance).mean()
    step = Optimisation(transcoder, variance, Schedule(steps=10)).step(x[:32], y[:32])
    assert step.loss == pytest.approx(float(loss), rel=1e-4)


def test_penalty_raises_thresholds_until_fewer_features_fire(generator: torch.Generator) -> None:
    planted = Planted(generator)
    x, y = planted.draw(2048)

    def trained(coefficient: float) -> tuple[float, float]:
        """Active features of a token, and how far thresholds rose on average."""
        transcoder, variance = made(x, y, JumpReLU(), l0=8)
        before = transcoder.log_threshold.detach().clone()
        schedule = Schedule(
            steps=40, learning_rate=1e-2, sparsity_coefficient=coefficient, sparsity_warmup_share=0
        )
        step = Optimisation(transcoder, variance, schedule)
        record = [step.step(x[i % 8 * 256 :][:256], y[i % 8 * 256 :][:256]) for i in range(40)][-1]
        rise = transcoder.log_threshold.detach() - before
        return float(record.l0.mean()), float(rise.mean())

    (many, _), (few, rise) = trained(0.0), trained(0.3)
    assert few < many / 4
    assert rise > 0.1


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.kind)
@pytest.mark.parametrize("n_features", [1, 3, 8])
def test_few_features_are_calibrated_and_trained(
    activation: Activation, n_features: int, generator: torch.Generator
) -> None:
    if getattr(activation, "k", 0) > n_features:
        activation = type(activation)(n_features)  # type: ignore[call-arg]
    x, y = Planted(generator).draw(300)
    transcoder, variance = made(x, y, activation, n_features, l0=16)
    step = Optimisation(transcoder, variance, Schedule(steps=3))
    record = [step.step(x, y) for _ in range(3)][-1]
    assert (record.l0 > 0).all()
    assert torch.isfinite(record.unexplained).all()


def test_calibrated_features_fire_at_the_rate_that_was_asked_for(
    generator: torch.Generator,
) -> None:
    x = torch.randn(1000, 3, 16, generator=generator) + 1
    transcoder, _ = made(x, x, JumpReLU(), n_features=40, l0=4)
    rates = (transcoder.encode(x).to_dense() > 0).float().mean(dim=0)
    assert (rates - 0.1).abs().max() < 0.011
    torch.testing.assert_close(
        transcoder.decoder_bias / transcoder.output_scale[:, None], x.mean(0)
    )


def test_calibrated_thresholds_keep_k_features_of_a_token_on_average(
    generator: torch.Generator,
) -> None:
    x = torch.randn(4000, 3, 16, generator=generator) * torch.rand(4000, 1, 1, generator=generator)
    transcoder, _ = made(x, x, BatchTopK(3), n_features=40, l0=6)
    transcoder.calibrate(x[:2000])
    assert transcoder.training
    transcoder.eval()
    counts = (transcoder.encode(x).to_dense() > 0).sum(2)
    assert (counts[:2000].sum(0) - 3 * 2000).abs().max() <= 3
    assert (counts[2000:].float().mean(0) - 3).abs().max() < 0.5
    assert counts.float().std() > 0.5  # of a token it may be more, or fewer
    assert torch.equal(transcoder(x[:5]), transcoder(x)[:5])  # whatever stands beside it


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.kind)
def test_dead_features_live_again(activation: Activation, generator: torch.Generator) -> None:
    planted = Planted(generator)
    x, y = planted.draw(2048)

    def dead_after_training(coefficient: float) -> tuple[int, int]:
        """After three steps, and at the end."""
        transcoder, variance = made(x, y, activation)
        with torch.no_grad():
            transcoder.encoder_bias[:, ::2] = -3.0  # far below what any token gives
        step = Optimisation(
            transcoder, variance, Schedule(steps=60, learning_rate=1e-2, warmup_share=0),
            dead_after=512, auxiliary_coefficient=coefficient,
        )  # fmt: skip
        for i in range(60):
            step.step(x[i % 8 * 256 :][:256], y[i % 8 * 256 :][:256])
            if i == 2:
                dead = int(step.dead.sum())
        return dead, int(step.dead.sum())

    before, after = dead_after_training(1 / 32)
    assert before >= 20
    assert after < before / 2
    if isinstance(activation, TopK):  # not by themselves
        assert dead_after_training(0.0)[1] > before / 2


@pytest.mark.parametrize(
    "activation", [TopK(2), BatchTopK(2), JumpReLU(0.3, 0.5)], ids=lambda a: a.kind
)
def test_silence_is_counted_in_tokens_exactly(
    activation: Activation, generator: torch.Generator
) -> None:
    x, y = Planted(generator).draw(600)
    transcoder, variance = made(x, y, activation)
    with torch.no_grad():  # JumpReLU: at first below its threshold, but near it
        transcoder.encoder_bias[:, 0] = 0.29
        transcoder.encoder_weight[:, 0] = 0
    step = Optimisation(transcoder, variance, Schedule(steps=9), dead_after=250)
    silent = torch.zeros(3, 24, dtype=torch.int64)
    for first in range(0, 600, 100):
        some = slice(first, first + 100)
        active = (transcoder.encode(x[some]).to_dense() > 0).any(dim=0)
        step.step(x[some], y[some])
        silent = torch.where(active, 0, silent + 100)
        assert torch.equal(step.silent.view(3, 24), silent)
        assert torch.equal(step.dead, silent >= 250)


def test_auxiliary_loss_is_the_share_that_dead_features_leave(generator: torch.Generator) -> None:
    x = torch.randn(64, 3, 16, generator=generator)
    transcoder, _ = made(x, x, TopK(2), n_features=6)
    dead = torch.zeros(3, 6, dtype=torch.bool)
    dead[0, 1:5] = True
    dead[2, 0] = True
    residual = torch.randn(64, 3, 16, generator=generator)
    explained = torch.zeros(64, 3, 16)
    with torch.no_grad():
        for layer, which in ((0, [1, 2, 3, 4]), (2, [0])):
            scaled = x[:, layer] * transcoder.input_scale[layer]
            pre = scaled @ transcoder.encoder_weight[layer].T + transcoder.encoder_bias[layer]
            level = pre.sort(dim=0, descending=True).values[4]  # of 64 tokens, 4 are above it
            for token in range(64):
                above = {f: float(pre[token, f] - level[f]) for f in which}
                for f in sorted(which, key=lambda f: -above[f])[:2]:
                    written = max(0.0, above[f]) * transcoder.decoder_weights[layer][f]
                    explained[token, layer:] += written
    wanted = (residual - explained).square().sum((0, 2)) / residual.square().sum((0, 2))
    found = auxiliary_loss(transcoder, x, residual, dead, 2)
    torch.testing.assert_close(found.detach(), wanted.mean())
    with torch.no_grad():  # however far below zero
        transcoder.encoder_bias[dead] -= 100
    torch.testing.assert_close(
        auxiliary_loss(transcoder, x, residual, dead, 2).detach(), wanted.mean(), rtol=1e-3, atol=0
    )


def test_bias_of_a_dead_feature_rises_by_a_tenth_of_what_it_lacks(
    generator: torch.Generator,
) -> None:
    x = torch.randn(20, 3, 16, generator=generator)
    transcoder, _ = made(x, x, TopK(2), n_features=6)
    dead = torch.zeros(3, 6, dtype=torch.bool)
    dead[1, 4:] = True
    with torch.no_grad():
        transcoder.encoder_bias[1, 4] -= 50
        features = transcoder.encode(x)
        dense = features.to_dense()
        before = transcoder.encoder_bias.clone()
        lift(transcoder, x[:12], features, dead, 0.01)
        for feature in (4, 5):
            lacks = []
            for token in range(12):
                active = dense[token, 1][dense[token, 1] > 0]
                scaled = x[token, 1] * transcoder.input_scale[1]
                pre = transcoder.encoder_weight[1, feature] @ scaled + before[1, feature]
                weakest = active.min() if len(active) else torch.zeros(())
                lacks.append(float(weakest - pre))
            wanted = max(0.01, min(lacks) / 10)
            rise = transcoder.encoder_bias[1, feature] - before[1, feature]
            assert float(rise) == pytest.approx(wanted, abs=1e-5)
        others = transcoder.encoder_bias[~dead]
    assert torch.equal(others, before[~dead])


def test_dead_features_learn_what_is_not_explained_and_are_lifted(
    generator: torch.Generator,
) -> None:
    x, y = Planted(generator).draw(1000)
    transcoder, variance = made(x, y, TopK(2))
    with torch.no_grad():
        transcoder.encoder_bias[:, ::2] = -9.0
    step = Optimisation(transcoder, variance, Schedule(steps=9), dead_after=300)
    assert step.step(x[:300], y[:300]).auxiliary == 0
    dead = step.dead
    assert dead.any()
    with torch.no_grad():
        residual = ((y[300:] - transcoder(x[300:])) * transcoder.output_scale[:, None])[:512]
    most = transcoder.hidden_size // 2
    wanted = auxiliary_loss(transcoder, x[300:812], residual, dead, most)
    decoder, bias = (
        v.detach().clone() for v in (transcoder.decoder_weights[0][0], transcoder.encoder_bias)
    )
    record = step.step(x[300:], y[300:])
    assert record.auxiliary == pytest.approx(float(wanted.detach()), rel=1e-4)
    assert record.loss == pytest.approx(float(record.unexplained.mean()) + record.auxiliary / 32)
    assert not torch.equal(transcoder.decoder_weights[0][0], decoder)
    assert (transcoder.encoder_bias - bias)[:, ::2].min() > 0.2  # far more than by learning


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.kind)
def test_step_after_a_state_was_loaded_is_the_same_to_the_bit(
    activation: Activation, generator: torch.Generator
) -> None:
    x, y = Planted(generator).draw(500)

    def fresh() -> Optimisation:
        transcoder, variance = made(x, y, activation)
        with torch.no_grad():
            transcoder.encoder_bias[:, ::2] = -9.0  # dead where the state is loaded
        schedule = Schedule(steps=8, sparsity_coefficient=0.1)
        return Optimisation(transcoder, variance, schedule, dead_after=200)

    whole, other = fresh(), fresh()
    parts = x.split(100), y.split(100)
    for a, b in zip(*parts, strict=True):
        if whole.steps_done == 3:
            other.load_state({name: value.clone() for name, value in whole.state().items()})
        whole.step(a, b)
        if whole.steps_done > 3:
            other.step(a, b)
    theirs = other.state()
    for name, value in whole.state().items():
        assert torch.equal(value.nan_to_num(), theirs[name].nan_to_num()), name


def test_step_with_numbers_that_are_not_finite_changes_nothing(generator: torch.Generator) -> None:
    x, y = Planted(generator).draw(100)
    transcoder, variance = made(x, y, TopK(2))
    step = Optimisation(transcoder, variance, Schedule(steps=9))
    step.step(x, y)
    before = {name: value.clone() for name, value in step.state().items()}
    y[3, 1, 2] = float("nan")
    with pytest.raises(FloatingPointError, match="step 2: loss nan"):
        step.step(x, y)
    for name, value in step.state().items():
        assert torch.equal(value, before[name]), name


def test_layer_that_adds_the_same_to_every_token_is_named(generator: torch.Generator) -> None:
    x, y = Planted(generator).draw(50)
    y[:, 1] = 2.0
    with pytest.raises(ValueError, match="layer 1: its MLP adds the same to every token"):
        made(x, y, TopK(2))
    y[0, 2, 0] = float("inf")
    with pytest.raises(ValueError, match="layer 2: what its MLP adds holds numbers that are not"):
        made(x, y, TopK(2))


def test_rates_rise_and_fall() -> None:
    schedule = Schedule(
        steps=100, learning_rate=2.0, warmup_share=0.1, decay_share=0.2,
        sparsity_coefficient=3.0, sparsity_warmup_share=0.5,
    )  # fmt: skip
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[9:81] == [2.0] * 72
    assert rates[-1] == pytest.approx(0.1) and rates == sorted(rates[:80]) + rates[80:]
    assert [schedule.sparsity(s) for s in (0, 24, 49, 99)] == pytest.approx([0.06, 1.5, 3, 3])
