"""The bound of csrc/knn/certificate.h, held against exact arithmetic pair by pair.

A graph can come out right although the bound is wrong; here every pair counts. Distances of the
definition are taken in extended precision, to which the bound may not come closer than rounding.
"""

from __future__ import annotations

import numpy as np
import pytest
from graph.test_knn import METRICS, make
from helpers.engine import LEVELS, independent_of_forcing
from oracles import knn as reference

from ilo_fast import _core, _core_testing

if np.finfo(np.longdouble).eps > 1e-18:
    pytest.skip("no extended precision here to compare with", allow_module_level=True)

pytestmark = independent_of_forcing

# The filters of the engine for GPUs, and the machines they run on. The emulator's tensor core cuts
# off whatever a real one may cut off.
MACHINES = {"cuda emulator": "emulated"}
if _core.cuda_status()["devices"]:
    MACHINES["gpu"] = "gpu"
FILTERS = [*LEVELS, *MACHINES]


def bounds_and_truth(X, metric, simd):
    how = {"cosine": metric == "cosine"}
    if simd in MACHINES:
        bounds, scale = _core_testing.cuda_certified_bounds(
            X[np.newaxis], X.dtype.name, machine=MACHINES[simd], **how
        )
    else:
        bounds, scale = _core_testing.certified_bounds(
            X[np.newaxis], X.dtype.name, simd=simd, **how
        )
    U = reference.as_definition(X, metric)[0].astype(np.longdouble)
    truth = np.stack([np.sqrt(((U - u) ** 2).sum(axis=1)) for u in U]) * scale
    return bounds, truth


def adversarial(name, rng, n, d):
    """Data that drives one term of the bound towards its limit."""
    if name == "one sign":  # every rounding of the chain may go the same way
        return 1 + rng.random((n, d)) * 2.0**-10
    if name == "just above a float32":  # the residual is half a unit of every value
        values = (1 + rng.integers(0, 2**20, (n, d)) / 2**20).astype(np.float32)
        return values.astype(np.float64) + 2.0**-24
    if name == "scales within a row":
        return rng.standard_normal((n, d)) * 10.0 ** rng.integers(-12, 3, (1, d))
    if name == "underflow":
        return rng.standard_normal((n, d)) * 10.0 ** rng.integers(-200, 0, (n, 1))
    return make(name, rng, n, d)


@pytest.mark.parametrize("simd", FILTERS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "name",
    [
        "isotropic",
        "common direction",
        "common direction 1e6",
        "massive dimensions",
        "clusters far apart",
        "near-ties",
        "one outlier",
        "one sign",
        "just above a float32",
        "scales within a row",
        "underflow",
    ],
)
def test_the_bound_holds_for_every_pair(name, metric, simd):
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    for d in (1, 7, 96, 300, 1500)[: 4 if simd in MACHINES else 5]:  # that one is slow
        X = adversarial(name, rng, 60, d)
        X = np.unique(X, axis=0)
        if metric == "cosine":  # rows may differ and yet have one direction
            X = X[np.unique(reference.unit_rows(X), axis=0, return_index=True)[1]]
        if len(X) < 2:
            continue
        bounds, truth = bounds_and_truth(X, metric, simd)
        assert (bounds <= truth).all(), f"seed {seed}, d={d}"


@pytest.mark.parametrize("simd", FILTERS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["isotropic", "common direction", "massive dimensions"])
def test_the_bound_is_no_looser_than_it_need_be(name, metric, simd):
    """A bound of zero would hold too; this one must give away little."""
    X = make(name, np.random.default_rng(1), 80, 512).astype(np.float32)
    bounds, truth = bounds_and_truth(X, metric, simd)
    pairs = ~np.eye(len(X), dtype=bool)
    loss = ((truth - bounds)[pairs] / truth[pairs]).astype(float)
    # Two residuals of a relative 2^-9 at most, typically a third of that, for bfloat16; of 2^-12
    # for float16, and as much again for tensor cores.
    limit = 5e-3 if "bf16" in simd else 1e-3 if simd in MACHINES else 1e-4
    # Rows that agree in a massive dimension lie close, and close pairs lose most.
    assert (np.median(loss) if name == "massive dimensions" else loss.max()) < limit
