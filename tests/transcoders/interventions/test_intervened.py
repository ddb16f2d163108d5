"""Features changed in forward passes, against a model run by hand."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from helpers.by_hand import exact_clt_model, run_by_hand
from helpers.clt_models import random_transcoder
from transcoders.test_sites import FAMILIES, model_of

from ilo_fast.models.forward import callers_hooks
from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def setup(**options: Any) -> tuple[Any, Any, list[list[int]]]:
    """Model, transcoder, two prompts of seven tokens; all random."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    coder = random_transcoder(seed, **options)
    ids = torch.randint(3, 64, (2, 7), generator=torch.Generator().manual_seed(seed))
    return exact_clt_model(coder, seed), coder, ids.tolist()


@pytest.fixture(scope="module")
def parts() -> tuple[Any, ReplacementModel, Any, list[list[int]]]:
    model, coder, ids = setup()
    return model, ReplacementModel(model, coder), coder, ids


def logits(model: Any, ids: Sequence[Sequence[int]], **options: Any) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(model(input_ids=torch.tensor(ids), **options).logits)


def strongest(active: list[list[torch.Tensor]], layer: int, row: int = 0) -> int:
    """A feature that is active at some token but the first."""
    return int(active[row][layer][1:].amax(0).argmax())


def silent(active: list[list[torch.Tensor]], layer: int) -> int:
    """A feature that is active nowhere."""
    return int(torch.cat([row[layer] for row in active]).amax(0).argmin())


