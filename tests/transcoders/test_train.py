"""Runs of `train_transcoder`: results, resumes, kills, refusals, text that is never trained on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from helpers import tiny_models, transcoders
from helpers.transcoders import TEXTS, assert_same, train
from transformers import TrainerCallback

from ilo_fast.errors import CorpusError
from ilo_fast.training.run_folder import CARD_FILE, LOG_FILE
from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.files.fitting import check_fits
from ilo_fast.transcoders.files.folder import load_transcoder
from ilo_fast.transcoders.reading import MLPReader, watched
from ilo_fast.transcoders.training import buffer as buffer_module
from ilo_fast.transcoders.training import loop as train_loop
from ilo_fast.transcoders.training.log import read_log
from ilo_fast.transcoders.training.optimisation import Optimisation, StepRecord
from ilo_fast.transcoders.training.train import TrainedTranscoder
from ilo_fast.transcoders.windows import is_held_out, read_windows


@pytest.fixture(scope="module")
def model() -> Any:
    return transcoders.model()


@pytest.fixture(scope="module")
def whole(model: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedTranscoder:
    """A run that nobody disturbed."""
    return train(tmp_path_factory.mktemp("whole") / "run", model)


class StopError(Exception):
    """As a power cut."""


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, how: Any = StopError) -> None:
    original = Optimisation.step

    def stopping(self: Optimisation, x: torch.Tensor, y: torch.Tensor) -> StepRecord:
        if self.steps_done == step:
            if isinstance(how, type):
                raise how
            how(x, y)
        return original(self, x, y)

    monkeypatch.setattr(Optimisation, "step", stopping)


def test_result_is_what_its_folder_and_card_say(whole: TrainedTranscoder, model: Any) -> None:
    folder = whole.path.parent
    loaded = load_transcoder(folder)
    assert torch.equal(loaded.encoder_weight, load_transcoder(whole.path).encoder_weight)
    check_fits(loaded, MLPReader(model))
    card = json.loads((folder / CARD_FILE).read_text())
    assert card["status"] == "finished" and card["training"] == "of a transcoder"
    assert card["steps"] == 16 and abs(card["tokens"] - 4000) < 256
    assert loaded.info is not None
    assert loaded.info.tokens == card["tokens"] and loaded.info.skip_positions == 1
    assert loaded.info.languages == ("deu_Latn", "eng_Latn")
    assert loaded.info.metrics == card["metrics"] == whole.metrics
    assert card["text"]["languages"]["deu_Latn"]["tokens_held_out"] > 0
    log = read_log(folder / LOG_FILE)
    steps = [entry for entry in log if "loss" in entry]
    assert steps[0]["loss"] > steps[-1]["loss"]
    assert len(steps[-1]["explained_variance"]) == len(steps[-1]["dead"]) == 3
    assert log[-1] == {"step": 16, "held_out": whole.metrics}
    assert len([entry for entry in log if "held_out" in entry]) == 4
    assert sorted(p.name for p in folder.iterdir()) == [CARD_FILE, LOG_FILE, "transcoder"]


def test_metrics_are_those_of_a_loop_over_held_out_tokens(
    whole: TrainedTranscoder, model: Any
) -> None:
    _, held_out = read_windows(
        tiny_models.tokenizer(), TEXTS, context_length=16, eval_fraction=0.1, seed=0
    )
    x, y = (v[:, 1:].flatten(0, 1).double() for v in MLPReader(model).read(held_out.ids))
    loaded = whole.transcoder.double()
    dense = loaded.encode(x).to_dense()
    error = (loaded(x) - y).square().sum(2).sum(0)
    of = (y - y.mean(0)).square().sum(2).sum(0)
    assert whole.metrics["tokens"] == len(x)
    assert whole.metrics["explained_variance"] == pytest.approx((1 - error / of).tolist(), abs=1e-4)
    assert whole.metrics["l0"] == pytest.approx(
        (dense > 0).sum(2).double().mean(0).tolist(), abs=1e-4
    )
    never = (dense == 0).all(0).double().mean(1)
    assert whole.metrics["dead"] == pytest.approx(never.tolist(), abs=1e-5)
    whole.transcoder.float()


@pytest.mark.parametrize(
    ("activation", "stops"), [(TopK(4), (4, 8)), (BatchTopK(4), (8,)), (JumpReLU(), (8,))]
)
def test_resumed_run_ends_in_the_same_bits(
    activation: Any,
    stops: tuple[int, ...],
    model: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"activation": activation, "tokens": 2600, "save_steps": 3, "eval_steps": 4}
    straight = train(tmp_path / "straight", model, **options)
    for step in stops:
        with monkeypatch.context() as patch, pytest.raises(StopError):
            stop_at(patch, step)
            train(tmp_path / "run", model, **options)
    kept = sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*"))
    assert kept == ["checkpoint-3", "checkpoint-6"]
    resumed = train(tmp_path / "run", model, **options)
    assert_same(straight, resumed)
    assert resumed.metrics == straight.metrics
    assert read_log(tmp_path / "run" / LOG_FILE) == read_log(tmp_path / "straight" / LOG_FILE)
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_damaged_checkpoint_is_passed_over(
    whole: TrainedTranscoder,
    model: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch, pytest.raises(StopError):
        stop_at(patch, 8)
        train(tmp_path / "run", model, save_steps=3)
    state = tmp_path / "run" / "checkpoint-6" / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    assert_same(train(tmp_path / "run", model, save_steps=3), whole)
    assert "checkpoint-6 is damaged" in caplog.text


_PROGRAM = """
import os, signal, sys
from helpers import transcoders
from ilo_fast.transcoders.training.optimisation import Optimisation
original = Optimisation.step
def step(self, x, y):
    if self.steps_done == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, x, y)
