"""transfer(): predictions, splits, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from helpers import tiny_models

from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.evaluation.result import TransferScores
from ilo_fast.evaluation.transfer import transfer

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


def test_tokenizer_that_marks_languages_is_told_each(data: LabelledCorpus) -> None:
    model, marking = classifier("bert"), tiny_models.marking_tokenizer(*data.languages)
    found = run(model, data, tokenizer=marking)
    assert found.info["language_codes"] == {code: code for code in data.languages}
    for row, code in enumerate(found.languages):
        marking.src_lang = code
        alone_ = [alone(model, marking, text) for text in data.texts(code, "test")]
        assert found.predictions[row].tolist() == alone_
    chosen = {"deu_Latn": "fra_Latn"}
    other = run(model, data, tokenizer=marking, tokenizer_languages=chosen)
    assert other.info["language_codes"]["deu_Latn"] == "fra_Latn"
    with pytest.raises(ValueError, match="tokenizer_languages is given, but"):
        run(model, data, tokenizer_languages=chosen)


@pytest.mark.parametrize(
    "name", ["bert", "xlm_roberta", "deberta_v2", "gpt2", "llama", "bart", "t5"]
)
def test_batched_predictions_are_those_of_one_text_at_a_time(
    name: str, data: LabelledCorpus
) -> None:
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


def test_model_without_padding_token_takes_one_text_at_a_time(data: LabelledCorpus) -> None:
    padded, bare = classifier("gpt2"), classifier("gpt2")
    bare.config.pad_token_id = None
    wanted, found = run(padded, data), run(bare, data)
    assert np.array_equal(wanted.predictions, found.predictions)
    assert bare.config.pad_token_id is None


def test_classes_in_another_order_are_matched_by_name(data: LabelledCorpus) -> None:
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


def test_evaluation_leaves_model_and_random_state_as_they_were(data: LabelledCorpus) -> None:
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


def test_folder_gives_what_the_loaded_model_gives(data: LabelledCorpus, tmp_path: Path) -> None:
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
def test_adapter_folder_gives_what_the_wrapped_model_gives(
    data: LabelledCorpus, tmp_path: Path
) -> None:
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


def test_batch_too_large_for_the_gpu_is_halved(
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
    with pytest.raises(torch.cuda.OutOfMemoryError, match=r"_Latn, example \d\) does not fit"):
        run(model, data)


def test_languages_without_the_split_are_left_out_or_named(
    data: LabelledCorpus, caplog: pytest.LogCaptureFixture
) -> None:
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


def test_classes_that_do_not_match_are_refused(data: LabelledCorpus) -> None:
    other = classifier("bert", labels=("alpha", "Beta", "gamma"))
    with pytest.raises(ValueError, match=r"3 \(alpha, Beta, gamma\), data 'dict' has 3 \(alpha, b"):
        run(other, data)
    with pytest.raises(ValueError, match=r"does not name its classes: pass labels="):
        run(classifier("bert", labels=("LABEL_0", "LABEL_1", "LABEL_2")), data)
    with pytest.raises(ValueError, match=r"labels: 2 names \(a, b\), but .* has 3 classes"):
        run(other, data, labels=("a", "b"))


def test_data_that_lack_classes_of_the_model_are_evaluated(
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


def test_source_that_is_no_language_is_refused(
    data: LabelledCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    model = classifier("bert")
    with pytest.raises(
        ValueError, match=r"source='englsh' is neither.*did you mean eng_Latn.*none"
    ):
        run(model, data, source="englsh")
    assert run(model, data, source="en").source == "eng_Latn"
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        assert run(model, data, languages="deu_Latn,fra_Latn", source="deu_Latn").source
        assert run(model, data, languages="deu_Latn,fra_Latn", source=None).source is None
        assert not caplog.records
        run(model, data, languages="deu_Latn,fra_Latn", source="eng_Latn")
    assert "source=eng_Latn, is not among those evaluated (deu_Latn, fra_Latn)" in caplog.text
    dialect = LabelledCorpus.from_dict({"my_own": {"test": (["a", "b", "c"], LABELS)}})
    assert run(model, dialect, source="my_own").source == "my_own"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"split": 3}, "split must be a name"),
        ({"source": ["eng_Latn"]}, "source must be a language code"),
        ({"labels": "abc"}, "labels must be the names of the classes"),
        ({"labels": [1, 2]}, "labels must be the names of the classes"),
        ({"languages": {"eng_Latn": "en"}}, "give it with a folder"),
        ({"data": 3}, "data is a int: wanted a LabelledCorpus"),
        ({"batch_tokens": 1.5}, "batch_tokens must be an int"),
    ],
)
def test_argument_of_a_wrong_type_is_named(
    data: LabelledCorpus, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        transfer(classifier("bert"), **{"data": data, **wrong})


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (0.5, TypeError), (True, TypeError)])
def test_wrong_seed_is_refused_before_the_work(
    data: LabelledCorpus, monkeypatch: pytest.MonkeyPatch, seed: Any, error: type[Exception]
) -> None:
    from ilo_fast.evaluation import transfer as module

    monkeypatch.setattr(module, "open_classifier", lambda *a, **k: pytest.fail("it works"))
    with pytest.raises(error, match=r"seed.* must be"):
        run(classifier("bert"), data, seed=seed)


def test_model_without_a_head_is_refused(data: LabelledCorpus, tmp_path: Path) -> None:
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


def test_regression_and_scores_that_are_not_numbers_are_refused(data: LabelledCorpus) -> None:
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