def assert_moved(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> None:
    assert all((x - y)[-1].abs().max() > 1e-4 for x, y in zip(a, b, strict=True))


def test_the_model_by_hand_is_the_model(parts: Any) -> None:
    model, _, coder, ids = parts
    torch.testing.assert_close(run_by_hand(model, coder, ids)[0], logits(model, ids), **CLOSE)


WAYS: list[tuple[dict[str, float], Callable[[torch.Tensor], Any]]] = [
    ({"value": 1.7}, lambda a: 1.7),
    ({"value": 0.0}, lambda a: 0.0),
    ({"scale": 0.0}, lambda a: 0.0),
    ({"scale": -1.5}, lambda a: -1.5 * a),
    ({"add": 0.8}, lambda a: a + 0.8),
]
PLACES: list[tuple[Any, list[int]]] = [
    (None, [1, 2, 3, 4, 5, 6]),
    (3, [3]),
    (-1, [6]),
    ((1, -2), [1, 5]),
    (range(2, 5), [2, 3, 4]),
    (slice(4, None), [4, 5, 6]),
    (slice(None, None), [1, 2, 3, 4, 5, 6]),
    (slice(-3, -1), [4, 5]),
    (slice(1, None, 2), [1, 3, 5]),
]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_every_way_on_every_layer(parts: Any, layer: int) -> None:
    model, it, coder, ids = parts
    own, _, active = run_by_hand(model, coder, ids)
    feature = strongest(active, layer)
    for way, by_hand in WAYS:

        def change(
            row: int, at: int, a: torch.Tensor, by_hand: Callable[[Any], Any] = by_hand
        ) -> torch.Tensor:
            if at == layer:
                a[1:, feature] = by_hand(a[1:, feature])
            return a

        wanted = run_by_hand(model, coder, ids, change)[0]
        with intervened(it, None, Intervention(layer, feature, **way)):
            found = logits(model, ids)
        torch.testing.assert_close(found, wanted, **CLOSE, msg=str(way))
        assert (found[0] - own[0]).abs().max() > 1e-4


def test_every_kind_of_positions(parts: Any) -> None:
    model, it, coder, ids = parts
    for positions, touched in PLACES:

        def change(
            row: int, at: int, a: torch.Tensor, touched: list[int] = touched
        ) -> torch.Tensor:
            if at == 1:
                a[touched, 5] = 2.0
            return a

        wanted = run_by_hand(model, coder, ids, change)[0]
        with intervened(it, None, [Intervention(1, 5, value=2.0, positions=positions)]):
            found = logits(model, ids)
        torch.testing.assert_close(found, wanted, **CLOSE, msg=str(positions))


@pytest.mark.parametrize("activation", [JumpReLU(), TopK(6), BatchTopK(6)], ids=lambda a: a.kind)
@pytest.mark.parametrize("cross_layer", [True, False])
def test_several_layers_and_rows_at_once(activation: Any, cross_layer: bool) -> None:
    """Later features act on what they are in the changed stream; two on one act in turn."""
    model, coder, ids = setup(activation=activation, cross_layer=cross_layer)
    own, _, active = run_by_hand(model, coder, ids)
    first, second, third = (strongest(active, layer) for layer in range(3))
    dead = silent(active, 2)

    def change(row: int, at: int, a: torch.Tensor) -> torch.Tensor:
        if at == 0:
            a[1:, first] = 3.0
        if at == 1:
            a[4, second] = 2 * a[4, second]
        if at == 1 and row == 1:
            a[1:, second] += 0.5
        if at == 2:
            a[2:4, third] += 1.0
            a[6, dead] = 2.5
        return a

    given = [
        Intervention(2, third, add=1.0, positions=(2, 3)),
        Intervention(0, first, value=3.0),
        Intervention(1, second, scale=2.0, positions=4),
        Intervention(1, second, add=0.5, rows=1),
        Intervention(2, dead, value=2.5, positions=-1, rows=[0, 1]),
    ]
    wanted = run_by_hand(model, coder, ids, change)[0]
    with intervened(ReplacementModel(model, coder.train()), None, given):
        torch.testing.assert_close(logits(model, ids), wanted, **CLOSE)
        # Rows of another shape in the same block.
        few = [row[:7] for row in ids]
        torch.testing.assert_close(logits(model, few), wanted, **CLOSE)
    assert coder.training  # its mode is what it was
    assert_moved(wanted, own)


def test_setting_what_is_and_adding_what_scaling_adds(parts: Any) -> None:
    model, it, coder, ids = parts
    own, _, active = run_by_hand(model, coder, ids)
    feature = strongest(active, 1)
    same = [
        Intervention(1, feature, value=float(active[row][1][at, feature]), positions=at, rows=row)
        for row in range(2)
        for at in range(1, 7)
    ]
    with intervened(it, None, same):
        found = logits(model, ids)
    torch.testing.assert_close(found, own, rtol=1e-12, atol=1e-12)
    more = [
        Intervention(1, feature, add=float(active[row][1][at, feature]), positions=at, rows=row)
        for row in range(2)
        for at in range(1, 7)
    ]
    with intervened(it, None, more):
        added = logits(model, ids)
    with intervened(it, None, Intervention(1, feature, scale=2)):
        torch.testing.assert_close(logits(model, ids), added, rtol=1e-12, atol=1e-12)
    assert (added[0] - own[0]).abs().max() > 1e-4


def test_attention_as_it_was(parts: Any) -> None:
    """By hand: the probabilities of the unchanged run, given to the changed one."""
    model, it, coder, ids = parts
    own, patterns, active = run_by_hand(model, coder, ids)
    feature, later = strongest(active, 0), strongest(active, 2)

    def change(row: int, at: int, a: torch.Tensor) -> torch.Tensor:
        if at == 0:
            a[2:, feature] = 4.0
        if at == 2:
            a[1:, later] *= 2
        return a

    given = [
        Intervention(0, feature, value=4.0, positions=slice(2, None)),
        Intervention(2, later, scale=2.0),
    ]
    wanted = run_by_hand(model, coder, ids, change, patterns)[0]
    free = run_by_hand(model, coder, ids, change)[0]
    for kind in ("eager", "sdpa"):
        model.set_attn_implementation(kind)
        with intervened(it, None, given, frozen="attention"):
            torch.testing.assert_close(logits(model, ids), wanted, **CLOSE)
        with intervened(it, None, [], frozen="attention"):
            torch.testing.assert_close(logits(model, ids), own, **CLOSE)
    assert_moved(wanted, own)
    assert (wanted[0] - free[0]).abs().max() > 1e-6


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("frozen", [None, "attention", "all"])
def test_padding_moves_no_position(parts: Any, side: str, frozen: Any) -> None:
    model, it, _, ids = parts
    rows = [ids[0], ids[1][:4]]
    given = [Intervention(0, 3, value=2.0, positions=(2, -1)), Intervention(1, 7, add=1.0)]
    with intervened(it, None, given, frozen=frozen):
        alone = [logits(model, [row])[0] for row in rows]
        length, fill = 7, [9, 9, 9]
        left = side == "left"
        padded = [rows[0], fill + rows[1] if left else rows[1] + fill]
        mask = torch.ones(2, length, dtype=torch.int64)
        mask[1, slice(0, 3) if left else slice(4, 7)] = 0
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        both = logits(model, padded, attention_mask=mask, position_ids=positions)
    torch.testing.assert_close(both[0], alone[0], **CLOSE)
    torch.testing.assert_close(both[1][mask[1].bool()], alone[1], **CLOSE)


@pytest.mark.parametrize(
    ("frozen", "error"),
    [(None, KeyboardInterrupt), ("attention", RuntimeError), ("all", KeyboardInterrupt)],
)
def test_the_model_is_as_it_was_after_anything(parts: Any, frozen: Any, error: Any) -> None:
    model, it, coder, ids = parts
    model.train()
    coder.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    attributes = set(vars(model))
    own = logits(model, ids)

    def broken(*_: object) -> None:
        raise error("broken off")

    with pytest.raises(error), intervened(it, None, Intervention(0, 1, add=1), frozen=frozen):
        logits(model, ids)
        handle = model.model.layers[1].self_attn.register_forward_pre_hook(broken)
        try:
            logits(model, ids)
        finally:
            handle.remove()
    assert callers_hooks(model) == [] and set(vars(model)) == attributes
    assert torch.overrides._get_current_function_mode_stack() == []
    assert all(module.training for module in (*model.modules(), coder))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(logits(model, ids), own, strict=True))
    with intervened(it, None, Intervention(0, 1, add=1), frozen=frozen):  # and again
        assert_moved(logits(model, ids), own)
    model.eval()
    coder.eval()


