"""Zero-shot transfer: predictions, intervals, groups, files."""

from __future__ import annotations

import itertools
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
import transformers as hf
from helpers import tiny_models

from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.evaluation import statistics
from ilo_fast.evaluation.transfer import TransferScores, transfer
from ilo_fast.scores.result import OverlapScores

LABELS = ("alpha", "beta", "gamma")
TARGETS = {
    "eng_Latn": ["alpha", "beta", "gamma", "alpha", "beta"],
    "deu_Latn": ["gamma", "beta", "beta", "alpha", "beta"],
    "fra_Latn": ["gamma", "gamma", "beta", "alpha", "beta"],
}


@pytest.fixture
def data() -> LabelledCorpus:
    texts = tiny_models.SENTENCES
    return LabelledCorpus.from_dict({c: {"test": (texts[c], TARGETS[c])} for c in texts})


def classifier(name: str, *, labels: Any = LABELS, seed: int = 0) -> Any:
    config = tiny_models.ARCHITECTURES[name][0]()
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    if config.is_encoder_decoder:
        config.decoder_start_token_id = 1
    torch.manual_seed(seed)
    model = hf.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    model.eval()
    heads = [m for m in model.modules() if getattr(m, "out_features", None) == len(labels)]
    if heads[-1].bias is None:
        heads[-1].bias = torch.nn.Parameter(torch.zeros(len(labels)))
    spread(model, heads[-1])
    return model


def spread(model: Any, head: Any) -> None:
    """Set the head's bias so that not all texts get the same class."""
    tokens = tiny_models.tokenizer()
    rows = [tokens(text, return_tensors="pt") for text in tiny_models.SENTENCES["eng_Latn"]]
    with torch.no_grad():
        head.bias -= torch.cat([model(**row).logits for row in rows]).mean(dim=0)


def alone(model: Any, tokenizer: Any, text: str) -> int:
    """The plain way: one text, no padding."""
    with torch.no_grad():
        return int(model(**tokenizer(text, return_tensors="pt")).logits[0].argmax())


def run(model: Any, data: LabelledCorpus, **options: Any) -> TransferScores:
    options = {"tokenizer": tiny_models.tokenizer(), "progress": False, **options}
    return transfer(model, data, **options)


# Predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["bert", "xlm_roberta", "deberta_v2", "gpt2", "llama", "bart", "t5"]
)
def test_predictions_are_those_of_one_text_at_a_time(name: str, data: LabelledCorpus) -> None:
    model, tokenizer = classifier(name), tiny_models.tokenizer()
    scores = run(model, data, batch_tokens=200)
    expected = [
        [alone(model, tokenizer, text) for text in data.texts(code, "test")]
        for code in data.languages
    ]
    assert np.array(scores.predictions).tolist() == expected
    assert len(np.unique(expected)) > 1
    hits = np.array(expected) == [[LABELS.index(x) for x in TARGETS[c]] for c in data.languages]
    assert scores.accuracy.tolist() == hits.mean(axis=1).tolist()
    assert scores.languages == data.languages


def test_a_model_without_padding_takes_one_text_at_a_time(data: LabelledCorpus) -> None:
    padded, bare = classifier("gpt2"), classifier("gpt2")
    bare.config.pad_token_id = None
    wanted, found = run(padded, data), run(bare, data)
    assert np.array_equal(wanted.predictions, found.predictions)
    assert bare.config.pad_token_id is None


def test_classes_are_matched_by_name(data: LabelledCorpus) -> None:
    model = classifier("bert")
    expected = run(model, data)
    assert len(np.unique(expected.predictions)) > 1
    order = [2, 0, 1]
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight[order])
        model.classifier.bias.copy_(model.classifier.bias[order])
    model.config.id2label = {i: LABELS[old] for i, old in enumerate(order)}
    assert np.array_equal(run(model, data).predictions, expected.predictions)
    model.config.id2label = {i: f"LABEL_{i}" for i in range(3)}
    named = run(model, data, labels=[LABELS[old] for old in order])
    assert np.array_equal(named.predictions, expected.predictions)


