"""Trainings that start from another transcoder: weights, identity, what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import transcoders
from helpers.clt_models import random_transcoder
from helpers.transcoders import train

from ilo_fast.cli import main
from ilo_fast.models.identity import hash_state
from ilo_fast.training.run_folder import CARD_FILE
from ilo_fast.transcoders.activations import Activation, BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.training.train import TrainedTranscoder

OWN: dict[str, Any] = {"n_features": None, "activation": None}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> TrainedTranscoder:
    return train(tmp_path_factory.mktemp("base") / "run", transcoders.model())


@pytest.mark.parametrize("activation", [TopK(4), BatchTopK(4), JumpReLU()])
def test_without_a_step_the_initial_weights_thresholds_and_scales_are_kept(
    activation: Activation, tmp_path: Path
) -> None:
    """The learning rate is so small that nothing moves."""
    own = train(tmp_path / "own", transcoders.model(), activation=activation, tokens=600)
    again = train(
        tmp_path / "again", transcoders.model(3), initial=own.path.parent, learning_rate=1e-30,
        auxiliary_coefficient=0.0, tokens=600, seed=5, **OWN,
    )  # fmt: skip
    before, after = own.transcoder.state_dict(), again.transcoder.state_dict()
    assert again.transcoder.activation == activation and again.transcoder.n_features == 24
    for name, value in before.items():
        if name != "threshold":  # of BatchTopK, which is calibrated again on the text
            assert torch.equal(value, after[name]), name


def test_a_refit_stays_near_and_a_fresh_one_does_not(
    base: TrainedTranscoder, tmp_path: Path
) -> None:
    model = transcoders.model()
    refit = train(tmp_path / "refit", model, initial=base.transcoder, seed=1, learning_rate=1e-3,
                  **OWN)  # fmt: skip
    fresh = train(tmp_path / "fresh", model, seed=1)

    def likeness(other: TrainedTranscoder) -> float:
        a, b = base.transcoder.encoder_weight, other.transcoder.encoder_weight
        return float(torch.nn.functional.cosine_similarity(a, b, dim=2).mean())

    assert likeness(refit) > 0.9 > 0.5 > likeness(fresh)
    assert min(refit.metrics["explained_variance"]) > 0


def test_identity_names_the_initial_and_tells_runs_apart(
    base: TrainedTranscoder, tmp_path: Path
) -> None:
    options: dict[str, Any] = {**OWN, "initial": base.path, "tokens": 600}
    refit = train(tmp_path / "run", transcoders.model(), **options)
    card = json.loads((tmp_path / "run" / CARD_FILE).read_text())
    sha = hash_state(base.transcoder, computed=False)
    assert card["settings"]["initial_sha256"] == sha and card["initial"] == str(base.path)
    assert refit.transcoder.info is not None
    assert refit.transcoder.info.options["initial_sha256"] == sha
    assert base.transcoder.info is not None
    assert "initial_sha256" not in base.transcoder.info.options
    assert train(tmp_path / "run", transcoders.model(), **options).card == card  # is finished
    with pytest.raises(ValueError, match="initial_sha256"):
        train(tmp_path / "run", transcoders.model(), tokens=600)


def test_an_initial_that_does_not_fit_is_refused(base: TrainedTranscoder, tmp_path: Path) -> None:
    model = transcoders.model()
    for changes, message in (
        ({"n_features": 25}, "n_features=25, but initial has 24: leave n_features out"),
        ({"activation": TopK(3)}, "activation=TopK"),
        ({"cross_layer": False}, "cross_layer=False, but initial has True"),
        ({"initial": random_transcoder(0, n_layers=2)}, "initial has 2 layers, the model 3"),
        ({"initial": random_transcoder(0, hidden_size=8)}, "8 numbers in a vector, the model 16"),
    ):
        options: dict[str, Any] = {**OWN, "initial": base.path, **changes}
        with pytest.raises(ValueError, match=message):
            train(tmp_path / "run", model, **options)
    assert not (tmp_path / "run").exists()
    with pytest.raises(FileNotFoundError):
        train(tmp_path / "run", model, initial=tmp_path, **OWN)


def test_the_flag_goes_on_from_a_run(
    base: TrainedTranscoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    transcoders.saved_model(tmp_path / "my-model")
    Path("my.txt").write_text("\n".join(transcoders.lines(300)) + "\n")
    argv = ["clt", "train", "./my-model", "--text", "my.txt", "--initial", str(base.path.parent),
            "--tokens", "600", "--context-length", "16", "-q", "--device", "cpu",
            "-o", "out"]  # fmt: skip
    assert main(argv) == 0
    settings = json.loads((tmp_path / "out" / CARD_FILE).read_text())["settings"]
    assert settings["n_features"] == 24 and settings["activation"] == {"kind": "topk", "k": 4}
    assert settings["initial_sha256"] == hash_state(base.transcoder, computed=False)