def test_a_forward_of_its_own_comes_back(parts: Any) -> None:
    """As accelerate gives to modules whose weights it moves."""
    model, it, _, ids = parts
    own, method, calls = logits(model, ids), model.forward, []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return method(*args, **kwargs)

    model.forward = counted
    try:
        with intervened(it, None, Intervention(0, 1, add=1), frozen="attention"):
            assert_moved(logits(model, ids), own)
        assert model.forward is counted and len(calls) == 2
    finally:
        del model.forward


def test_gradients_pass(parts: Any) -> None:
    model, it, _, ids = parts
    with intervened(it, None, Intervention(0, 1, scale=3.0)):
        model(input_ids=torch.tensor(ids)).logits.sum().backward()
    assert model.model.embed_tokens.weight.grad.abs().max() > 0


def test_a_16_bit_model_with_a_32_bit_transcoder() -> None:
    _, coder, ids = setup()
    model = model_of("Llama", FAMILIES["Llama"][0] | {"hidden_size": 16, "num_hidden_layers": 3})
    model, coder = model.bfloat16(), coder.float()
    own = logits(model, ids)
    with intervened(model, coder, Intervention(1, 1, value=20.0)):
        found = logits(model, ids)
    assert found[0].dtype == torch.bfloat16
    assert (found[0] - own[0])[-1].abs().max() > 1e-3
    refused = pytest.raises(ValueError, match=r"model is in torch\.bfloat16, .* dtype=torch\.float")
    with refused, intervened(model, coder, Intervention(1, 1, value=2.0), frozen="all"):
        pass
