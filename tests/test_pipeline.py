"""measure() is extract() and overlap() in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.tiny_models import SENTENCES, build, tokenizer

from ilo_fast import ParallelCorpus, RayWorkers, extract, measure, overlap, pipeline


def test_measure_is_overlap_of_what_extract_gives(tmp_path: Path) -> None:
    for code, lines in SENTENCES.items():
        (tmp_path / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    model, corpus = build("llama"), ParallelCorpus.from_dir(tmp_path)
    found = measure(
        model, tmp_path, tokenizer=tokenizer(), layers=[0, -1], special_tokens="exclude",
        n_neighbors=4, threshold=2, metric="euclidean",
    )  # fmt: skip
    representations = extract(
        model, corpus, tokenizer=tokenizer(), layers=[0, -1], special_tokens="exclude"
    )
    wanted = overlap(representations, n_neighbors=4, threshold=2, metric="euclidean")
    assert found.layers == (0, 3) and found.languages == corpus.languages
    np.testing.assert_array_equal(found.ilo, wanted.ilo)
    np.testing.assert_array_equal(found.translation_share, wanted.translation_share)


def test_measure_refuses_a_keyword_that_neither_knows() -> None:
    with pytest.raises(TypeError, match="neighbours"):
        measure("demo", SENTENCES, neighbours=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("workers", "backend"), [(None, "local"), (RayWorkers(count=2, memory=1 << 20), "ray")]
)
def test_measure_extracts_over_workers_where_they_are_given_whatever_backend_is(
    workers: RayWorkers | None, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def extracted(*given: Any, **options: Any) -> Any:
        asked.append(options)
        rng = np.random.default_rng(0)
        return {code: rng.standard_normal((9, 4)) for code in SENTENCES}

    monkeypatch.setattr(pipeline, "extract", extracted)
    text = {code: list(lines) * 9 for code, lines in SENTENCES.items()}
    measure("anything", text, threshold=2, workers=workers, backend="exact")
    assert (asked[0]["backend"], asked[0]["workers"]) == (backend, workers)


def test_measure_over_workers_says_what_they_need_in_its_own_words() -> None:
    text = {code: list(lines) * 9 for code, lines in SENTENCES.items()}
    with pytest.raises(ValueError, match="Ray workers need cache="):
        measure("demo", text, threshold=2, workers=RayWorkers())
    with pytest.raises(TypeError, match=r"workers=2, wanted RayWorkers"):
        measure("demo", text, threshold=2, workers=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("corpus", "options", "problem"),
    [
        ({"eng_Latn": ["a", "b"]}, {}, r"corpus has 1 language\(s\) \(eng_Latn\)"),
        (SENTENCES, {"threshold": 9}, "threshold=9 cannot be reached"),
        (SENTENCES, {"n_neighbors": 999}, "n_neighbors=999 needs at least 1000 sentences"),
        (SENTENCES, {"metric": "dot"}, "metric='dot'"),
        (SENTENCES, {"backend": "faiss"}, "backend='faiss'"),
        (SENTENCES, {"n_threads": 0}, "n_threads=0"),
    ],
)
def test_what_scoring_would_refuse_is_refused_before_the_model_is_opened(
    corpus: Any, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        measure("/no/such/model", corpus, **options)