def test_the_model_and_the_random_state_stay_as_they_were(data: LabelledCorpus) -> None:
    model = classifier("bert").train()
    model.bert.encoder.layer[1].eval()
    modes = [module.training for module in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    random, config = torch.get_rng_state(), model.config.to_dict()
    first = run(model, data)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert model.config.to_dict() == config
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.is_grad_enabled()
    # Dropout, had it been on, would differ from one to the other.
    assert np.array_equal(first.predictions, run(model, data).predictions)


def test_a_folder_gives_what_the_loaded_model_gives(data: LabelledCorpus, tmp_path: Path) -> None:
    model = classifier("xlm_roberta")
    model.save_pretrained(tmp_path)
    tiny_models.tokenizer().save_pretrained(tmp_path)
    random = torch.get_rng_state()
    scores = transfer(tmp_path, data, progress=False)
    assert torch.equal(torch.get_rng_state(), random)
    assert np.array_equal(scores.predictions, run(model, data).predictions)
    assert scores.info["architecture"] == "XLMRobertaForSequenceClassification"
    assert scores.info["data"]["sha256"] == data.fingerprint()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
def test_an_adapter_folder(data: LabelledCorpus, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tiny_models.build("bert").save_pretrained(base)
    tiny_models.tokenizer().save_pretrained(base)
    model = hf.AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=3, id2label=dict(enumerate(LABELS))
    )
    wrapped = peft.get_peft_model(
        model,
        peft.LoraConfig(
            task_type="SEQ_CLS", r=2, target_modules=["query", "value"],
            modules_to_save=["classifier"],
        ),
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.normal_()
    spread(wrapped.eval(), model.classifier.modules_to_save["default"])
    expected = run(wrapped, data)
    assert len(np.unique(expected.predictions)) > 1
    wrapped.save_pretrained(adapter)
    named = transfer(str(adapter), data, labels=LABELS, progress=False)
    assert np.array_equal(named.predictions, expected.predictions)
    with pytest.raises(ValueError, match=r"does not fit .* with 2 classes: give the names"):
        transfer(adapter, data, progress=False)
    model.config.save_pretrained(adapter)
    assert np.array_equal(transfer(adapter, data, progress=False).predictions, expected.predictions)


def test_a_batch_too_large_for_the_device_is_halved(
    data: LabelledCorpus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ilo_fast.evaluation.transfer import _Evaluation

    model = classifier("bert")
    expected = run(model, data)
    classify = _Evaluation._classify

    def small(self: Any, batch: Any) -> Any:
        if len(batch) > room:
            raise torch.cuda.OutOfMemoryError
        return classify(self, batch)

    monkeypatch.setattr(_Evaluation, "_classify", small)
    room = 2
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        found = run(model, data)
    assert "out of GPU memory" in caplog.text
    assert np.array_equal(found.predictions, expected.predictions)
    room = 0
    with pytest.raises(torch.cuda.OutOfMemoryError):
        run(model, data)


def test_languages_and_splits(data: LabelledCorpus, caplog: pytest.LogCaptureFixture) -> None:
    model = classifier("bert")
    whole, part = run(model, data), run(model, data, languages="fra_Latn,eng_Latn")
    assert part.languages == ("fra_Latn", "eng_Latn")
    # A language's numbers do not depend on which others there are.
    assert part.rows() == [whole.rows()[2], whole.rows()[0]]
    with pytest.raises(CorpusError, match=r"'spa_Latn'; it has eng_Latn, deu_Latn, fra_Latn"):
        run(model, data, languages=["eng_Latn", "spa_Latn"])
    with pytest.raises(CorpusError, match=r"eng_Latn has no split 'dev' in 'dict'; it has test"):
        run(model, data, split="dev")
    mixed = LabelledCorpus.from_dict(
        {
            "eng_Latn": {"test": (["a", "b", "c"], LABELS)},
            "deu_Latn": {"dev": (["a", "b", "c"], LABELS)},
        }
    )
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        assert run(model, mixed).languages == ("eng_Latn",)
    assert "not evaluated, having no split 'test': deu_Latn" in caplog.text


# What is refused -----------------------------------------------------------------------------


def test_classes_that_do_not_match(data: LabelledCorpus) -> None:
    other = classifier("bert", labels=("alpha", "Beta", "gamma"))
    with pytest.raises(ValueError, match=r"3 \(alpha, Beta, gamma\), data 'dict' has 3 \(alpha, b"):
        run(other, data)
    with pytest.raises(ValueError, match=r"does not name its classes: pass labels="):
        run(classifier("bert", labels=("LABEL_0", "LABEL_1", "LABEL_2")), data)
    with pytest.raises(ValueError, match=r"labels: 2 names \(a, b\), but .* has 3 classes"):
        run(other, data, labels=("a", "b"))


def test_data_may_lack_classes_of_the_model(
    data: LabelledCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    model = classifier("bert", labels=("gamma", "omega", "alpha", "beta"))
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        whole = run(model, data)
    assert "dict: no examples of the model's classes omega" in caplog.text
    assert whole.labels == ("gamma", "omega", "alpha", "beta")
    for i, code in enumerate(data.languages):
        assert [whole.labels[t] for t in whole.targets[i]] == TARGETS[code]
        texts = data.texts(code, "test")
        assert whole.predictions[i].tolist() == [
            alone(model, tiny_models.tokenizer(), text) for text in texts
        ]
    assert len(np.unique(whole.predictions)) > 1
    assert whole.info["data"]["sha256"] == data.fingerprint()  # of the data as they are
    # Its own names are needed, and all of the data's.
    unnamed = classifier("bert", labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    part = LabelledCorpus.from_dict({"eng_Latn": {"test": (["a", "b"], ["LABEL_0", "LABEL_2"])}})
    with pytest.raises(ValueError, match="classes do not match"):
        run(unnamed, part)
    with pytest.raises(ValueError, match="classes do not match"):
        run(classifier("bert", labels=("alpha", "beta")), data)


def test_the_language_that_was_trained_on_is_checked(
    data: LabelledCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    model = classifier("bert")
    with pytest.raises(ValueError, match=r"source='eng' is neither.*did you mean eng_Latn\?.*none"):
        run(model, data, source="eng")
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        assert run(model, data, languages="deu_Latn,fra_Latn", source="deu_Latn").source
        assert run(model, data, languages="deu_Latn,fra_Latn", source=None).source is None
        assert not caplog.records
        run(model, data, languages="deu_Latn,fra_Latn", source="eng_Latn")
    assert "source=eng_Latn, is not among those evaluated (deu_Latn, fra_Latn)" in caplog.text
    dialect = LabelledCorpus.from_dict({"my_own": {"test": (["a", "b", "c"], LABELS)}})
    assert run(model, dialect, source="my_own").source == "my_own"


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_a_seed_is_checked_before_the_work(
    data: LabelledCorpus, monkeypatch: pytest.MonkeyPatch, seed: Any
) -> None:
    from ilo_fast.evaluation import transfer as module

    monkeypatch.setattr(module, "open_classifier", lambda *a, **k: pytest.fail("it works"))
    with pytest.raises(ValueError, match=f"seed={seed}: wanted"):
        run(classifier("bert"), data, seed=seed)


def test_a_model_without_a_head(data: LabelledCorpus, tmp_path: Path) -> None:
    bare = tiny_models.build("bert")
    with pytest.raises(ValueError, match="BertModel without a classification head"):
        run(bare, data)
    two = LabelledCorpus.from_dict({"eng_Latn": {"test": (["a", "b"], ["alpha", "beta"])}})
    with pytest.raises(ValueError, match=r"BertModel without a classification head \(no logits"):
        run(bare, two, labels=("alpha", "beta"))
    bare.save_pretrained(tmp_path)
    tiny_models.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"no trained classification head.*classifier\.bias"):
        transfer(tmp_path, data, progress=False)
    with pytest.raises(AccessError, match="does not exist"):
        transfer(tmp_path / "absent", data, progress=False)
    with pytest.raises(TypeError, match="data is a dict"):
        run(bare, {"eng_Latn": []})  # type: ignore[arg-type]


def test_a_regression_and_broken_weights(data: LabelledCorpus) -> None:
    model = classifier("bert")
    model.config.problem_type = "regression"
    with pytest.raises(ValueError, match="trained for regression"):
        run(model, data)
    model.config.problem_type = "single_label_classification"
    with torch.no_grad():
        model.classifier.bias[1] = float("nan")
    with pytest.raises(FloatingPointError, match=r"\w+_Latn, example \d: the model's scores"):
        run(model, data)
    assert all(not module.training for module in model.modules())


# Statistics ----------------------------------------------------------------------------------


def test_wilson_against_scipy() -> None:
    for n in (1, 2, 7, 204):
        for hits in {0, 1, n // 3, n - 1, n}:
            low, high = statistics.wilson_interval(hits, n)
            known = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
            assert (low, high) == pytest.approx((known.low, known.high), abs=1e-12)
    with pytest.raises(ValueError, match="hits=3 of n=2"):
        statistics.wilson_interval(3, 2)


def slow_macro_f1(true: Any, predicted: Any) -> float:
    scores = []
    for label in sorted({*true, *predicted}):
        pairs = list(zip(true, predicted, strict=True))
        hits = sum(t == p == label for t, p in pairs)
        found, there = sum(p == label for p in predicted), sum(t == label for t in true)
        precision = hits / found if found else 0.0
        recall = hits / there if there else 0.0
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)
    return sum(scores) / len(scores)


def test_macro_f1_against_precision_and_recall() -> None:
    rng = np.random.default_rng(0)
    for n_labels, n in ((2, 5), (4, 9), (7, 60), (30, 20)):
        true, predicted = rng.integers(0, n_labels, (2, n))
        counts = statistics.confusion_matrix(true, predicted, n_labels)
        assert counts.sum() == n
        assert counts[true[0], predicted[0]] >= 1
        assert statistics.macro_f1(counts) == pytest.approx(
            slow_macro_f1(true.tolist(), predicted.tolist())
        )


def test_the_bootstrap_of_f1_against_one_that_draws_sentences() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(0, 3, 40)
    predicted = np.where(rng.random(40) < 0.6, true, rng.integers(0, 4, 40))
    counts = statistics.confusion_matrix(true, predicted, 4)
    fast = statistics.macro_f1_interval(counts, seed=(0,), n_boot=20_000)
    drawn = []
    for _ in range(4000):
        rows = rng.integers(0, 40, 40)
        drawn.append(slow_macro_f1(true[rows].tolist(), predicted[rows].tolist()))
    # Both are random; their standard errors here are about 0.003.
    assert fast == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))), abs=0.015)
    assert statistics.macro_f1_interval(counts, seed=(0,), n_boot=20_000) == fast
    assert statistics.macro_f1_interval(counts, seed=(1,), n_boot=20_000) != fast


def test_the_bootstrap_over_languages_against_all_draws_there_are() -> None:
    values = np.array([[0.1, 0.5, 0.7, 0.2], [0.3, 0.3, 0.9, 0.1]])
    means, intervals = statistics.bootstrap_means(values, seed=(0,), n_boot=100_000)
    assert means == pytest.approx(values.mean(axis=1))
    for row, interval in zip(values, intervals, strict=True):
        every = [np.mean(draw) for draw in itertools.product(row, repeat=4)]
        assert interval == pytest.approx(np.percentile(every, (2.5, 97.5)), abs=0.03)
    assert statistics.bootstrap_means(values[:, :1], seed=(0,), n_boot=10)[1] is None


def test_groups_of_languages() -> None:
    codes = ("eng_Latn", "rus_Cyrl", "deu_Latn", "xxx_Zyyy", "zho_Hans", "ban_Latn")
    assert statistics.group_languages(codes, "script") == {
        "Latn": ("eng_Latn", "deu_Latn", "ban_Latn"),
        "Cyrl": ("rus_Cyrl",),
        "Hans": ("zho_Hans",),
        "Zyyy": ("xxx_Zyyy",),
    }
    assert list(statistics.group_languages(codes, "region")) == [
        "Europe", "Southeast Asia", "East Asia", "unknown",
    ]  # fmt: skip
    assert list(statistics.group_languages(codes, "resource_class")) == ["0", "4", "5", "unknown"]
    assert next(iter(statistics.group_languages(codes, "family"))) == "Indo-European"
    with pytest.raises(ValueError, match="by='genus' is not known; use one of resource_class"):
        statistics.group_languages(codes, "genus")


# Scores --------------------------------------------------------------------------------------


def made(codes: Any, accuracy: Any, *, n: int = 50, **options: Any) -> TransferScores:
    """Predictions of exactly these accuracies."""
    rng = np.random.default_rng(0)
    targets = {code: rng.integers(0, 3, n) for code in codes}
    predictions = {}
    for code, share in zip(codes, accuracy, strict=True):
        right = np.arange(n) < round(share * n)
        predictions[code] = np.where(right, targets[code], (targets[code] + 1) % 3)
    return TransferScores.from_predictions(
        targets, predictions, LABELS, **{"source": "eng_Latn", **options}
    )


CODES = ("eng_Latn", "deu_Latn", "rus_Cyrl", "fra_Latn", "tha_Thai")
ACCURACY = (0.9, 0.8, 0.5, 0.6, 0.3)


def overlap_scores(codes: Any = CODES, n_layers: int = 3, shift: float = 0.0) -> OverlapScores:
    rng = np.random.default_rng(5)
    ilo = np.clip(rng.random((n_layers, len(codes))) + shift, 0, 1)
    return OverlapScores(
        ilo / 2, ilo, ilo, tuple(range(n_layers)), tuple(codes), (60,) * len(codes), 5, 3, "cosine"
    )


def test_scores_of_known_predictions() -> None:
    scores = made(CODES, ACCURACY)
    assert scores.accuracy == pytest.approx(ACCURACY)
    assert scores.n == (50,) * 5
    assert scores.confusion.shape == (5, 3, 3)
    for i in range(5):
        counts = np.bincount(scores.targets[i])
        assert scores.majority[i] == counts.max() / 50
        assert scores.confusion[i].sum(axis=1).tolist() == counts.tolist()
        assert np.trace(scores.confusion[i]) == round(ACCURACY[i] * 50)
        assert scores.accuracy_interval[i, 0] < ACCURACY[i] < scores.accuracy_interval[i, 1]
        assert scores.macro_f1_interval[i, 0] < scores.macro_f1[i] < scores.macro_f1_interval[i, 1]
    assert "mean accuracy of others than eng_Latn: 0.550" in repr(scores)


def test_groups_leave_the_source_out() -> None:
    scores = made(CODES, ACCURACY)
    groups = {group.name: group for group in scores.groups("script")}
    assert groups["Latn"].languages == ("deu_Latn", "fra_Latn")
    assert groups["Latn"].accuracy == pytest.approx(0.7)
    assert groups["Latn"].accuracy_interval == pytest.approx((0.6, 0.8))
    assert groups["Thai"].accuracy_interval is None
    whole = {group.name: group for group in scores.groups("script", include_source=True)}
    assert whole["Latn"].accuracy == pytest.approx((0.9 + 0.8 + 0.6) / 3)
    assert made(CODES[:1], [0.5]).groups("family") == []


def test_the_same_groups_of_the_overlap() -> None:
    scores, overlap = made(CODES, ACCURACY), overlap_scores(("spa_Latn", *reversed(CODES)))
    for by in statistics.GROUPINGS:
        found = scores.group_overlap(overlap, by)
        assert [(g.name, g.languages) for g in found] == [
            (g.name, g.languages) for g in scores.groups(by)
        ]
        for group in found:
            columns = [overlap.languages.index(code) for code in group.languages]
            assert group.mean == pytest.approx(overlap.ilo[:, columns].mean(axis=1))
            if group.interval is not None:
                assert group.interval.shape == (3, 2)
                assert (group.interval[:, 0] <= group.mean).all()
    with pytest.raises(ValueError, match="scores lack tha_Thai, which have been evaluated"):
        scores.group_overlap(overlap_scores(CODES[:4]))
    with pytest.raises(ValueError, match="score='translation_share' is not in these scores"):
        scores.group_overlap(overlap, score="translation_share")


def test_scores_survive_a_file(tmp_path: Path) -> None:
    scores = made(CODES, ACCURACY, info={"model": "m"}, split="dev", seed=3, n_boot=50)
    path = tmp_path / "transfer.json"
    text = scores.to_json(path)
    assert path.read_text() == text
    for found in (TransferScores.from_json(path), TransferScores.from_json(text)):
        assert found.to_dict() == scores.to_dict()
        assert found.groups("script") == scores.groups("script")
        assert np.array_equal(found.confusion, scores.confusion)
    assert scores.to_dataframe().shape == (5, 9)
    lines = scores.to_csv().splitlines()
    assert lines[0].startswith("language,name,script,family,region,resource_class,n,accuracy")
    assert lines[2].startswith("deu_Latn,German,Latn,Indo-European,Europe,5,50,0.8,")


def test_a_failed_write_leaves_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "transfer.json"
    path.write_text("before")

    def full(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        made(CODES, ACCURACY).to_json(path)
    assert [p.name for p in tmp_path.iterdir()] == ["transfer.json"]
    assert path.read_text() == "before"


def test_files_that_are_no_scores() -> None:
    content = made(CODES, ACCURACY).to_dict()
    with pytest.raises(ValueError, match=r"kind='ilo_fast\.scores', wanted 'ilo_fast\.transfer'"):
        TransferScores.from_dict({**content, "kind": "ilo_fast.scores"})
    with pytest.raises(ValueError, match="schema_version=99 cannot be read"):
        TransferScores.from_dict({**content, "schema_version": 99})
    with pytest.raises(ValueError, match="incomplete: no rows"):
        TransferScores.from_dict({**content, "rows": []})
    with pytest.raises(ValueError, match="not complete JSON"):
        TransferScores.from_json(json.dumps(content)[:-5])


@pytest.mark.parametrize(
    ("targets", "predictions", "message"),
    [
        ({}, {}, "targets of no languages"),
        ({"eng_Latn": [0]}, {"deu_Latn": [0]}, "predictions are of deu_Latn, targets of eng_Latn"),
        ({"eng_Latn": [0, 1]}, {"eng_Latn": [0]}, r"shape \(1,\) for targets of shape \(2,\)"),
        (
            {"eng_Latn": [0, 1]},
            {"eng_Latn": [0, 3]},
            "predictions must be whole numbers from 0 to 2",
        ),
        ({"eng_Latn": [0.5]}, {"eng_Latn": [0]}, "targets must be whole numbers"),
    ],
)
def test_predictions_that_do_not_fit(targets: Any, predictions: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferScores.from_predictions(targets, predictions, LABELS)
