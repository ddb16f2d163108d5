"""Many conditions in one batch against `intervened`, one by one; likelihoods against loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.by_hand import exact_clt_model
from helpers.clt_models import random_transcoder
from helpers.seeds import fresh_seed

from ilo_fast.transcoders.activations import TopK
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.multilingual.steering.background import mean_streams, mean_unembeddings
from ilo_fast.transcoders.multilingual.steering.conditions import (
    Condition,
    adding,
    steered,
    substituting,
    suppressing,
)
from ilo_fast.transcoders.multilingual.steering.generating import (
    continuations,
    mean_log_likelihoods,
)
from ilo_fast.transcoders.replacement import ReplacementModel

NEW = 5
WIDTH = 40  # features of a layer


@pytest.fixture(scope="module", params=["jump", "top", "per layer"])
def it(request: pytest.FixtureRequest) -> ReplacementModel:
    seed = fresh_seed()
    activation = TopK(6) if request.param == "top" else None
    coder = random_transcoder(seed, activation=activation, cross_layer=request.param != "per layer")
    model = exact_clt_model(coder, seed)
    model.generation_config.eos_token_id = None
    return ReplacementModel(model, coder)


def prompts(seed: int = 0, n: int = 4) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(3, 64, size=int(random.integers(3, 8))).tolist() for _ in range(n)]


def conditions() -> list[tuple[Condition, list[Intervention]]]:
    """Each as `steered` takes it, and as `intervened` does."""
    off, on, means = np.array([3, 7, 45, 90]), np.array([5, 45, 100]), np.array([2.0, 1.0, 3.0])

    def place(column: int) -> tuple[int, int]:
        return divmod(column, WIDTH)

    return [
        (adding(None), []),
        (suppressing(off, 2.0), [Intervention(*place(c), scale=-1.0) for c in off]),
        (
            substituting(off, on, means, 1.5),
            [Intervention(*place(c), value=0.0) for c in (3, 7, 90)]
            + [Intervention(*place(c), value=1.5 * m) for c, m in zip(on, means, strict=True)],
        ),
        (suppressing(np.array([41]), 1.0), [Intervention(1, 1, scale=0.0)]),
    ]


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def test_all_conditions_at_once_are_as_each_alone(it: ReplacementModel) -> None:
    every, rows = conditions(), prompts()
    numbers = [at for at in range(len(every)) for _ in rows]
    following = [list(reversed(row)) for row in rows]
    with steered(it, [one for one, _ in every]) as steering:
        found = continuations(
            it.model, rows * len(every), max_new_tokens=NEW, pad=0,
            begin=lambda batch: steering.begin([numbers[at] for at in batch]),
        )  # fmt: skip
        likely = mean_log_likelihoods(
            it.model, rows * len(every), following * len(every), pad=0, batch_tokens=60,
            begin=lambda batch: steering.begin([numbers[at] for at in batch]),
        )  # fmt: skip
    changes = 0
    for at, (_, given) in enumerate(every):
        for row, (ids, more) in enumerate(zip(rows, following, strict=True)):
            own = list(ids)
            given = given or [Intervention(0, 0, scale=1.0)]
            with intervened(it, None, given):
                for _ in range(NEW):
                    own.append(int(logits(it.model, own)[-1].argmax()))
                whole = logits(it.model, ids + more).log_softmax(-1)
            assert found[at * len(rows) + row] == own[len(ids) :]
            wanted = np.mean([float(whole[len(ids) - 1 + n, t]) for n, t in enumerate(more)])
            assert likely[at * len(rows) + row] == pytest.approx(wanted, rel=1e-9)
            changes += at > 0 and abs(likely[at * len(rows) + row] - likely[row]) > 1e-4
    assert changes >= len(rows)  # a condition that sets features does something


def test_a_vector_is_added_behind_its_layer_but_not_at_skipped_tokens(
    it: ReplacementModel,
) -> None:
    random = np.random.default_rng(1)
    vectors = np.zeros((it.n_layers, it.parts.dim))
    vectors[1] = random.normal(size=it.parts.dim)
    ids, more = prompts(2, 1)[0], [5, 6, 7]

    def hook(_: Any, args: Any, output: Any) -> Any:
        stream = output[0] if isinstance(output, tuple) else output
        stream = stream.clone()
        stream[:, it.skip_positions :] += torch.from_numpy(vectors[1])
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    handle = it.model.model.layers[1].register_forward_hook(hook)
    whole = logits(it.model, ids + more).log_softmax(-1)
    handle.remove()
    wanted = np.mean([float(whole[len(ids) - 1 + n, t]) for n, t in enumerate(more)])
    with steered(it, [adding(None), adding(vectors)]) as steering:
        found = mean_log_likelihoods(
            it.model, [ids, ids, [4, *ids]], [more] * 3, pad=0,
            begin=lambda batch: steering.begin([(0, 1, 0)[at] for at in batch]),
        )  # fmt: skip
    plain = logits(it.model, ids + more).log_softmax(-1)
    assert found[1] == pytest.approx(wanted, rel=1e-9)
    before = np.mean([float(plain[len(ids) - 1 + n, t]) for n, t in enumerate(more)])
    assert found[0] == pytest.approx(before, rel=1e-9) and abs(wanted - before) > 1e-6


def test_forbidden_tokens_never_come_and_the_model_is_as_it_was(it: ReplacementModel) -> None:
    rows = prompts(3)
    before = logits(it.model, rows[0])
    plain = continuations(it.model, rows, max_new_tokens=NEW, pad=0)
    likeliest = sorted({row[0] for row in plain})
    found = continuations(it.model, rows, max_new_tokens=NEW, pad=0, forbidden=likeliest)
    assert not {token for row in found for token in row} & set(likeliest)
    with pytest.raises(ZeroDivisionError), steered(it, [suppressing(np.array([1]), 1.0)]):
        raise ZeroDivisionError
    assert torch.equal(logits(it.model, rows[0]), before)


def test_mean_streams_and_unembeddings_as_by_loops(it: ReplacementModel) -> None:
    lines = {"a": prompts(4, 5), "b": prompts(5, 3)}
    found, rows = mean_streams(it, lines), mean_unembeddings(it, lines)
    for code, own in lines.items():
        streams, unembedded = [], []
        for ids in own:
            kept = []
            for block in it.model.model.layers:
                kept.append(
                    block.register_forward_hook(
                        lambda _, args, out, streams=streams: streams.append(
                            (out[0] if isinstance(out, tuple) else out)[0, 1:]
                        )
                    )
                )
            logits(it.model, ids)
            for handle in kept:
                handle.remove()
            unembedded += [it.model.lm_head.weight[token].detach() for token in ids[1:]]
        for layer in range(it.n_layers):
            wanted = torch.cat(streams[layer :: it.n_layers]).mean(0)
            np.testing.assert_allclose(found[code][layer], wanted.numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(rows[code], torch.stack(unembedded).mean(0).numpy(), rtol=1e-9)
