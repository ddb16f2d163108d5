"""`intervene`: prompts before and after, in batches, against passes of one's own."""

from __future__ import annotations

import json
import secrets
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_models
from helpers.by_hand import exact_clt_model, run_by_hand
from helpers.clt_models import random_transcoder
from transcoders.interventions.test_generation import generated

from ilo_fast.transcoders.interventions.intervene import intervene
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel


@pytest.fixture(scope="module")
def parts() -> tuple[Any, ReplacementModel, Any, list[list[int]]]:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    coder = random_transcoder(seed)
    model = exact_clt_model(coder, seed)
    random = torch.Generator().manual_seed(seed)
    prompts = [torch.randint(3, 64, (n,), generator=random).tolist() for n in (7, 4, 5, 9)]
    return model, ReplacementModel(model, coder), coder, prompts


def test_before_and_after_of_prompts_of_any_length(
    parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, it, coder, prompts = parts
    given = [
        Intervention(0, 3, value=3.0, positions=-1),
        Intervention(1, 8, add=2.0, rows=(1, 3)),
        Intervention(2, 6, scale=3.0, positions=slice(5, 8)),  # two prompts have these
    ]

    def change(row: int, layer: int, a: torch.Tensor) -> torch.Tensor:
        if layer == 0:
            a[-1, 3] = 3.0
        if layer == 1 and row in (1, 3):
            a[1:, 8] += 2.0
        if layer == 2:
            a[5:8, 6] *= 3.0
        return a

    own, _, active = run_by_hand(model, coder, prompts)
    wanted, _, changed = run_by_hand(model, coder, prompts, change)
    for size in (10**8, 1):  # one batch, or four
        monkeypatch.setattr("ilo_fast.transcoders.interventions.intervene._LOGITS_BYTES", size)
        result = intervene(
            it, None, None, prompts, given, max_new_tokens=4, features=[(2, 9)], top=5
        )
        assert len(result.prompts) == 4
        for row, effect in enumerate(result.prompts):
            assert effect.token_ids == tuple(prompts[row])
            for found, by_hand in ((effect.logits_before, own), (effect.logits_after, wanted)):
                np.testing.assert_allclose(found, by_hand[row][-1], rtol=1e-9, atol=1e-9)
            assert [(f.layer, f.feature) for f in effect.features] == [
                (0, 3), (1, 8), (2, 6), (2, 9)
            ]  # fmt: skip
            for reading in effect.features:
                of, at = reading.feature, reading.layer
                np.testing.assert_allclose(reading.before, active[row][at][:, of], atol=1e-9)
                after = change(row, at, changed[row][at].clone())[:, of]
                np.testing.assert_allclose(reading.after, after, atol=1e-9)
                on = reading.before > 0
                np.testing.assert_allclose(reading.pre_before[on], reading.before[on], atol=1e-9)
            own_text = generated(model, [prompts[row]], max_new_tokens=4, eos_token_id=2)[0]
            assert effect.continuation_before == " ".join(map(str, cut(own_text)))
            mine = [g for g in given if g.is_of(row) and g.touches(len(prompts[row]), 1)]
            mine = [
                Intervention(g.layer, g.feature, value=g.value, scale=g.scale, add=g.add,
                             positions=g.positions) for g in mine
            ]  # fmt: skip
            with intervened(it, None, mine):
                text = generated(model, [prompts[row]], max_new_tokens=4, eos_token_id=2)[0]
            assert effect.continuation_after == " ".join(map(str, cut(text)))


def cut(ids: list[int]) -> list[int]:
    return ids[: ids.index(2)] if 2 in ids else ids


def test_tokens_named_are_the_likely_and_the_most_changed(parts: Any) -> None:
    _, it, _, prompts = parts
    result = intervene(it, None, None, prompts[0], Intervention(1, 3, add=9.0), top=4)
    (effect,) = result.prompts
    old, new = (
        torch.from_numpy(x).softmax(-1) for x in (effect.logits_before, effect.logits_after)
    )
    for found, by in (
        (effect.likely_before, old), (effect.likely_after, new), (effect.changes, (new - old).abs())
    ):  # fmt: skip
        order = by.topk(4).indices.tolist()
        assert [token.token_id for token in found] == order
        assert [token.before for token in found] == pytest.approx(old[order].tolist())
        assert [token.after for token in found] == pytest.approx(new[order].tolist())
    assert effect.kl == pytest.approx(float((old * (old / new).log()).sum())) and effect.kl > 0
    assert effect.continuation_before is None and effect.continuation_after is None
    saved = json.loads(json.dumps(result.to_dict()))
    assert saved["prompts"][0]["changes"][0]["token_id"] == effect.changes[0].token_id
    assert saved["interventions"] == [
        {"layer": 1, "feature": 3, "value": None, "scale": None, "add": 9.0, "positions": None,
         "rows": None}
    ]  # fmt: skip


@pytest.mark.parametrize("frozen", ["attention", "all"])
def test_frozen(parts: Any, frozen: Any) -> None:
    model, it, coder, prompts = parts
    given = [Intervention(0, 3, value=3.0), Intervention(1, 8, add=2.0, positions=2)]
    result = intervene(it, None, None, prompts, given, frozen=frozen)
    own, _, active = run_by_hand(model, coder, prompts)
    for row, effect in enumerate(result.prompts):
        with torch.no_grad(), intervened(it, None, given, frozen=frozen):
            alone = model(torch.tensor([prompts[row]])).logits[0, -1]
        np.testing.assert_allclose(effect.logits_before, own[row][-1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(effect.logits_after, alone, rtol=1e-9, atol=1e-9)
        assert np.abs(effect.logits_after - effect.logits_before).max() > 1e-4
        assert (effect.features[0].after[1:] == 3.0).all()
        if frozen == "all":
            wanted = active[row][1][:, 8].clone()
            wanted[2] += 2.0
            np.testing.assert_allclose(effect.features[1].after, wanted, atol=1e-9)
    with pytest.raises(ValueError, match=f"max_new_tokens=3 with frozen='{frozen}': .* leave one"):
        intervene(it, None, None, prompts, given, frozen=frozen, max_new_tokens=3)


def test_texts() -> None:
    """They begin with the BOS token, and do not end."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    coder = random_transcoder(seed)
    model, tokenizer = exact_clt_model(coder, seed), tiny_models.tokenizer()
    given = Intervention(0, 3, value=3.0)
    (effect,) = intervene(model, tokenizer, coder, "the sea", given, max_new_tokens=3).prompts
    assert effect.tokens == ("<s>", *"the sea")
    ids = [0, *tokenizer("the sea", add_special_tokens=False)["input_ids"]]
    ids = ids if ids[1] != 0 else ids[1:]
    assert effect.token_ids == tuple(ids)
    both = intervene(model, tokenizer, coder, ["a b", "the sea"], given).prompts
    np.testing.assert_allclose(both[1].logits_after, effect.logits_after, atol=1e-9)


def test_a_tensor_of_token_ids_is_a_prompt(parts: Any) -> None:
    _, it, _, prompts = parts
    one = Intervention(0, 3, value=3.0)
    found = intervene(it, None, None, torch.tensor(prompts[0]), one)  # type: ignore[arg-type]
    assert [p.token_ids for p in found.prompts] == [tuple(prompts[0])]


def test_what_cannot_be_is_refused(parts: Any) -> None:
    _, it, _, prompts = parts
    one = Intervention(0, 3, value=3.0)
    for given in (None, 5, b"abc"):
        with pytest.raises(TypeError, match="prompts must be texts or lists of token ids, got"):
            intervene(it, None, None, given, one)  # type: ignore[arg-type]
    for wrong in (None, "0/3=1"):
        with pytest.raises(TypeError, match="interventions must be of Intervention, got"):
            intervene(it, None, None, prompts, wrong)  # type: ignore[arg-type]
    for given, message, options in (
        ("text", "prompt is text: pass a tokenizer", {}),
        ([], "prompts is empty", {}),
        ([[5, 6], [5]], r"prompts\[1\] has 1 token, of which the first 1 are skipped", {}),
        ([5, 64], "prompt has token 64: the model knows 0 to 63", {}),
        ([5] * 120, "120 tokens and 9 are to follow, the model takes 128", {"max_new_tokens": 9}),
        (prompts, "features: layer=3 must be at most 2", {"features": [(3, 0)]}),
    ):
        with pytest.raises(ValueError, match=message):
            intervene(it, None, None, given, one, **options)  # type: ignore[arg-type]
    for wrong, message in (
        (Intervention(0, 3, value=3.0, positions=4), "positions=4 is beyond prompt 1, which has 4"),
        (Intervention(0, 3, value=3.0, rows=4), "rows=4 is out of range, the batch has prompts 0"),
        (Intervention(0, 40, value=3.0), "feature=40 is out of range"),
    ):
        with pytest.raises(ValueError, match=message):
            intervene(it, None, None, prompts, wrong)
