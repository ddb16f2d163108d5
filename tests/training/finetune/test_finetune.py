"""finetune(): what is trained and what is not, resumption, the run card, clear errors."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import random
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from helpers import tiny_models
from safetensors import SafetensorError
from safetensors.torch import load_file

from ilo_fast._util.hashing import digest, hash_file
from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.corpora.text import read_text, shared_lines
from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.training import loop
from ilo_fast.training.finetune import examples as ex
from ilo_fast.training.finetune import order
from ilo_fast.training.finetune.finetune import FineTuned, finetune
from ilo_fast.training.finetune.identity import tokenizer_hash
from ilo_fast.training.run_folder import read_card

WORDS = [
    "water",
    "cold",
    "today",
    "river",
    "winter",
    "snow",
    "bread",
    "house",
    "green",
    "small",
    "walks",
    "reads",
    "rain",
    "old",
]


def sentences(n: int, seed: int = 0) -> list[str]:
    """Distinct sentences of two to twelve words."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        found[" ".join(rng.choices(WORDS, k=rng.randint(2, 12)))] = None
    return list(found)


LINES = sentences(40)
CORPUS = ParallelCorpus.from_dict(
    {code: tiny_models.SENTENCES[code] for code in ("eng_Latn", "deu_Latn", "fra_Latn")}
)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folder of a tiny model of an architecture, with its head for text and a tokenizer."""
    made: dict[tuple[str, bool], Path] = {}

    def make(name: str, *, pad: bool = True) -> Path:
        if (name, pad) not in made:
            config = tiny_models.ARCHITECTURES[name][0]()
            if not pad:
                config.pad_token_id = None
            torch.manual_seed(0)
            causal = name in ("llama", "gpt2")
            model = (hf.AutoModelForCausalLM if causal else hf.AutoModel).from_config(config)
            folder = tmp_path_factory.mktemp(f"{name}-{pad}")
            with loop.quiet():
                model.save_pretrained(folder)
            tiny_models.tokenizer(pad=pad).save_pretrained(folder)
            made[name, pad] = folder
        return made[name, pad]

    return make


def train(model: Any, output: Path, data: Any = LINES, **options: Any) -> FineTuned:
    settings: dict[str, Any] = {
        "device": "cpu", "progress": False, "max_steps": 4, "batch_size": 4, "learning_rate": 1e-2,
    }  # fmt: skip
    return finetune(model, data, output, **(settings | options))


def weights(result: FineTuned) -> dict[str, torch.Tensor]:
    return load_file(result.path / "model.safetensors")


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different


class StopAt(hf.TrainerCallback):
    """Raises after a step, as a power cut or Ctrl-C would end the run."""

    def __init__(self, step: int, error: type[BaseException] = RuntimeError) -> None:
        self.step, self.error = step, error

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise self.error("stopped by the test")


class Watch(hf.TrainerCallback):
    """Keeps the weights at the start, and what is logged."""

    def __init__(self) -> None:
        self.start: dict[str, torch.Tensor] = {}
        self.logs: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        self.logs.append(dict(logs))

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.start = {n: p.detach().clone() for n, p in others["model"].state_dict().items()}


def labelled(*, n: int = 24, dev: bool = True) -> LabelledCorpus:
    """Cold or warm, told apart by one word."""
    rows = [(f"{line} {('zzz', 'qqq')[i % 2]}", ("cold", "warm")[i % 2])
            for i, line in enumerate(sentences(n + 8, seed=1))]  # fmt: skip
    texts, labels = zip(*rows, strict=True)
    splits = {"train": (texts[:n], labels[:n])}
    if dev:
        splits["dev"] = (texts[n:], labels[n:])
    return LabelledCorpus.from_dict({"eng_Latn": splits, "deu_Latn": dict(splits)})


# --- text


def test_demo_text_is_distinct_and_not_in_the_demo_corpus() -> None:
    lines = read_text("demo", "eng_Latn")
    loose = [letters(line) for line in lines]
    assert 350 < len(lines) < 450 and len(set(loose)) == len(lines)
    assert all(line.isascii() or unicodedata.is_normalized("NFC", line) for line in lines)
    measured = {letters(s) for texts in ParallelCorpus.demo().sentences.values() for s in texts}
    assert not measured & set(loose)


def test_demo_text_is_in_no_test_corpus(corpora: Path) -> None:
    own = {letters(line) for line in read_text("demo", "eng_Latn")}
    files = sorted(corpora.rglob("eng_Latn.*"))
    assert files
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            text = json.loads(line)["text"] if path.suffix == ".jsonl" else line
            assert letters(text) not in own, (path, text)


def letters(line: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", line).casefold() if c.isalnum())


def test_read_text_from_everything_it_takes(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, text in ((first, "one\n\n two \n"), (second, "three\n")):
        folder.mkdir()
        (folder / "eng_Latn.txt").write_text(text, encoding="utf-8")
    (second / "deu_Latn.txt").write_text("drei\n", encoding="utf-8")
    assert read_text(first, "eng_Latn") == ("one", " two ")
    assert read_text(str(first / "eng_Latn.txt"), "swe_Latn") == ("one", " two ")
    assert read_text([first, second], "eng_Latn") == ("one", " two ", "three")
    assert read_text([first, second], "deu_Latn") == ("drei",)
    assert read_text(["x", " ", "y"], "eng_Latn") == ("x", "y")
    assert read_text(CORPUS, "fra_Latn") == CORPUS.sentences["fra_Latn"]


@pytest.mark.parametrize("kind", ["folder", "folders", "mapping", "demo"])
def test_language_without_text_names_those_that_have_some(kind: str, tmp_path: Path) -> None:
    for code in ("deu_Latn", "fra_Latn"):
        (tmp_path / f"{code}.txt").write_text("text\n", encoding="utf-8")
    source = {
        "folder": tmp_path,
        "folders": [tmp_path, tmp_path],
        "mapping": {"deu_Latn": ["a"], "fra_Latn": ["b"]},
        "demo": "demo",
    }[kind]
    has = "eng_Latn" if kind == "demo" else "deu_Latn, fra_Latn"
    with pytest.raises(CorpusError, match=rf"swe_Latn.*{has}"):
        read_text(source, "swe_Latn")


def test_read_text_refuses_what_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="wanted sentences, got 3"):
        read_text(["a", 3], "eng_Latn")
    with pytest.raises(CorpusError, match="only blank lines"):
        read_text(["", "  "], "eng_Latn")
    with pytest.raises(AccessError, match=r"nowhere\.txt"):
        read_text(tmp_path / "nowhere.txt", "eng_Latn")


def test_shared_lines_are_found_whatever_their_case_and_spaces() -> None:
    corpus = {"eng_Latn": ["A  b.", "c", "\uff24"], "deu_Latn": ["x", "a B."]}
    found = shared_lines(["a b. ", "d", "not there"], corpus)
    assert found == [("eng_Latn", 1), ("eng_Latn", 3), ("deu_Latn", 2)]
    assert shared_lines(["a b"], corpus) == []


# --- examples


def test_held_out_lines_are_not_trained_on_even_if_repeated() -> None:
    lines = [*LINES, *(line.upper() for line in LINES), LINES[0]]
    kept, held = ex.hold_out(lines, 0.25)
    assert sorted(kept + held) == sorted(lines)
    assert len({line.lower() for line in held}) == 10  # a quarter of 40 distinct lines
    assert not {line.lower() for line in held} & {line.lower() for line in kept}
    assert ex.hold_out(LINES, 0) == (LINES, [])
    assert len(ex.hold_out(LINES, 1e-6)[1]) == 1


def test_long_lines_go_on_in_further_examples() -> None:
    tokenizer = tiny_models.tokenizer()
    line = "abcdefghij"
    whole = tokenizer(line)["input_ids"]
    pieces = [e["input_ids"] for e in ex.text_examples(tokenizer, [line], 5)]
    assert [i for piece in pieces for i in piece] == whole and [len(p) for p in pieces] == [5, 5, 2]
    # A piece of one token predicts nothing.
    assert len(ex.text_examples(tokenizer, [line[:-1]], 5)) == 2


def test_padding_is_no_target_but_its_token_within_the_text_is() -> None:
    batch = ex.Padding(2)([{"input_ids": [5, 2]}, {"input_ids": [5, 6, 7]}])
    assert batch["input_ids"].tolist() == [[5, 2, 2], [5, 6, 7]]
    # Nothing predicts the first token.
    assert batch["labels"].tolist() == [[ex.IGNORED, 2, ex.IGNORED], [ex.IGNORED, 6, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_batches_hold_examples_of_about_one_length() -> None:
    lengths = np.random.default_rng(3).integers(1, 100, 1003)
    sampler = order.LengthSampler(lengths.tolist(), 10, seed=1)
    orders = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(1003))
    assert orders[0] != orders[1]
    again = order.LengthSampler(lengths.tolist(), 10, seed=1)
    again.set_epoch(1)
    assert list(again) == orders[1]
    other = order.LengthSampler(lengths.tolist(), 10, seed=2)
    other.set_epoch(1)
    assert list(other) != orders[1]

    def padded(order: list[int]) -> int:
        return sum(10 * max(lengths[order[i : i + 10]]) for i in range(0, len(order), 10))

    assert padded(orders[0]) < 1.1 * lengths.sum() < 0.7 * padded(list(range(1003)))
    # Short batches and long ones are mixed, else the end of an epoch would be all long texts.
    firsts = [lengths[orders[0][i]] for i in range(0, 1000, 10)]
    assert abs(np.mean(firsts[:50]) - np.mean(firsts[50:])) < 20


def test_every_epoch_has_its_own_order() -> None:
    sampler = order.LengthSampler([3] * 40, 4, seed=1)
    callback = order._EpochOfOrder(sampler)
    orders = []
    for epoch in (None, 0.0, 1.0, 1.5, 2.0):
        callback.on_epoch_begin(None, hf.TrainerState(epoch=epoch), None)
        orders.append(list(sampler))
    assert orders[0] == orders[1] and orders[2] == orders[3]
    assert len({tuple(found) for found in orders}) == 3


def test_perplexity_counts_every_target_once(folder_of: Callable[..., Path]) -> None:
    model = hf.AutoModelForCausalLM.from_pretrained(folder_of("llama")).eval()
    tokenizer = tiny_models.tokenizer()
    lines = ["she reads", "we walk along the river"]
    rows = ex.text_examples(tokenizer, lines, 64)
    batch = ex.Padding(1)(rows)
    with torch.no_grad():
        sums = ex.language_model_loss(model(**batch).logits, batch["labels"])
        total, count = 0.0, 0
        for row in rows:  # one at a time, unpadded
            ids = torch.tensor([row["input_ids"]])
            total += float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
    # All that the Trainer may count as targets, and no more.
    assert int((batch["labels"] != ex.IGNORED).sum()) == count
    metrics = ex.language_model_metrics(hf.EvalPrediction(sums.numpy(), None))
    assert metrics["token_loss"] == pytest.approx(total / count, rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-4)


def test_macro_f1_by_hand() -> None:
    prediction = hf.EvalPrediction(np.array([0, 0, 1, 1, 0]), np.array([0, 1, 1, 1, 2]))
    found = ex.classification_metrics(prediction)
    # class 0: 1 hit of 3 predicted, 1 true; 1: 2 hits of 2 and 3; 2: none
    assert found["macro_f1"] == pytest.approx((2 / 4 + 4 / 5 + 0) / 3)
    assert found["accuracy"] == pytest.approx(3 / 5)


# --- a run


def test_run_leaves_a_model_a_card_and_measurements(
    folder_of: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = folder_of("llama")
    result = train(
        start, tmp_path / "run", freeze=[0], corpus=CORPUS, heldout=0.2, max_steps=9,
        evaluate_every=3, overlap_options={"n_neighbors": 2, "threshold": 1},
    )  # fmt: skip
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err == ""

    card = json.loads((tmp_path / "run" / "run_card.json").read_text(encoding="utf-8"))
    assert card == result.card and card["status"] == "finished"
    assert card["settings"]["freeze"] == [0] and card["settings"]["seed"] == 0
    assert card["model"]["weights_sha256"] == digest([hash_file(start / "model.safetensors")])
    assert card["data"]["train"]["examples"] == 32 and card["data"]["evaluation"]["examples"] == 8
    assert set(card["versions"]) >= {"ilo_fast", "torch", "transformers", "accelerate"}
    total = sum(p.numel() for p in result.model.parameters())
    assert card["parameters"]["total"] == total == card["frozen"]["n_total"]
    assert card["parameters"]["trainable"] == total - card["frozen"]["n_parameters"]
    assert card["frozen"]["layers"] == [0] and card["frozen"]["embeddings"]
    assert [e["step"] for e in card["evaluations"]] == [0, 3, 6, 9] and card["steps"] == 9
    assert card["evaluations"][-1]["perplexity"] < 0.9 * card["evaluations"][0]["perplexity"]
    assert result.metrics == {k: v for k, v in card["evaluations"][-1].items() if k != "step"}
    assert [(r.step, r.event) for r in result.overlap] == [
        (0, "start"), (3, "evaluate"), (6, "evaluate"), (9, "evaluate")
    ]  # fmt: skip
    assert card["overlap"] == "overlap.jsonl" and card["shared_lines"] == []
    assert not list((tmp_path / "run").glob("checkpoint-*"))

    loaded = hf.AutoModelForCausalLM.from_pretrained(result.path)
    assert_same(loaded.state_dict(), result.model.state_dict())
    assert loaded.config.use_cache and not result.model.training
    assert all(p.requires_grad for p in result.model.parameters())
    assert (
        hf.AutoTokenizer.from_pretrained(result.path)("rain")["input_ids"]
        == (tiny_models.tokenizer()("rain")["input_ids"])
    )
    before = load_file(start / "model.safetensors")
    frozen = set(card["frozen"]["names"])
    changed = {n for n, w in weights(result).items() if not torch.equal(w, before[n])}
    assert changed == set(before) - frozen and frozen


def test_runs_that_differ_in_what_is_frozen_start_alike(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    starts, losses = [], []
    for number, options in enumerate(
        [{}, {"freeze": [0]}, {"freeze": [2], "freeze_embeddings": False}, {"seed": 1}]
    ):
        watch = Watch()
        # BERT has dropout: the first loss depends on the head, the batch and the mask.
        result = train(
            folder_of("bert"), tmp_path / str(number), labelled(), max_steps=2, callbacks=[watch],
            **options,
        )  # fmt: skip
        starts.append(watch.start)
        losses.append(result.card["losses"][0]["loss"])
    assert "classifier.weight" in starts[0] and starts[0]["classifier.weight"].std() > 0
    for other in starts[1:3]:
        assert_same(starts[0], other)
    assert not torch.equal(starts[0]["classifier.weight"], starts[3]["classifier.weight"])
    assert losses[0] == losses[1] == losses[2] != losses[3]


def test_same_seed_same_weights_and_the_callers_randomness_is_left_alone(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    results, start = [], folder_of("gpt2")
    for number in range(2):
        torch.manual_seed(number)
        np.random.seed(number)
        random.seed(number)
        expected = torch.rand(3), np.random.rand(), random.random()
        torch.manual_seed(number)
        np.random.seed(number)
        random.seed(number)
        results.append(train(start, tmp_path / str(number)))
        assert torch.equal(torch.rand(3), expected[0])
        assert (np.random.rand(), random.random()) == expected[1:]
    assert_same(weights(results[0]), weights(results[1]))


def test_warm_up_is_a_share_of_the_steps(folder_of: Callable[..., Path], tmp_path: Path) -> None:
    result = train(folder_of("llama"), tmp_path / "run", max_steps=8, warmup=0.5)
    rates = {entry["step"]: entry["learning_rate"] for entry in result.card["losses"]}
    # The rate of step s is that of s - 1 finished steps: up in 4, down to 0 in 4.
    expected = {s: 1e-2 * min((s - 1) / 4, (8 - (s - 1)) / 4) for s in range(1, 9)}
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "task"),
    [("gpt2", "text"), ("llama", "text"), ("bert", "labels"), ("llama", "labels")],
)
def test_accumulated_batches_are_one_large_batch(
    name: str, task: str, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    data = LINES[:24] if task == "text" else labelled(dev=False)
    folder, no_dropout = folder_of(name), {
        "gpt2": {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0},
        "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        "llama": {},
    }[name]  # fmt: skip
    auto = hf.AutoModelForCausalLM if task == "text" else hf.AutoModelForSequenceClassification
    logs, after = [], []
    for size, parts in ((24, 1), (6, 4)):
        torch.manual_seed(0)
        with loop.quiet():
            model = auto.from_pretrained(folder, **no_dropout)
        start = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        watch = Watch()
        train(
            model, tmp_path / str(parts), data, max_steps=3, heldout=0.0, warmup=0.0,
            batch_size=size, accumulate=parts, learning_rate=1e-3, callbacks=[watch],
            tokenizer=tiny_models.tokenizer(),
        )  # fmt: skip
        logs.append([(e["loss"], e["grad_norm"]) for e in watch.logs if "loss" in e])
        after.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert np.allclose(logs[0], logs[1], rtol=1e-3)
    assert (after[0] - after[1]).norm() < 0.02 * (after[0] - start).norm()


# --- resumption


@pytest.fixture(scope="session")
def straight(folder_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    """GPT-2 has dropout; 36 lines in batches of 8 make epochs of 5 steps, two are begun."""
    return train(folder_of("gpt2"), tmp_path_factory.mktemp("straight") / "run", **RESUMED)


RESUMED: dict[str, Any] = {
    "max_steps": 8, "batch_size": 8, "heldout": 0.1, "freeze": [0], "evaluate_every": 4,
    "corpus": CORPUS, "overlap_options": {"n_neighbors": 2, "threshold": 1}, "save_every": 1,
}  # fmt: skip


@pytest.mark.parametrize("step", [3, 5, 7])
def test_interrupted_run_goes_on_to_the_same_weights(
    step: int, straight: FineTuned, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    output = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped by the test"):
        train(folder_of("gpt2"), output, callbacks=[StopAt(step)], **RESUMED)
    card = read_card(output)
    assert card is not None and card["status"] == "running" and not (output / "model").exists()
    result = train(folder_of("gpt2"), output, **RESUMED)
    assert_same(weights(straight), weights(result))
    assert [r.step for r in result.overlap] == [r.step for r in straight.overlap] == [0, 4, 8]
    ilo = {record.step: record.scores.ilo for record in result.overlap}
    for record in straight.overlap:
        assert np.array_equal(record.scores.ilo, ilo[record.step])
    assert result.metrics == straight.metrics
    assert result.card["started"] == card["started"]


@pytest.mark.parametrize(("name", "data"), [("gpt2", "text"), ("bert", "labels")])
def test_interrupted_accumulation_goes_on_to_the_same_weights(
    name: str, data: str, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    # 5 batches an epoch, 2 to a step: the last step of an epoch has one.
    options = {"accumulate": 2, "max_steps": 5, "save_every": 2, "batch_size": 5, "heldout": 0.0}
    given = LINES[:24] if data == "text" else labelled()
    folder = folder_of(name)
    straight = train(folder, tmp_path / "a", given, **options)
    with pytest.raises(RuntimeError, match="stopped"):
        train(folder, tmp_path / "b", given, callbacks=[StopAt(3)], **options)
    assert_same(weights(straight), weights(train(folder, tmp_path / "b", given, **options)))


def test_half_written_checkpoint_is_not_resumed_from(
    straight: FineTuned, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    class CutWhileSaving(hf.TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == 4:  # the files are there, the run has not been told
                weights = Path(args.output_dir) / "checkpoint-4" / "model.safetensors"
                weights.write_bytes(weights.read_bytes()[:100])
                raise KeyboardInterrupt

    output = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder_of("gpt2"), output, callbacks=[CutWhileSaving()], **RESUMED)
    seen: list[int] = []

    class Note(hf.TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            seen.append(state.global_step)

    result = train(folder_of("gpt2"), output, callbacks=[Note()], **RESUMED)
    assert seen == [3]
    assert_same(weights(straight), weights(result))


def test_without_a_checkpoint_the_run_begins_again(
    straight: FineTuned, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    options = RESUMED | {"save_every": 100}
    output = tmp_path / "run"
    with pytest.raises(RuntimeError):
        train(folder_of("gpt2"), output, callbacks=[StopAt(5)], **options)
    result = train(folder_of("gpt2"), output, **options)
    assert_same(weights(straight), weights(result))
    assert [r.step for r in result.overlap] == [r.step for r in straight.overlap]


def test_finished_run_comes_back_without_training(
    straight: FineTuned, folder_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*args: Any, **options: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("ilo_fast.training.finetune.run.LengthTrainer", no)
    again = train(folder_of("gpt2"), straight.path.parent, **RESUMED)
    assert again.card == straight.card and again.metrics == straight.metrics
    assert [r.step for r in again.overlap] == [0, 4, 8]
    assert_same(again.model.state_dict(), straight.model.state_dict())
    assert again.tokenizer("rain") == straight.tokenizer("rain")


def test_run_of_other_settings_is_refused_and_named(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    output = tmp_path / "run"
    train(folder_of("llama"), output, max_steps=1)
    before = (output / "run_card.json").read_bytes()
    with pytest.raises(ValueError, match=r"learning_rate was 0\.01, now 0\.02.*overwrite=True"):
        train(folder_of("llama"), output, max_steps=1, learning_rate=2e-2)
    with pytest.raises(ValueError, match="data_sha256"):
        train(folder_of("llama"), output, LINES[:-1], max_steps=1)
    with pytest.raises(ValueError, match="weights_sha256"):
        train(folder_of("gpt2"), output, max_steps=1)
    assert (output / "run_card.json").read_bytes() == before
    replaced = train(folder_of("llama"), output, max_steps=1, learning_rate=2e-2, overwrite=True)
    assert replaced.card["settings"]["learning_rate"] == 2e-2


def test_tokenizer_and_configuration_are_part_of_a_run(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    model, run = tmp_path / "model", tmp_path / "run"
    shutil.copytree(folder_of("gpt2"), model)
    first = train(model, run, max_steps=1)
    used = tiny_models.tokenizer()
    used(["a b", "c"], truncation=True, max_length=3, padding=True)  # of a call, nothing stays
    assert train(model, run, max_steps=1, tokenizer=used).card == first.card
    for other in (tiny_models.tokenizer(offset=7), tiny_models.tokenizer(specials=False)):
        with pytest.raises(ValueError, match="tokenizer_sha256 was"):
            train(model, run, max_steps=1, tokenizer=other)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    write(model / "config.json", config | {"_name_or_path": "x", "transformers_version": "5.0"})
    assert train(model, run, max_steps=1).card == first.card
    write(model / "config.json", config | {"resid_pdrop": 0.9})
    with pytest.raises(ValueError, match="config_sha256 was"):
        train(model, run, max_steps=1)


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def test_tokenizer_in_python_is_known_by_its_vocabulary() -> None:
    class Slow:
        def __init__(self, **vocabulary: int) -> None:
            self.vocabulary = vocabulary
            self.pad_token_id: int | None = None

        def get_vocab(self) -> dict[str, int]:
            return self.vocabulary

    one, other, same = Slow(a=1, b=2), Slow(a=2, b=1), Slow(b=2, a=1)
    assert tokenizer_hash(one) == tokenizer_hash(same) != tokenizer_hash(other)
    same.pad_token_id = 2
    assert tokenizer_hash(one) != tokenizer_hash(same)


def test_what_the_caller_has_frozen_is_part_of_a_run(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    run, models = tmp_path / "run", []
    for _ in range(2):
        models.append(hf.AutoModelForCausalLM.from_pretrained(folder_of("llama")))
    name = "model.layers.1.mlp.up_proj.weight"
    models[1].get_parameter(name).requires_grad_(False)
    assert train(models[0], run, max_steps=1).card["frozen_before"] == []
    with pytest.raises(ValueError, match="frozen_before was"):
        train(models[1], run, max_steps=1)
    card = train(models[1], run, max_steps=1, overwrite=True).card
    assert card["frozen"] is None and card["frozen_before"] == [name]
    assert [n for n, p in models[1].named_parameters() if not p.requires_grad] == [name]


def test_overwriting_waits_until_cheap_errors_are_ruled_out(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    model, run = folder_of("llama"), tmp_path / "run"
    first = train(model, run, max_steps=1)
    measured = {"corpus": CORPUS, "max_steps": 1, "overwrite": True}
    good = {"n_neighbors": 2, "threshold": 1}
    for options, error, message in (
        ({"report_to": "tensorbord", "overlap_options": good}, ValueError, "tensorbord"),
        ({"overlap_options": {"n_neighbours": 3}}, TypeError, "n_neighbours"),
        ({"overlap_options": good | {"n_neighbors": 15}}, ValueError, "n_neighbors=15 must be 1"),
        ({"overlap_options": good | {"threshold": 3}}, ValueError, "threshold=3 must be 1 to 2"),
        ({"overlap_options": good | {"layers": [99]}}, ValueError, "99.* 3 blocks"),
    ):
        with pytest.raises(error, match=message):
            train(model, run, learning_rate=2e-2, **measured | options)
        assert read_card(run) == first.card
        assert_same(weights(first), load_file(run / "model" / "model.safetensors"))


def test_unfinished_run_with_nothing_to_lose_gives_way_to_other_settings(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    model, output = folder_of("llama"), tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped"):
        train(model, output, callbacks=[StopAt(1)], seed=1)
    assert_same(
        weights(train(model, output, seed=2)), weights(train(model, tmp_path / "b", seed=2))
    )


def test_two_trainings_in_one_folder_are_refused(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    model, output = folder_of("llama"), tmp_path / "run"

    class Second(hf.TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            with pytest.raises(ValueError, match="another process trains in it"):
                train(model, output)
            self.refused = True

    second = Second()
    train(model, output, callbacks=[second])
    assert second.refused
    assert ".lock" not in {entry.name for entry in output.iterdir()}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["frozen", "lora", "classifier"])
def test_an_error_leaves_the_callers_model_as_it_was(
    kind: str, error: type[BaseException], folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    if kind == "lora":
        pytest.importorskip("peft")
    auto = hf.AutoModelForCausalLM
    if kind != "frozen":
        auto = hf.AutoModelForSequenceClassification
    with loop.quiet():
        model = auto.from_pretrained(folder_of("llama"), pad_token_id=None).eval()
    model.model.norm.weight.requires_grad_(False)

    def state() -> Any:
        modules = {name: (id(m), m.training) for name, m in model.named_modules()}
        parameters = {
            name: (id(p), p.requires_grad, p.grad) for name, p in model.named_parameters()
        }
        return modules, parameters, model.config.to_dict(), sorted(vars(model))

    before = state()
    options: dict[str, Any] = {"freeze": range(2)} if kind == "frozen" else {"dtype": "bfloat16"}
    if kind == "lora":
        options = {"lora": 2, "freeze": [0]}
    options |= {"tokenizer": tiny_models.tokenizer(), "batch_size": 8}
    data = LINES if kind == "frozen" else labelled()
    with pytest.raises(error, match="stopped"):
        train(model, tmp_path / "run", data, callbacks=[StopAt(1, error)], **options)
    assert state() == before
    result = train(model, tmp_path / "run", data, overwrite=True, **options)
    assert result.model is model
    trainable = {name: trained for name, (_, trained, _) in before[1].items()}
    assert {name: p.requires_grad for name, p in model.named_parameters()} == trainable
    assert sorted(vars(model)) == before[3] and model.config.use_cache


def test_folder_with_something_else_is_left_alone(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("x", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"something else \(thesis\.tex\)"):
            train(folder_of("llama"), tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(AccessError, match="is a file"):
        train(folder_of("llama"), tmp_path / "thesis.tex")


# --- classification


@pytest.mark.parametrize("name", ["llama", "bert", "bart"])
def test_classifier_learns(name: str, folder_of: Callable[..., Path], tmp_path: Path) -> None:
    result = train(
        folder_of(name), tmp_path / "run", labelled(), max_steps=40, learning_rate=5e-3,
        evaluate_every=20,
    )  # fmt: skip
    assert result.metrics["accuracy"] == 1.0 and result.metrics["macro_f1"] == 1.0
    assert result.model.config.id2label == {0: "cold", 1: "warm"}
    loaded = hf.AutoModelForSequenceClassification.from_pretrained(result.path).eval()
    assert_same(loaded.state_dict(), result.model.state_dict())
    batch = result.tokenizer(["rain today zzz", "old house qqq"], padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    assert loaded(**batch).logits.argmax(dim=1).tolist() == [0, 1]


def test_classifier_without_padding_token_gets_one(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    result = train(folder_of("llama", pad=False), tmp_path / "run", labelled(), max_steps=2)
    pad = result.model.config.pad_token_id
    assert pad is not None and result.tokenizer.pad_token_id == pad
    # A padded batch is classified as its sentences are one at a time.
    lines = ["rain", "old house today qqq"]
    batch = result.tokenizer(lines, padding=True, return_tensors="pt")
    together = result.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    for line, row in zip(lines, together.logits, strict=True):
        alone = result.model(input_ids=torch.tensor([result.tokenizer(line)["input_ids"]])).logits
        assert torch.allclose(alone[0], row, atol=1e-5)


def test_classifier_without_dev_split_is_not_evaluated_but_measured(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    result = train(
        folder_of("bert"), tmp_path / "run", labelled(dev=False), corpus=CORPUS, evaluate_every=2,
        overlap_options={"n_neighbors": 2, "threshold": 1},
    )  # fmt: skip
    assert result.metrics == {} and result.card["evaluations"] == []
    assert [r.step for r in result.overlap] == [0, 2, 4]


def test_names_of_a_loaded_classifiers_classes(
    folder_of: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def classifier(*names: str) -> Any:
        options = {"id2label": dict(enumerate(names))} if names else {}
        with loop.quiet():
            return hf.AutoModelForSequenceClassification.from_pretrained(
                folder_of("bert"), num_labels=2, **options
            )

    with pytest.raises(ValueError, match=r"classifier of warm, cold.*id2label = \{0: 'cold'"):
        train(classifier("warm", "cold"), tmp_path / "a", labelled())
    assert not (tmp_path / "a").exists()
    for names in ((), ("no", "yes")):
        caplog.clear()
        run = tmp_path / f"b{len(names)}"
        path = train(classifier(*names), run, labelled(), max_steps=1).path
        assert hf.AutoConfig.from_pretrained(path).id2label == {0: "cold", 1: "warm"}
        assert ("trained for no, yes" in caplog.text) == bool(names)


def test_one_label_alone_is_nothing_to_learn(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    data = LabelledCorpus.from_dict({"eng_Latn": {"train": (("a", "b", "c"), ("x",) * 3)}})
    with pytest.raises(ValueError, match=r"all 3 texts of eng_Latn .* label 'x'"):
        train(folder_of("bert"), tmp_path / "run", data)
    assert not (tmp_path / "run").exists()


def test_saved_tokenizer_neither_cuts_nor_pads(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    result = train(folder_of("bert"), tmp_path / "run", labelled(), max_steps=1, max_length=8)
    saved = json.loads((result.path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"] is None and saved["padding"] is None
    own = tiny_models.tokenizer()
    own.backend_tokenizer.enable_truncation(50)
    own.backend_tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    result = train(
        folder_of("bert"), tmp_path / "own", labelled(), max_steps=1, max_length=8, tokenizer=own
    )
    saved = json.loads((result.path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"]["max_length"] == 50 and saved["padding"]["pad_id"] == 1


# --- LoRA


def test_lora_adapts_the_open_blocks_alone(folder_of: Callable[..., Path], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    start = folder_of("llama")
    watch = Watch()
    result = train(start, tmp_path / "run", lora=2, freeze=range(2), callbacks=[watch])
    adapted = [name for name in watch.start if "lora_A" in name]
    assert adapted and all(".layers.2." in name for name in adapted)
    before, after = load_file(start / "model.safetensors"), weights(result)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("layers.2." in name and name.endswith("proj.weight") for name in changed)
    assert result.card["lora"]["layers"] == [2] and result.card["lora"]["r"] == 2
    trainable = sum(watch.start[n].numel() for n in watch.start if "lora_" in n)
    parameters, frozen = result.card["parameters"], result.card["frozen"]
    assert parameters["trainable"] == trainable
    assert frozen["layers"] == [0, 1] and frozen["embeddings"] and frozen["head"]
    assert frozen["n_parameters"] == parameters["total"] - trainable
    assert frozen["share"] == frozen["n_parameters"] / parameters["total"] > 0.9
    # The adapter alone, put onto the start model, gives what the merged model gives.
    base = hf.AutoModelForCausalLM.from_pretrained(start)
    with loop.quiet():
        adapter = peft.PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()
    ids = torch.tensor([result.tokenizer("old green house")["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(adapter(ids).logits, result.model(ids).logits, atol=1e-5)


@pytest.mark.parametrize("task", ["causal-lm", "classification"])
def test_interrupted_lora_goes_on_to_the_same_weights(
    task: str, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    name, data = ("gpt2", LINES) if task == "causal-lm" else ("bert", labelled())
    options = {"lora": {"r": 2, "lora_dropout": 0.1}, "save_every": 1, "max_steps": 5}
    straight = train(folder_of(name), tmp_path / "a", data, **options)
    with pytest.raises(RuntimeError):
        train(folder_of(name), tmp_path / "b", data, callbacks=[StopAt(3)], **options)
    resumed = train(folder_of(name), tmp_path / "b", data, **options)
    assert_same(weights(straight), weights(resumed))
    if task == "classification":
        start = load_file(folder_of(name) / "model.safetensors")
        after = weights(straight)
        assert "classifier.weight" in after
        assert torch.equal(after["bert.embeddings.word_embeddings.weight"],
                           start["embeddings.word_embeddings.weight"])  # fmt: skip


def test_lora_settings_that_make_no_sense(folder_of: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("peft")
    for lora, message in (
        (0, "at least 1"),
        ({"r": 2, "layers_to_transform": [1]}, "layers_to_transform cannot be given; freeze="),
        ({"r": 2, "rank_": 1}, r"LoraConfig has no rank_"),
    ):
        with pytest.raises(ValueError, match=message):
            train(folder_of("llama"), tmp_path / "run", lora=lora)
    for part in ("freeze_embeddings", "freeze_head"):
        with pytest.raises(ValueError, match=f"lora adapts .*{part}=False"):
            train(folder_of("llama"), tmp_path / "run", lora=2, freeze=[0], **{part: False})
    with pytest.raises(ValueError, match="no linear layer is left"):
        train(folder_of("llama"), tmp_path / "run", lora=2, freeze=range(3))
    assert not (tmp_path / "run").exists()


# --- precision, modules, errors


def test_bfloat16_on_a_cpu_keeps_float32_weights(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    half = train(folder_of("llama"), tmp_path / "half", dtype="bfloat16")
    full = train(folder_of("llama"), tmp_path / "full")
    assert half.card["precision"] == "bfloat16" and full.card["precision"] == "float32"
    assert all(w.dtype == torch.float32 and w.isfinite().all() for w in weights(half).values())
    assert half.card["losses"][0]["loss"] != full.card["losses"][0]["loss"]
    assert half.card["losses"][0]["loss"] == pytest.approx(full.card["losses"][0]["loss"], rel=2e-2)


def test_loaded_model_is_trained_in_place(folder_of: Callable[..., Path], tmp_path: Path) -> None:
    folder = folder_of("llama")
    model = hf.AutoModelForCausalLM.from_pretrained(folder)
    result = train(model, tmp_path / "module", freeze=[1])
    assert result.model is model
    assert_same(weights(train(folder, tmp_path / "folder", freeze=iter([1]))), weights(result))
    with pytest.raises(ValueError, match="without an output head"):
        train(hf.AutoModel.from_pretrained(folder), tmp_path / "bare")
    with pytest.raises(ValueError, match=r"the data has 2 \(cold, warm\)"):
        train(model, tmp_path / "wrong", labelled())


def test_half_precision_weights_are_not_trained_whole(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    model = hf.AutoModelForCausalLM.from_pretrained(folder_of("llama"), dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"bfloat16: load it with dtype=torch\.float32"):
        train(model, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    result = train(model, tmp_path / "run", lora=2, dtype="bfloat16", max_steps=1)
    assert result.model.dtype == torch.bfloat16


def test_divergence_is_a_warning_and_no_silent_mean(
    folder_of: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Break(hf.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == 2:
                next(others["model"].parameters()).data.fill_(math.nan)

    result = train(folder_of("llama"), tmp_path / "run", callbacks=[Break()])
    assert [math.isfinite(e["loss"]) for e in result.card["losses"]] == [True, True, False, False]
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "the last loss is nan and the last evaluation loss is nan" in warning
    again = train(folder_of("llama"), tmp_path / "run")
    assert math.isnan(again.metrics["loss"]) and "loss nan" in repr(again)


def test_the_end_is_evaluated_once_whatever_the_version_of_transformers(
    folder_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(name: str) -> list[int]:
        result = train(folder_of("llama"), tmp_path / name, max_steps=5, evaluate_every=2)
        return [evaluation["step"] for evaluation in result.card["evaluations"]]

    flow = hf.trainer_callback.DefaultFlowCallback.on_step_end

    def older(self: Any, args: Any, state: Any, control: Any, **others: Any) -> Any:
        flow(self, args, state, control, **others)
        control.should_evaluate = state.global_step % state.eval_steps == 0
        return control

    assert steps("now") == [0, 2, 4, 5]
    monkeypatch.setattr(hf.trainer_callback.DefaultFlowCallback, "on_step_end", older)
    assert steps("before") == [0, 2, 4, 5]


@pytest.mark.parametrize("when", ["checkpoint", "result"])
def test_a_full_disk_is_an_os_error_that_names_the_folder(
    when: str, folder_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run = folder_of("llama"), tmp_path / "run"

    def full(*args: Any, **options: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(hf.PreTrainedModel, "save_pretrained", full)
    with pytest.raises(OSError, match=r"run: weights could not be written.*No space left"):
        train(folder, run, save_every=2 if when == "checkpoint" else 100)
    monkeypatch.undo()
    assert train(folder, run, save_every=2 if when == "checkpoint" else 100).card["steps"] == 4


def test_several_processes_are_refused(
    folder_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="in one process"):
        train(folder_of("llama"), tmp_path / "run")


def test_options_of_other_types_are_the_same_run(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    model, run = folder_of("llama"), tmp_path / "run"
    plain: dict[str, Any] = {
        "freeze": [1], "max_steps": 1, "corpus": CORPUS, "seed": 3, "weight_decay": 0.5,
        "lora": {"r": 2, "target_modules": ["q_proj", "v_proj"]},
        "overlap_options": {"layers": [0, 1], "n_neighbors": 2, "threshold": 1},
    }  # fmt: skip
    other: dict[str, Any] = plain | {
        "freeze": np.int64(1), "max_steps": np.int64(1), "seed": np.int32(3),
        "weight_decay": np.float32(0.5),
        "lora": {"r": np.int64(2), "target_modules": {"v_proj", "q_proj"}},
        "overlap_options": {"layers": range(2), "n_neighbors": np.int64(2), "threshold": 1},
    }  # fmt: skip
    first = train(model, run, **other)
    assert first.card["settings"]["freeze"] == [1]
    assert train(model, run, **plain).card == first.card


def test_options_of_no_use_are_type_errors_that_name_them(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    for options, message in (
        ({"freeze": ["a"]}, "freeze holds 'a', wanted whole numbers"),
        ({"freeze": True}, "freeze holds True, wanted whole numbers"),
        ({"overlap_options": {"layers": object()}}, "overlap_options: layers=<object"),
        ({"lora": {"r": 2, "target_modules": b"q"}}, "lora: target_modules=b'q'"),
    ):
        with pytest.raises(TypeError, match=message):
            train(folder_of("llama"), tmp_path / "run", **options)


def test_shared_lines_are_a_warning_that_names_them(
    folder_of: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [*LINES, "It  RAINS", "where is the station"]
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        result = train(
            folder_of("llama"), tmp_path / "run", lines, corpus=CORPUS, max_steps=1, heldout=0,
            overlap_options={"n_neighbors": 2, "threshold": 1},
        )  # fmt: skip
    assert "2 lines" in caplog.text and "eng_Latn line 4, eng_Latn line 5" in caplog.text
    assert result.card["shared_lines"] == [["eng_Latn", 4], ["eng_Latn", 5]]


def test_missing_layers_are_an_error_before_anything_is_written(
    folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    for lora in (None, 2):
        with pytest.raises(ValueError, match=r"3 .*layers|layers.* 3|3 blocks|0 to 2"):
            train(folder_of("llama"), tmp_path / "run", freeze=range(8), lora=lora)
    with pytest.raises(ValueError, match="nothing is left to train"):
        train(folder_of("llama"), tmp_path / "run", freeze=range(3))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["bert", "distilbert", "t5"])
def test_text_for_a_model_that_is_no_decoder(
    name: str, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"no causal language model.*labelled data"):
        train(folder_of(name), tmp_path / "run")


def test_data_and_task_must_fit(folder_of: Callable[..., Path], tmp_path: Path) -> None:
    model, run = folder_of("llama"), tmp_path / "run"
    with pytest.raises(ValueError, match=r"wants text.*data\.texts\(language, 'train'\)"):
        train(model, run, labelled(), task="causal-lm")
    with pytest.raises(ValueError, match=r"wants labels.*pass a LabelledCorpus"):
        train(model, run, LINES, task="classification")
    with pytest.raises(ValueError, match="wanted 'auto'"):
        train(model, run, task="lm")
    with pytest.raises(CorpusError, match=r"swe_Latn.*eng_Latn, deu_Latn"):
        train(model, run, labelled(), language="swe_Latn")


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("max_steps", 0), ("batch_size", 0), ("learning_rate", -1.0), ("heldout", 1.0),
     ("warmup", -0.1), ("seed", -1), ("save_every", 0), ("evaluate_every", 1.5),
     ("epochs", math.inf), ("learning_rate", math.inf), ("weight_decay", -1), ("warmup", math.nan),
     ("dtype", "float64"), ("dtype", "float16"), ("dtype", "int8"), ("max_length", 2)],
)  # fmt: skip
def test_numbers_out_of_range_are_named(
    name: str, value: Any, folder_of: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=name):
        train(folder_of("llama"), tmp_path / "run", **{name: value})
    assert not (tmp_path / "run").exists()


def test_missing_packages_say_how_to_get_them(
    folder_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    for package, extra in (("accelerate", "train"), ("peft", "lora")):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda n, *a, p=package: None if n == p else find(n, *a)
        )
        with pytest.raises(ImportError, match=rf"pip install 'ilo_fast\[{extra}\]'"):
            train(folder_of("llama"), tmp_path / "run", lora=2)
