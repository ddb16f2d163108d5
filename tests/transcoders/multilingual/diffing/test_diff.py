"""Two models compared: changes planted in a transcoder are found, and exactly these."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import transcoders as small
from helpers.clt_models import random_transcoder
from helpers.diffing import TOKENIZER, opened

from ilo_fast import ParallelCorpus, finetune
from ilo_fast.training.measuring import OverlapOptions
from ilo_fast.transcoders import diff_models, open_transcoder
from ilo_fast.transcoders.files.opening import Opened
from ilo_fast.transcoders.multilingual.diffing.brightness import Estimate
from ilo_fast.transcoders.multilingual.diffing.pair import fit_of
from ilo_fast.transcoders.multilingual.diffing.result import Claim, ModelDiff
from ilo_fast.transcoders.multilingual.diffing.tables import text_report
from ilo_fast.transcoders.multilingual.lines import beginning_token
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

CORPUS = ParallelCorpus.from_dict(
    {"deu_Latn": small.lines(60, "das"), "eng_Latn": small.lines(60, "the")}
)
MODEL = small.model()


def first_words(code: str) -> torch.Tensor:
    """What the first layer reads at the first word of the lines of a language, on average: (d,)."""
    first = beginning_token(TOKENIZER)
    ids = [
        [*first, TOKENIZER(line, add_special_tokens=False)["input_ids"][0]]
        for line in CORPUS.sentences[code]
    ]
    return MLPReader(MODEL).read(torch.tensor(ids))[0][:, 1, 0].mean(dim=0)


@pytest.fixture(scope="module")
def coder() -> CrossLayerTranscoder:
    """Random; features 0/0 and 0/1 tell languages apart, 0/5 writes into its own layer."""
    it = random_transcoder(0).float()
    with torch.no_grad():
        das, the = first_words("deu_Latn"), first_words("eng_Latn")
        apart = (das - the) / it.input_scale[0]
        middle = float((das + the) @ (das - the)) / 2
        for feature, sign in ((0, 1.0), (1, -1.0)):
            it.encoder_weight[0, feature] = sign * apart
            it.encoder_bias[0, feature] = -sign * middle
        it.output_scale.fill_(1)
        it.decoder_weights[0][5, 1:] = 0
    return it


def changed(coder: CrossLayerTranscoder) -> CrossLayerTranscoder:
    """Swapped languages: 0/0, 0/1. Grown: 1/3. Dead: 1/4. Moved by a layer: 0/5."""
    it = copy.deepcopy(coder)
    with torch.no_grad():
        for values in (it.encoder_weight, it.encoder_bias, it.log_threshold):
            values[0, [0, 1]] = values[0, [1, 0]].clone()
        it.encoder_bias[1, 3] += 0.3
        it.encoder_bias[1, 4] = -1e3
        it.decoder_weights[0][5] = it.decoder_weights[0][5].roll(1, dims=0)
    return it


def diff(base: CrossLayerTranscoder, tuned: CrossLayerTranscoder, **options: Any) -> ModelDiff:
    settings: dict[str, Any] = {"prompts": 0, "correspondence": "number", "n_boot": 100}
    return diff_models(opened(MODEL, base), opened(MODEL, tuned), CORPUS, **{**settings, **options})


def happened(found: ModelDiff) -> dict[tuple[int, int], str]:
    return {(row["layer"], row["feature"]): row["status"] for row in found.rows() if row["status"]}


def test_planted_changes_are_found_and_nothing_else(coder: CrossLayerTranscoder) -> None:
    found = diff(coder, changed(coder))
    events = happened(found)
    assert events.keys() == {(0, 0), (0, 1), (1, 3), (1, 4), (0, 5)}
    assert "changed language" in events[0, 0] and "changed language" in events[0, 1]
    assert events[1, 3].startswith("grew") and events[1, 4] == "died"
    assert events[0, 5] == "moved layer"
    assert found.pair.fit == "fresh" and found.pair.correspondence == "number"
    # With a control that changes nothing, all of it is beyond seeds.
    beside = diff(coder, changed(coder), controls=[opened(MODEL, copy.deepcopy(coder))])
    assert happened(beside) == events
    assert all(event.control_share == 0 for event in beside.events)


def test_the_same_model_twice_shows_nothing(coder: CrossLayerTranscoder) -> None:
    found = diff(coder, coder, correspondence=None, prompts=3, prompt_tokens=6)
    assert happened(found) == {} and found.pair.fit == "reused"
    assert [event.found for event in found.events] == [0] * 8
    assert [claim.tuned.value for claim in found.claims[:1]] == [0]
    assert found.pair.edges is not None and found.pair.edges.n_prompts == 3
    assert np.nanmax(np.abs(found.pair.edges.raw_change)) < 1e-5
    assert found.pair.matching is None
    assert all(claim.verdict != "yes" for claim in found.claims)


def test_shuffled_features_are_put_back_by_matching(coder: CrossLayerTranscoder) -> None:
    order = np.random.default_rng(1).permutation(40)
    it = changed(coder)
    with torch.no_grad():
        for values in (it.encoder_weight, it.encoder_bias, it.log_threshold):
            values[2] = values[2, order].clone()
        it.decoder_weights[2].copy_(it.decoder_weights[2][order].clone())
    found = diff(coder, it, correspondence=None, match_tokens=400)
    assert found.pair.correspondence == "match"
    assert found.pair.matching is not None
    pairs = dict(zip(found.pair.changes.before.tolist(), found.pair.changes.after.tolist(),
                     strict=True))  # fmt: skip
    at = [b for b in pairs if b >= 80]
    assert len(at) > 30 and all(order[pairs[b] - 80] == b - 80 for b in at)
    left = happened(found)
    assert {key: what for key, what in left.items() if key[0] == 2} == {}
    assert left[1, 3].startswith("grew")


def test_a_control_of_another_kind_is_refused(coder: CrossLayerTranscoder) -> None:
    other = opened(MODEL, random_transcoder(9).float())
    with pytest.raises(ValueError, match=r"controls\[0\] is compared by match \(fresh"):
        diff(coder, coder, correspondence=None, controls=[other])
    small_one = random_transcoder(9, n_features=8).float()
    with pytest.raises(ValueError, match="cannot be compared by number"):
        diff(coder, small_one)


def test_result_is_json_a_table_and_figures(coder: CrossLayerTranscoder, tmp_path: Path) -> None:
    base = opened(MODEL, coder)
    control = opened(MODEL, copy.deepcopy(coder))
    found = diff_models(
        base, opened(MODEL, changed(coder)), CORPUS,
        controls=[(base, control)], correspondence="number", prompts=2, n_boot=50, seed=3,
    )  # fmt: skip
    found.to_json(tmp_path / "diff.json")
    data = json.loads((tmp_path / "diff.json").read_text())
    assert data == json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["info"]["seed"] == 3 and data["info"]["lines"] == 120
    assert len(data["features"]) == 5 and len(data["seed_controls"]) == 1
    frame = found.to_dataframe()
    assert len(frame) == 120 and "rate_before:deu_Latn" in frame.columns
    for by, lines in (("layer", 3), ("language", 2)):
        axes = found.plot(by).axes[0]  # type: ignore[arg-type]
        assert len([line for line in axes.lines if line.get_marker() == "o"]) == lines
    with pytest.raises(ValueError, match="by='x'"):
        found.plot("x")  # type: ignore[arg-type]


def test_verdicts_follow_intervals() -> None:
    def verdict(own: tuple[float, float], *controls: tuple[float, float]) -> str:
        of = [Estimate(sum(pair) / 2, *pair) for pair in (own, *controls)]
        return Claim("", "", of[0], tuple(of[1:])).verdict

    assert verdict((0.9, 1.1), (-0.1, 0.1), (0.0, 0.4)) == "yes"
    assert verdict((0.5, 0.7), (-0.1, 0.1), (0.0, 0.4)) == "cannot tell"  # t = 4.3
    assert verdict((2.4, 2.7), (0.1, 0.3)) == "cannot tell"  # t = 12.7
    assert verdict((2.6, 2.7), (0.1, 0.3)) == "yes"
    assert verdict((0.5, 0.7), (-0.1, 0.6)) == verdict((0.5, 0.7)) == "cannot tell"
    assert verdict((-0.5, -0.2), (-0.1, 0.6)) == verdict((-0.5, -0.2)) == "no"
    assert verdict((-0.5, 0.2), (-0.1, 0.1)) == "cannot tell"


@pytest.mark.parametrize("n_controls", [1, 2, 4])
def test_seeds_alone_hardly_ever_give_a_yes(n_controls: int) -> None:
    """Intervals over documents that are far smaller than what seeds do: 2.5 % at most."""
    draws = np.random.default_rng(n_controls).normal(size=(4000, 1 + n_controls))
    of = [[Estimate(x, x - 0.01, x + 0.01) for x in row] for row in draws.tolist()]
    said = [Claim("", "", own, tuple(controls)).verdict for own, *controls in of]
    assert said.count("yes") < 0.035 * len(said)


def test_refits_and_tuned_models_from_folders_are_told_apart(tmp_path: Path) -> None:
    """Full and LoRA fine-tuning; the base's transcoder re-used, refitted, and a fresh one."""
    folder = small.saved_model(tmp_path / "model")
    small.train(tmp_path / "clt", str(folder))
    base = open_transcoder(tmp_path / "clt", device="cpu")
    text = {code: small.lines(40, code[:3]) for code in ("deu_Latn", "eng_Latn", "fra_Latn")}
    tuned: dict[str, Opened] = {}
    for name, lora in (("full", None), ("lora", 2)):
        finetune(
            folder, text, tmp_path / name, language="deu_Latn", lora=lora, max_steps=3,
            learning_rate=0.1, device="cpu", corpus={c: t[:5] for c, t in text.items()},
            overlap_options=OverlapOptions(n_neighbors=2, threshold=1),
        )  # fmt: skip
        tuned[name] = open_transcoder(
            tmp_path / "clt", model=tmp_path / name, allow_other_weights=True, device="cpu"
        )
        found = diff_models(base, tuned[name], CORPUS, prompts=2, n_boot=50)
        assert found.pair.fit == "reused" and np.abs(found.pair.changes.growth).max() > 0.1
    own = {"n_features": None, "activation": None, "initial": tmp_path / "clt", "tokens": 600}
    refit = small.train(tmp_path / "refit", str(tmp_path / "full"), **own)
    again = small.train(tmp_path / "again", str(folder), seed=4, **own)
    fresh = small.train(tmp_path / "fresh", str(folder), seed=5)
    assert fit_of(base.transcoder, refit.transcoder) == "refitted"
    assert fit_of(refit.transcoder, base.transcoder) == "refitted"
    assert fit_of(refit.transcoder, again.transcoder) == "refitted"
    assert fit_of(base.transcoder, fresh.transcoder) == "fresh"
    found = diff_models(
        base, open_transcoder(tmp_path / "refit", device="cpu"), CORPUS,
        controls=[open_transcoder(tmp_path / "again", device="cpu")], prompts=0, n_boot=50,
    )  # fmt: skip
    assert found.pair.correspondence == "number" and found.pair.matching is not None
    assert all(event.control_share is not None for event in found.events)


def test_dead_features_are_compared_and_not_drawn(coder: CrossLayerTranscoder) -> None:
    """All dead; one layer dead; nothing that could match."""
    dead, half = copy.deepcopy(coder), copy.deepcopy(coder)
    with torch.no_grad():
        dead.encoder_bias.fill_(-1e6)
        half.encoder_bias[1].fill_(-1e6)
    texts = {code: lines[:8] for code, lines in CORPUS.sentences.items()}
    quick: dict[str, Any] = {"prompts": 0, "n_boot": 2}
    found = diff_models(opened(MODEL, dead), opened(MODEL, dead), texts, **quick)
    json.dumps(found.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="nothing to draw: no feature is active"):
        found.plot()
    found = diff_models(opened(MODEL, half), opened(MODEL, half), texts, **quick)
    for by in ("layer", "language"):
        found.plot(by)
    for pair in ((dead, coder), (dead, dead)):
        its = [opened(MODEL, one) for one in pair]
        found = diff_models(*its, texts, correspondence="match", **quick)
        json.dumps(found.to_dict(), allow_nan=False)
        text_report(found)
