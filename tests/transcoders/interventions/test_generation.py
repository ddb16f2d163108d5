"""Features changed while a model generates: with and without a cache, batches, beams, samples."""

from __future__ import annotations

import inspect
import secrets
from typing import Any

import pytest
import torch
from helpers.by_hand import exact_clt_model, run_by_hand
from helpers.clt_models import random_transcoder
from transcoders.test_sites import FAMILIES, model_of
from transformers import GenerationConfig

from ilo_fast.models.forward import inference
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel

NEW = 6
ROUNDED = {"rtol": 1e-5, "atol": 1e-6}  # generate() keeps logits in float32
# At the prompt's second token, from its last token on, and everywhere.
GIVEN = (
    Intervention(0, 3, value=4.0, positions=1),
    Intervention(1, 7, add=2.0, positions=slice(-1, None)),
    Intervention(2, 5, scale=-2.0),
    Intervention(2, 9, value=3.0, positions=-2),
)


@pytest.fixture(scope="module")
def parts() -> tuple[Any, Any, Any, list[list[int]]]:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    coder = random_transcoder(seed)
    model = exact_clt_model(coder, seed)
    model.generation_config.eos_token_id = None
    ids = torch.randint(3, 64, (2, 6), generator=torch.Generator().manual_seed(seed)).tolist()
    return model, ReplacementModel(model, coder), coder, ids