Optimisation.step = step
transcoders.train(sys.argv[1], transcoders.model(), save_steps=3)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_killed_run_goes_on_to_the_same_bits(
    whole: TrainedTranscoder, model: Any, tmp_path: Path
) -> None:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    threads = str(torch.get_num_threads())
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": threads},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "run" / "checkpoint-6").is_dir()
    assert_same(train(tmp_path / "run", model, save_steps=3), whole)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_keeps_the_step_that_is_under_way(
    whole: TrainedTranscoder, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, 7, lambda x, y: os.kill(os.getpid(), signal.SIGINT))
        train(tmp_path / "run", model)
    assert (tmp_path / "run" / "checkpoint-8").is_dir()
    assert_same(train(tmp_path / "run", model), whole)


def test_numbers_that_break_down_are_named_with_step_and_checkpoint(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(x: torch.Tensor, y: torch.Tensor) -> None:
        y[0, 0, 0] = float("nan")

    with monkeypatch.context() as patch:
        stop_at(patch, 7, broken)
        with pytest.raises(FloatingPointError, match=r"step 8: loss nan.*checkpoint-6 is kept"):
            train(tmp_path / "run", model, save_steps=3)
    assert json.loads((tmp_path / "run" / CARD_FILE).read_text())["status"] == "running"
    assert train(tmp_path / "run", model, save_steps=3).card["status"] == "finished"


@pytest.mark.parametrize("changes", [{}, {"tokens": 200}, {"save_steps": 1, "eval_steps": 99}])
def test_weights_that_break_down_are_never_kept(model: Any, tmp_path: Path, changes: Any) -> None:
    wild = {"learning_rate": 1e308, "warmup_share": 0, "decay_share": 0} | changes
    with pytest.raises(FloatingPointError, match=r"step [12]: .*no checkpoint yet.*learning_rate"):
        train(tmp_path / "run", model, **wild)
    assert not list((tmp_path / "run").glob("checkpoint-*/complete.json"))
    assert not (tmp_path / "run" / "transcoder").exists()


def test_inputs_that_break_down_are_named_with_step_and_checkpoint(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(monkeypatch, 7, lambda x, y: x[0, 0].fill_(float("nan")))
    with pytest.raises(FloatingPointError, match=r"step 8: row 0 .*NaN.*checkpoint-6 is kept"):
        train(tmp_path / "run", model, save_steps=3)


def test_batches_are_never_more_than_all_tokens(model: Any, tmp_path: Path) -> None:
    result = train(tmp_path / "run", model, batch_tokens=10**6, tokens=600)
    assert result.card["tokens"] == 600 and result.card["steps"] == 1


def test_finished_run_is_recognised_and_other_settings_are_refused(
    whole: TrainedTranscoder, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = whole.path.parent
    monkeypatch.setattr(train_loop.TranscoderTraining, "go", None)  # nothing is trained
    assert_same(train(folder, model), whole)
    for changes in ({"n_features": 25}, {"cross_layer": False}, {"seed": 1}, {"dead_after": 9}):
        (name,) = changes
        with pytest.raises(ValueError, match=rf"holds a run of other settings \({name} was"):
            train(folder, model, **changes)
    with pytest.raises(ValueError, match="weights_sha256 was"):
        train(folder, transcoders.model(1))
    with pytest.raises(ValueError, match="text_sha256"):
        train(folder, model, TEXTS | {"eng_Latn": transcoders.lines(121, "the")})


def test_damaged_result_is_not_taken_for_the_run(model: Any, tmp_path: Path) -> None:
    weights = train(tmp_path / "run", model, tokens=600).path / "transcoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"transcoder is damaged \(altered: transcoder.saf"):
        train(tmp_path / "run", model, tokens=600)
    anew = train(tmp_path / "run", model, tokens=600, overwrite=True)
    assert load_transcoder(anew.path).info is not None


def test_held_out_lines_are_never_read_in_training(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[int, int]] = set()
    numbers: list[int] = []

    class Watching(buffer_module.ShuffleBuffer):
        def batch(self, number: int) -> buffer_module.Batch:
            batch = super().batch(number)
            numbers.append(number)
            seen.update(zip(batch.language.tolist(), batch.document.tolist(), strict=True))
            return batch

    monkeypatch.setattr(train_loop, "ShuffleBuffer", Watching)
    steps = train(tmp_path / "run", model, tokens=8000).card["steps"]
    assert sorted(set(numbers)) == list(range(steps))
    held = {n for n in range(120) if is_held_out(n, seed=0, eval_fraction=0.1)}
    assert held and {language for language, _ in seen} == {0, 1}
    assert not held & {line for _, line in seen}
    assert len(seen) > 1.5 * (120 - len(held))


def test_point_that_is_trained_on_is_the_one_that_is_replaced(model: Any) -> None:
    """What the reader gives is, to the bit, what a hook that replaces sees, and changes."""
    reader = MLPReader(model)
    ids = torch.randint(4, 30, (2, 9))
    x, y = reader.read(ids)
    shown: dict[tuple[str, int], torch.Tensor] = {}
    instead = torch.zeros(2, 9, 16)
    with torch.no_grad():
        before = model(ids).logits
        with watched(
            reader.sites,
            lambda layer, value: shown.update({("x", layer): value.clone()}),
            lambda layer, value: shown.update({("y", layer): value.clone()}),
        ):
            assert torch.equal(model(ids).logits, before)
        for layer in range(3):
            assert torch.equal(shown["x", layer], x[:, :, layer])
            assert torch.equal(shown["y", layer], y[:, :, layer])
        with watched(reader.sites, lambda *_: None, lambda at, _: instead if at == 1 else None):
            without = model(ids).logits
            _, changed = reader.read(ids)
    assert not torch.equal(without, before)
    assert torch.equal(changed[:, :, 0], y[:, :, 0])


def test_per_layer_control_has_no_weights_into_later_layers(model: Any, tmp_path: Path) -> None:
    result = train(tmp_path / "run", model, cross_layer=False, tokens=2000)
    assert [w.shape for w in result.transcoder.decoder_weights] == [(24, 1, 16)] * 3
    assert np.isfinite(result.metrics["explained_variance"]).all()


def test_bad_input_is_refused_before_the_folder_is_made(model: Any, tmp_path: Path) -> None:
    for changes, words in (
        ({"context_length": 65}, "context_length=65, but the model takes 64 positions"),
        ({"n_features": 3}, r"k=4 of n_features=3"),
        ({"activation": "topk"}, "activation must be JumpReLU"),
        ({"warmup_share": 2}, "warmup_share=2"),
        ({"tokens": 0}, "tokens=0"),
        ({"eval_fraction": 5e-324}, "eval_fraction=5e-324: wanted a share from 1e-06 to 0.5"),
        ({"n_features": 2**40}, "n_features=1099511627776 makes a transcoder .* MB are free"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            train(tmp_path / "run", model, **changes)
    with pytest.raises(CorpusError, match="eng_Latn: its text to train on is"):
        train(tmp_path / "run", model, {"eng_Latn": ["a"]})
    other = tiny_models.tokenizer()
    other.add_tokens([*(f"x{i}" for i in range(tiny_models.VOCABULARY)), "das"])  # unknown ids
    with pytest.raises(ValueError, match=rf"token id {len(other) - 1}, and the model knows"):
        train(tmp_path / "run", model, tokenizer=other)
    assert not (tmp_path / "run").exists()


def test_model_and_caller_are_left_as_they_were(model: Any, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    state, handler = torch.get_rng_state(), signal.getsignal(signal.SIGINT)
    model.train()
    train(tmp_path / "run", model, tokens=600)
    assert model.training
    model.eval()
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert signal.getsignal(signal.SIGINT) is handler


def test_half_precision_is_of_the_language_model_alone(model: Any, tmp_path: Path) -> None:
    reader = MLPReader(model)
    ids = torch.randint(4, 30, (2, 9))
    x, y = reader.read(ids)
    rough_x, rough_y = reader.read(ids, torch.bfloat16)
    assert rough_x.dtype == rough_y.dtype == torch.float32
    for exact, rough in ((x, rough_x), (y, rough_y)):
        assert 1e-4 < (exact - rough).norm() / exact.norm() < 0.05
    result = train(tmp_path / "run", model, dtype="bfloat16", tokens=600)
    assert result.card["precision"] == "bfloat16"
    assert all(w.dtype == torch.float32 for w in result.transcoder.parameters())


class Recorder(TrainerCallback):
    """A logger as transformers has them."""

    seen: ClassVar[list[tuple[int, dict[str, float]]]] = []
    ended: ClassVar[int] = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        Recorder.seen.append((state.global_step, logs))

    def on_train_end(self, *_: Any, **__: Any) -> None:
        Recorder.ended += 1


def test_loggers_of_transformers_get_the_numbers(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "transformers.integrations.get_reporting_integration_callbacks",
        lambda names: [Recorder] if names == ["mine"] else pytest.fail(str(names)),
    )
    result = train(tmp_path / "run", model, tokens=1000, report_to="mine", logging_steps=2)
    steps = [step for step, logs in Recorder.seen if "loss" in logs]
    assert steps == [1, 2, 4] and Recorder.ended == 1
    (last,) = [logs for step, logs in Recorder.seen if step == 4 and "eval_l0" in logs]
    assert last["eval_l0"] == pytest.approx(np.mean(result.metrics["l0"]), rel=1e-4)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"report_to=\['nothing'\]"):
        train(tmp_path / "other", model, report_to="nothing")
