"""The sparse products: equal to the dense formulas, in all gradients, and to the bit everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import pytest
import torch
from oracles import sparse_products as dense

from ilo_fast import _core
from ilo_fast.transcoders import sparse, sparse_cpu
from ilo_fast.transcoders.sparse import ActiveFeatures

TYPES = {torch.float64: 1e-12, torch.float32: 1e-5}
BANDWIDTH = 0.6
# Tokens, layers, features, d, k: around the sizes of tiles, chunks and panels, and far below.
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 3, 5, 2, 9),
    (5, 2, 47, 33, 4),
    (67, 2, 300, 5, 3),
    (9, 1, 513, 7, 40),
    (3, 2, 25, 300, 2),
    (40, 2, 12, 150, 4),
]


@dataclass
class Problem:
    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    threshold: torch.Tensor
    decoder: list[torch.Tensor]
    decoder_bias: torch.Tensor
    k: int

    def parameters(self) -> list[torch.Tensor]:
        return [self.x, self.weight, self.bias, self.decoder_bias, *self.decoder]

    def encode(self, way: str) -> ActiveFeatures:
        encoder = self.x, self.weight, self.bias
        if way == "threshold":
            return sparse.encode_threshold(*encoder, self.threshold)
        if way == "near threshold":
            return sparse.encode_threshold(*encoder, self.threshold, BANDWIDTH)
        choose = sparse.encode_top_k if way == "top k" else sparse.encode_batch_top_k
        return choose(*encoder, self.k)

    def decode(self, active: ActiveFeatures) -> torch.Tensor:
        return sparse.decode(active, self.decoder, self.decoder_bias)

    def kept(self, way: str) -> torch.Tensor:
        """Which entries there are, by the formulas."""
        pre = dense.pre_activations(self.x, self.weight, self.bias).detach()
        if way == "threshold":
            return pre > self.threshold
        if way == "near threshold":
            return pre > self.threshold - BANDWIDTH / 2
        return (dense.top_k if way == "top k" else dense.batch_top_k)(pre, self.k)


WAYS = ("threshold", "near threshold", "top k", "batch top k")


def problem(
    shape: tuple[int, int, int, int, int],
    dtype: torch.dtype = torch.float64,
    seed: int | None = None,
    whole: bool = False,
) -> Problem:
    """Random numbers; with `whole` small whole ones, whose sums are exact and often equal."""
    n, n_layers, n_features, d, k = shape
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    print("seed", seed)
    random = torch.Generator().manual_seed(seed)

    def numbers(*sizes: int) -> torch.Tensor:
        values = torch.randn(sizes, generator=random, dtype=torch.float64)
        return (values.round() if whole else values).to(dtype).requires_grad_()

    return Problem(
        x=numbers(n, n_layers, d),
        weight=numbers(n_layers, n_features, d),
        bias=numbers(n_layers, n_features),
        threshold=numbers(n_layers, n_features).detach().abs().requires_grad_(),
        decoder=[numbers(n_features, n_layers - s, d) for s in range(n_layers)],
        decoder_bias=numbers(n_layers, d),
        k=k,
    )


def doubles(given: Problem) -> Problem:
    def double(value):
        if isinstance(value, list):
            return [double(one) for one in value]
        return value if isinstance(value, int) else value.detach().double().requires_grad_()

    return Problem(**{f.name: double(getattr(given, f.name)) for f in fields(given)})


def assert_near(found: torch.Tensor, wanted: torch.Tensor, relative: float) -> None:
    found, wanted = found.detach(), wanted.detach()
    assert found.shape == wanted.shape
    if found.numel():
        largest = float(wanted.abs().max().clamp_min(1))
        assert float((found - wanted).abs().max()) <= relative * largest


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", WAYS)
def test_values_outputs_and_all_gradients_are_those_of_the_dense_formulas(way, shape, dtype):
    given = problem(shape, dtype)
    oracle, tolerance = doubles(given), TYPES[dtype]
    active = given.encode(way)
    out = given.decode(active)
    towards = torch.randn(out.shape, dtype=torch.float64)
    found = torch.autograd.grad((out * towards.to(dtype)).sum(), given.parameters())

    kept = torch.zeros(len(given.x), *given.bias.shape, dtype=torch.bool)
    kept[active.tokens, active.layers, active.features] = True
    if dtype == torch.float64:
        assert torch.equal(kept, oracle.kept(way))
    pre = dense.pre_activations(oracle.x, oracle.weight, oracle.bias)
    counted = kept & (pre > oracle.threshold) if way == "near threshold" else kept
    wanted_out = dense.decode(torch.where(counted, pre, 0.0), oracle.decoder, oracle.decoder_bias)
    wanted = torch.autograd.grad(
        (wanted_out * towards.to(dtype).double()).sum(), oracle.parameters()
    )

    assert (active.indptr.dtype, active.indices.dtype) == (torch.int64, torch.int32)
    assert torch.equal(active.indptr.diff(), kept.flatten(1).sum(1))
    assert torch.equal(active.indices.long(), kept.flatten(1).nonzero()[:, 1])
    assert_near(active.to_dense(), torch.where(counted, pre, 0.0), tolerance)
    assert_near(out, wanted_out, tolerance)
    for gradient, right in zip(found, wanted, strict=True):
        assert gradient.dtype == dtype
        assert_near(gradient, right, tolerance)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", WAYS)
def test_of_equal_values_the_first_are_chosen(way, shape, dtype):
    given = problem(shape, dtype, whole=True)  # exact in both types
    kept = doubles(given).kept(way)
    active = given.encode(way)
    assert torch.equal(active.indptr.diff(), kept.flatten(1).sum(1))
    assert torch.equal(active.indices.long(), kept.flatten(1).nonzero()[:, 1])


@pytest.mark.parametrize("way", ["top k", "batch top k"])
def test_where_all_values_are_equal_the_first_features_are_active(way):
    given = problem((65, 2, 500, 3, 4))
    for tensor in (given.x, given.weight, given.bias):
        tensor.data.fill_(1.0)
    active = given.encode(way)
    first = torch.cat([torch.arange(4), 500 + torch.arange(4)])
    if way == "top k":
        assert torch.equal(active.indices.long(), first.repeat(65))
    else:  # the first token takes what there is for all
        assert torch.equal(
            active.indices.long(),
            torch.cat([torch.arange(260), 500 + first.new_tensor(range(260))]),
        )
    assert torch.equal(active.values, torch.full_like(active.values, 4.0))


@pytest.mark.parametrize("way", ["top k", "batch top k"])
def test_a_sample_that_misleads_changes_nothing(way):
    """Batch top k guesses a threshold from some of the tokens; here these are the large ones."""
    given = problem((512, 1, 40, 3, 2), whole=True)
    with torch.no_grad():
        given.x[::8] *= 1000
    kept = given.kept(way)
    assert torch.equal(given.encode(way).indices.long(), kept.flatten(1).nonzero()[:, 1])


@pytest.mark.parametrize("by_kernels", [True, False])
def test_thresholds_get_the_straight_through_gradient(by_kernels, monkeypatch):
    if not by_kernels:
        monkeypatch.setattr(sparse_cpu, "takes", lambda *_: False)
    given = problem((30, 2, 40, 3, 1))
    active = given.encode("near threshold")
    towards = torch.randn(30, 2, 40, dtype=torch.float64)
    (found,) = torch.autograd.grad((active.to_dense() * towards).sum(), [given.threshold])
    pre = dense.pre_activations(given.x, given.weight, given.bias)
    wanted = dense.jump_relu_threshold_gradient(
        pre.detach(), given.threshold.detach(), BANDWIDTH, towards
    )
    assert int((wanted != 0).sum()) > 10
    assert_near(found, wanted, 1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_those_of_finite_differences(way):
    given = problem((4, 2, 7, 3, 2), seed=1)

    def through(*parameters):
        x, weight, bias, decoder_bias, *decoder = parameters
        one = Problem(x, weight, bias, given.threshold.detach(), decoder, decoder_bias, given.k)
        return one.decode(one.encode(way))

    assert torch.autograd.gradcheck(through, given.parameters())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [0, 1])
def test_no_tokens_and_one(way, n):
    given = problem((n, 2, 9, 4, 3))
    active = given.encode(way)
    out = given.decode(active)
    assert len(active.indptr) == n + 1
    assert out.shape == (n, 2, 4)
    found = torch.autograd.grad(out.sum(), given.parameters())
    if n == 0:
        assert not any(bool(g.any()) for g in found)


@pytest.mark.parametrize("way", WAYS)
def test_tokens_without_active_features_get_the_bias(way):
    given = problem((66, 2, 30, 4, 3))
    with torch.no_grad():
        given.bias[:] = -1000.0
        given.x[::2] = 0.0
        given.bias[1, 7] = 1000.0
    active = given.encode(way)
    assert torch.equal(active.indices.unique(), torch.tensor([37], dtype=torch.int32))
    active = ActiveFeatures(active.indptr * 0, active.indices[:0], active.values[:0], 2, 30)
    out = given.decode(active)
    assert torch.equal(out, given.decoder_bias.expand_as(out))
    weight, bias = torch.autograd.grad(out.sum(), [given.decoder[0], given.decoder_bias])
    assert not bool(weight.any())
    assert torch.equal(bias, torch.full_like(bias, 66.0))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_tokens_outputs_do_not_depend_on_the_tokens_beside_it(dtype):
    """Few tokens gather rows, many are decoded feature by feature: the same bits."""
    given = problem((90, 2, 40, 150, 9), dtype)
    active = given.encode("top k")
    assert len(active.indices) > 2 * 40 > 2 * 9
    out = given.decode(active)
    for token in (0, 63, 89):
        own = slice(int(active.indptr[token]), int(active.indptr[token + 1]))
        alone = ActiveFeatures(
            torch.tensor([0, own.stop - own.start]),
            active.indices[own],
            active.values[own],
            active.n_layers,
            active.n_features,
        )
        assert torch.equal(given.decode(alone)[0], out[token])


def test_one_layer_is_decoded_by_itself():
    given = problem((6, 3, 20, 4, 3))
    active = sparse.encode_top_k(given.x[:, 1:2], given.weight[1:2], given.bias[1:2], 3)
    zero = torch.zeros(2, 4, dtype=torch.float64)
    out = sparse.decode(active, given.decoder[1:2], zero)
    assert_near(out, dense.decode(active.to_dense(), given.decoder[1:2], zero), 1e-12)


def test_what_is_not_wanted_has_no_gradient_and_the_rest_is_the_same():
    given = problem((9, 2, 30, 4, 3))
    out = given.decode(given.encode("top k"))
    wanted = torch.autograd.grad(out.sum(), given.parameters())
    for at, parameter in enumerate(given.parameters()):
        for other in given.parameters():
            other.requires_grad_(other is parameter)
        (found,) = torch.autograd.grad(given.decode(given.encode("top k")).sum(), [parameter])
        assert torch.equal(found, wanted[at])


@dataclass
class Ran:
    levels: set[str]
    calls: int = 0


@pytest.fixture
def ran(monkeypatch) -> Ran:
    """On which instruction sets the kernels ran."""
    seen = Ran(set())

    def watched(core: Callable) -> Callable:
        def call(*args, **options):
            found = core(*args, **options)
            seen.levels.add(found[-1])
            seen.calls += 1
            return found

        return call

    for name in (
        "encode_threshold",
        "encode_top_k",
        "encode_backward",
        "decode",
        "decode_backward",
    ):
        monkeypatch.setattr(_core, name, watched(getattr(_core, name)))
    return seen


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("way", WAYS)
def test_bits_are_the_same_on_every_instruction_set_and_number_of_threads(
    way, dtype, ran, monkeypatch
):
    given = problem((131, 2, 270, 70, 5), dtype)
    before, first = torch.get_num_threads(), None
    try:
        for level in _core.simd_available():
            monkeypatch.setenv("ILO_FAST_SIMD", level)
            for threads in (1, 2, 4):
                torch.set_num_threads(threads)
                ran.levels.clear()
                active = given.encode(way)
                out = given.decode(active)
                gradients = torch.autograd.grad((out * out).sum(), given.parameters())
                found = [active.indptr, active.indices, active.values, out, *gradients]
                first = first or found
                assert all(map(torch.equal, found, first))
                # The levels beyond avx512 have bfloat16 only, which these products do not use.
                assert ran.levels == {level if level in ("scalar", "avx2") else "avx512"}
    finally:
        torch.set_num_threads(before)
    assert ran.calls == 4 * 3 * len(_core.simd_available())


def test_elsewhere_torch_does_the_work(ran, monkeypatch):
    given = problem((9, 2, 30, 4, 3))
    for way in WAYS:
        active = given.encode(way)
        towards = torch.randn(9, 2, 4, dtype=torch.float64)
        own = torch.autograd.grad((given.decode(active) * towards).sum(), given.parameters())
        calls = ran.calls
        with monkeypatch.context() as m:
            m.setattr(sparse_cpu, "takes", lambda *_: False)
            other = given.encode(way)
            out = given.decode(other)
            theirs = torch.autograd.grad((out * towards).sum(), given.parameters())
        assert ran.calls == calls > 0
        assert torch.equal(active.indices, other.indices)
        assert_near(active.values, other.values, 1e-12)
        for a, b in zip(own, theirs, strict=True):
            assert_near(a, b, 1e-12)


def test_the_kernels_are_for_one_type_of_float_in_the_processors_memory():
    one, other = torch.zeros(2), torch.zeros(2, dtype=torch.float64)
    assert sparse_cpu.takes(one, one)
    assert sparse_cpu.takes(other)
    assert not sparse_cpu.takes(one, other)
    assert not sparse_cpu.takes(one.half())
    assert not sparse_cpu.takes(one.to("meta"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_named(way, value):
    given = problem((70, 2, 30, 4, 3))
    given.x.data[66, 1, 2] = value
    given.x.data[68, 0, 0] = value
    with pytest.raises(ValueError, match="row 66 of layer 1 of x holds NaN or infinity"):
        given.encode(way)
    given = problem((5, 2, 30, 4, 3))
    given.weight.data[1, 17, 0] = value
    with pytest.raises(ValueError, match="weight or bias of layer 1 holds NaN or infinity"):
        given.encode(way)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("way", WAYS)
def test_sums_that_overflow_are_named_and_large_ones_are_not(way, dtype):
    given = problem((70, 1, 30, 4, 3), dtype)
    most = torch.finfo(dtype).max
    with torch.no_grad():
        given.weight.fill_(1.0)
        given.bias.zero_()
        given.threshold.zero_()
        given.x[:] = 1.0
        given.x[69] = most / 5
    assert bool(given.encode(way).values.isfinite().all())
    given.x.data[69] = most / 3
    with pytest.raises(ValueError, match="row 69 of layer 0 of x is too large"):
        given.encode(way)


X, WEIGHT, BIAS = np.ones((3, 2, 4)), np.ones((2, 5, 4)), np.ones((2, 5))
ENCODERS = {
    "x has shape (3, 8), wanted (any, any, any)": (X.reshape(3, 8), WEIGHT, BIAS),
    "x is int64, wanted float32 or float64": (X.astype(int), WEIGHT, BIAS),
    "weight has shape (1, 5, 4), wanted (2, any, 4)": (X, WEIGHT[:1], BIAS),
    "weight is float32, wanted float64": (X, WEIGHT.astype(np.float32), BIAS),
    "weight has 2 layers of 0 features": (X, WEIGHT[:, :0], BIAS[:, :0]),
    "bias has shape (2, 4), wanted (2, 5)": (X, WEIGHT, BIAS[:, :4]),
    "x is not contiguous": (X[:, :, ::2], WEIGHT[:, :, ::2].copy(), BIAS),
}


@pytest.mark.parametrize("message", ENCODERS)
def test_an_encoder_that_does_not_fit_is_refused(message):
    for call in (
        lambda *a: _core.encode_top_k(*a, k=2, of_batch=False, n_threads=1),
        lambda *a: _core.encode_threshold(*a, a[2], n_threads=1),
    ):
        with pytest.raises(ValueError) as caught:
            call(*ENCODERS[message])
        assert message in str(caught.value)


def test_other_arguments_of_an_encoder_are_refused_by_name():
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        _core.encode_top_k(X, WEIGHT, BIAS, k=0, of_batch=True, n_threads=1)
    with pytest.raises(ValueError, match="n_threads=0"):
        _core.encode_top_k(X, WEIGHT, BIAS, k=1, of_batch=True, n_threads=0)
    with pytest.raises(ValueError, match=r"threshold has shape \(2,\), wanted \(2, 5\)"):
        _core.encode_threshold(X, WEIGHT, BIAS, BIAS[:, 0], n_threads=1)
    with pytest.raises(ValueError, match="avx1024"):
        _core.encode_top_k(X, WEIGHT, BIAS, k=1, of_batch=True, n_threads=1, simd="avx1024")


INDPTR, INDICES, VALUES = np.array([0, 2, 2, 3]), np.array([0, 9, 4], np.int32), np.ones(3)
DECODER = [np.ones((5, 2, 4)), np.ones((5, 1, 4))]
OUT_BIAS = np.ones((2, 4))
DECODERS = {
    "indptr go from 1 to 3": (np.array([1, 2, 2, 3]), INDICES, VALUES, DECODER, OUT_BIAS),
    "indptr go from 0 to 3, wanted from 0 to the 2": (
        INDPTR, INDICES[:2], VALUES[:2], DECODER, OUT_BIAS),
    "indptr fall from 3 to 2": (np.array([0, 3, 2, 3]), INDICES, VALUES, DECODER, OUT_BIAS),
    "indptr has shape (0,)": (INDPTR[:0], INDICES, VALUES, DECODER, OUT_BIAS),
    "indices[1]=10 is not in [0, 10)": (
        INDPTR, np.array([0, 10, 4], np.int32), VALUES, DECODER, OUT_BIAS),
    "indices[0]=-1 is not in [0, 10)": (
        INDPTR, np.array([-1, 1, 4], np.int32), VALUES, DECODER, OUT_BIAS),
    "indices[1]=4 comes after 4 in token 0, wanted ascending": (
        INDPTR, np.array([4, 4, 4], np.int32), VALUES, DECODER, OUT_BIAS),
    "values has shape (2,), wanted (3)": (INDPTR, INDICES, VALUES[:2], DECODER, OUT_BIAS),
    "weights is empty": (INDPTR, INDICES, VALUES, [], OUT_BIAS),
    "weights[1] has shape (4, 1, 4), wanted (5, any, 4)": (
        INDPTR, INDICES, VALUES, [DECODER[0], DECODER[1][:4]], OUT_BIAS),
    "weights[1] has span 2": (INDPTR, INDICES, VALUES, [DECODER[0]] * 2, OUT_BIAS),
    "weights[0] is float32, wanted float64": (
        INDPTR, INDICES, VALUES, [w.astype(np.float32) for w in DECODER], OUT_BIAS),
    "weights[0] is not contiguous": (
        INDPTR, INDICES, VALUES, [np.ones((4, 2, 5)).T, DECODER[1]], OUT_BIAS),
}  # fmt: skip


@pytest.mark.parametrize("message", DECODERS)
def test_a_decoder_that_does_not_fit_is_refused(message):
    indptr, indices, values, weights, bias = DECODERS[message]
    with pytest.raises(ValueError) as caught:
        _core.decode(indptr, indices, values, weights, bias, n_threads=1)
    assert message in str(caught.value)
    grad = np.ones((max(0, len(indptr) - 1), 2, 4))
    wants = {"want_values": True, "want_weights": True, "want_bias": True}
    with pytest.raises(ValueError) as caught:
        _core.decode_backward(grad, indptr, indices, values, weights, **wants, n_threads=1)
    assert message in str(caught.value) or "grad has shape" in str(caught.value)