def config(**options: Any) -> GenerationConfig:
    plain = {"max_new_tokens": NEW, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    return GenerationConfig(**plain | options)


def generated(model: Any, ids: Any, mask: Any = None, **options: Any) -> list[list[int]]:
    found = model.generate(
        input_ids=torch.tensor(ids), attention_mask=mask, generation_config=config(**options)
    )
    return found[:, len(ids[0]) :].tolist()


def changed(n: int) -> Any:
    """What `GIVEN` does to activations, where the prompt has n tokens."""

    def change(row: int, layer: int, a: torch.Tensor) -> torch.Tensor:
        if layer == 0:
            a[1, 3] = 4.0
        if layer == 1:
            a[n - 1 :, 7] += 2.0
        if layer == 2:
            a[1:, 5] *= -2.0
            a[n - 2, 9] = 3.0
        return a

    return change


def scored(model: Any, ids: Any, mask: Any = None, **options: Any) -> tuple[Any, torch.Tensor]:
    """What is generated, and the logits that it was chosen by: (rows, new, vocabulary)."""
    run = config(output_logits=True, return_dict_in_generate=True, **options)
    found = model.generate(input_ids=torch.tensor(ids), attention_mask=mask, generation_config=run)
    return found.sequences[:, len(ids[0]) :].tolist(), torch.stack(found.logits, 1)


def test_with_and_without_a_cache_as_by_hand(parts: Any) -> None:
    model, it, coder, ids = parts
    own, before = scored(model, ids)
    for cache in (True, False):
        with intervened(it, None, GIVEN):
            found, logits = scored(model, ids, use_cache=cache)
        texts = [[*row, *more] for row, more in zip(ids, found, strict=True)]
        wanted = torch.stack(run_by_hand(model, coder, texts, changed(6))[0])[:, 5:-1]
        torch.testing.assert_close(logits, wanted.float(), **ROUNDED)
        assert found == wanted.float().argmax(-1).tolist()
    assert (logits - before)[:, 0].abs().max() > 1e-4
    assert generated(model, ids) == own


def test_a_loop_of_ones_own_with_a_cache(parts: Any) -> None:
    model, it, coder, ids = parts
    wanted = run_by_hand(model, coder, [[*row, 5, 8] for row in ids], changed(6))[0]
    with torch.no_grad(), intervened(it, None, GIVEN):
        first = model(input_ids=torch.tensor(ids), use_cache=True)
        more = model(
            input_ids=torch.tensor([[5, 8]] * 2), past_key_values=first.past_key_values
        ).logits
    found = torch.cat([first.logits, more], 1)
    torch.testing.assert_close(list(found), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cache", [True, False])
def test_a_padded_batch_as_its_prompts_alone(parts: Any, cache: bool) -> None:
    model, it, _, ids = parts
    short = ids[1][:4]
    mask = torch.ones(2, 6, dtype=torch.int64)
    mask[1, :2] = 0
    with intervened(it, None, GIVEN):
        alone = [scored(model, [row]) for row in (ids[0], short)]
        both, logits = scored(model, [ids[0], [0, 0, *short]], mask, use_cache=cache)
    assert both == [row for text, _ in alone for row in text]
    torch.testing.assert_close(logits, torch.cat([x for _, x in alone]), **ROUNDED)


def test_rows_are_prompts_however_many_sequences_are_made_of_them(parts: Any) -> None:
    model, it, _, ids = parts
    one = [Intervention(0, 3, value=60.0, rows=1), Intervention(1, 7, add=30.0, rows=1)]
    every = [Intervention(0, 3, value=60.0), Intervention(1, 7, add=30.0)]
    for options in (
        {"num_beams": 3, "num_return_sequences": 2},
        {"num_beams": 2, "use_cache": False},
    ):
        n = options.get("num_return_sequences", 1)
        own = generated(model, ids[:1], **options)
        with intervened(it, None, every):
            other = generated(model, ids[1:], **options)
        with intervened(it, None, one):
            both = generated(model, ids, **options)
        assert both == own + other and len(both) == 2 * n
    with intervened(it, None, one):
        torch.manual_seed(0)
        samples = generated(model, ids, do_sample=True, num_return_sequences=3)
    torch.manual_seed(0)
    assert samples[:3] == generated(model, ids, do_sample=True, num_return_sequences=3)[:3]
    torch.manual_seed(0)
    with intervened(it, None, every):
        assert samples[3:] == generated(model, ids, do_sample=True, num_return_sequences=3)[3:]


@pytest.mark.parametrize("name", ["GPT2", "Bloom", "OPT", "Gemma3", "Falcon", "XGLM"])
def test_other_families(name: str) -> None:
    """Learned positions, ALiBi, sliding windows: with a cache, pass by pass, and padded."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model: Any = model_of(name, FAMILIES[name][0])
    model.generation_config.eos_token_id = None
    if name != "Bloom":  # whose padding is NaN in float64
        model = model.double()
    coder = random_transcoder(seed, n_layers=2, hidden_size=32).to(model.dtype)
    ids = torch.randint(3, 64, (2, 9), generator=torch.Generator().manual_seed(seed))
    it = ReplacementModel(model, coder)
    given = [
        Intervention(0, 3, value=40.0, positions=slice(5, None)),
        Intervention(1, 4, add=30.0, positions=2),
    ]
    close = {"rtol": 1e-9, "atol": 1e-9} if name != "Bloom" else {"rtol": 1e-3, "atol": 1e-5}
    with inference(model):  # some make float32 numbers in a float64 model
        own = model(input_ids=ids).logits
        with intervened(it, None, given):
            wanted = model(input_ids=ids).logits
        # Nothing follows the last layer that could carry a change on to later tokens.
        assert ((wanted - own).abs().amax((0, 2)) > 1e-4).nonzero()[:, 0].tolist() == [
            2,
            5,
            6,
            7,
            8,
        ]
        mask = torch.ones(2, 9, dtype=torch.int64)
        mask[1, :2] = 0
        left = ids.clone()
        left[1] = torch.cat([ids[1, -2:], ids[1, :-2]])
        takes = "position_ids" in inspect.signature(model.forward).parameters
        positions = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)} if takes else {}
        with intervened(it, None, given):
            first = model(input_ids=ids[:, :6], use_cache=True)
            later = model(
                input_ids=ids[:, 6:7], past_key_values=first.past_key_values, use_cache=True
            )
            last = model(input_ids=ids[:, 7:], past_key_values=later.past_key_values).logits
            padded = model(input_ids=left, attention_mask=mask, **positions).logits
            run = {"output_logits": True, "return_dict_in_generate": True, "max_new_tokens": 4}
            found = [
                model.generate(input_ids=ids, generation_config=config(use_cache=cache, **run))
                for cache in (True, False)
            ]
        pieces = torch.cat([first.logits, later.logits, last], 1)
        torch.testing.assert_close(pieces, wanted, **close)
        torch.testing.assert_close(padded[0], wanted[0], **close)
        torch.testing.assert_close(padded[1, 2:], wanted[1, :-2], **close)
        torch.testing.assert_close(found[0].logits, found[1].logits, rtol=1e-3, atol=1e-5)


def test_what_does_not_tell_where_tokens_stand_is_refused(parts: Any) -> None:
    model, it, _, ids = parts
    own = generated(model, ids)
    with intervened(it, None, GIVEN):
        with pytest.raises(ValueError, match=r"prefill_chunk_size=2: .* leave prefill_chunk_size"):
            generated(model, ids, prefill_chunk_size=2)
        with pytest.raises(ValueError, match=r"guidance_scale=2\.0"):
            generated(model, ids, guidance_scale=2.0)
        with pytest.raises(ValueError, match=r"attention_mask is of .* leave out cache_impl"):
            generated(model, ids, cache_implementation="static")
    for frozen in ("attention", "all"):
        refused = pytest.raises(ValueError, match=f"frozen='{frozen}' is for forward passes .* out")
        with refused, intervened(it, None, GIVEN, frozen=frozen):
            generated(model, ids)
    assert generated(model, ids) == own
    with torch.no_grad():
        cache = model(torch.tensor(ids)[:, :3], use_cache=True).past_key_values
        refused = pytest.raises(ValueError, match=r"positions=1 of prompt 0 comes from a cache")
        with refused, intervened(it, None, GIVEN):
            model(torch.tensor(ids)[:, 3:], past_key_values=cache)
        refused = pytest.raises(ValueError, match="past_key_values was passed")
        with refused, intervened(it, None, [], frozen="attention"):
            model(torch.tensor(ids)[:, 3:], past_key_values=cache)
