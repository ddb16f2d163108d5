"""Features of lines: against a loop over every token of every line."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_models
from helpers import transcoders as small
from helpers.seeds import fresh_seed

from ilo_fast import ParallelCorpus, _core, overlap
from ilo_fast.errors import CorpusError
from ilo_fast.transcoders.activations import JumpReLU, TopK
from ilo_fast.transcoders.multilingual.line_features import LineFeatures, line_features
from ilo_fast.transcoders.multilingual.lines import beginning_token
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

TOKENIZER = tiny_models.tokenizer()


def fresh(n: int = 20) -> tuple[Any, CrossLayerTranscoder, ParallelCorpus]:
    """A model, a transcoder, a corpus with four lines to a document."""
    seed = fresh_seed()
    it = CrossLayerTranscoder(3, 16, 10, seed=seed, activation=TopK(3) if seed % 2 else JumpReLU())
    corpus = ParallelCorpus.from_dict(
        {"deu_Latn": small.lines(n, "das"), "eng_Latn": small.lines(n, "the")}
    )
    return small.model(seed), it.eval(), corpus


def slow(
    model: Any, it: CrossLayerTranscoder, corpus: ParallelCorpus
) -> dict[tuple[str, int, int], list[float]]:
    """(language, line, column) -> activations."""
    found: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    reader = MLPReader(model)
    for code, lines in corpus.sentences.items():
        for number, text in enumerate(lines):
            ids = [
                *beginning_token(TOKENIZER),
                *TOKENIZER(text, add_special_tokens=False)["input_ids"],
            ]
            x, _ = reader.read(torch.tensor([ids]))
            dense = it.encode(x[0]).to_dense().detach().flatten(1)
            for token in dense[1:]:
                for column in token.nonzero()[:, 0].tolist():
                    found[code, number, column].append(float(token[column]))
    return found


def as_loop(table: LineFeatures) -> dict[tuple[str, int, int], tuple[int, float, float]]:
    return {
        (table.languages[table.language[row]], int(table.line[row]), int(column)): (
            int(count), float(total), float(most),
        )
        for row, column, count, total, most in zip(
            table.rows, table.indices, table.counts, table.sums, table.maxima, strict=True
        )
    }  # fmt: skip


def test_features_of_lines_equal_a_loop_over_tokens() -> None:
    model, it, corpus = fresh()
    table = line_features(model, it, corpus, tokenizer=TOKENIZER, batch_tokens=64)
    wanted = slow(model, it, corpus)
    found = as_loop(table)
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        count, total, most = found[key]
        assert count == len(values)
        assert total == pytest.approx(sum(values), rel=1e-4, abs=1e-5)
        assert most == pytest.approx(max(values), rel=1e-4, abs=1e-5)
    assert (np.diff(table.language) >= 0).all()
    assert table.line.tolist() == [*range(20), *range(20)]
    assert table.document.tolist() == table.line.tolist()  # each line is one
    assert table.is_parallel


def test_documents_add_up_their_lines_and_parts_are_what_they_name() -> None:
    model, it, corpus = fresh()
    documents = [n // 4 for n in range(20)]
    table = line_features(model, it, corpus, tokenizer=TOKENIZER, documents=documents)
    whole = table.by_document()
    assert len(whole) == 10 and whole.document.tolist() == [*range(5), *range(5)]
    assert whole.tokens.sum() == table.tokens.sum()
    dense = np.zeros((10, table.n_columns), np.int64)
    np.add.at(dense, (table.language[table.rows] * 5 + table.document[table.rows], table.indices),
              table.counts)  # fmt: skip
    found = np.zeros_like(dense)
    found[whole.rows, whole.indices] = whole.counts
    assert (found == dense).all()
    second = table.of_layer(1)
    on = table.indices // 10 == 1
    assert (second.indices == table.indices[on] - 10).all()
    assert (second.counts == table.counts[on]).all() and second.n_columns == 10
    english = table.select(["eng_Latn"])
    assert english.languages == ("eng_Latn",) and len(english) == 20
    assert as_loop(english) == {k: v for k, v in as_loop(table).items() if k[0] == "eng_Latn"}


def test_means_of_lines_are_vectors_that_overlap_takes() -> None:
    model, it, corpus = fresh()
    table = line_features(model, it, corpus, tokenizer=TOKENIZER)
    vectors = {code: table.means(code) for code in table.languages}
    assert vectors["deu_Latn"].shape == (3, 20, 10)
    loop = as_loop(table)
    for (code, line, column), (_, total, _) in loop.items():
        tokens = table.tokens[
            (table.language == table.languages.index(code)) & (table.line == line)
        ]
        mean = vectors[code][column // 10, line, column % 10]
        assert mean == pytest.approx(total / tokens[0], rel=1e-5, abs=1e-6)
    assert overlap(vectors, metric="euclidean", threshold=1).ilo.shape == (3, 2)


def test_blank_lines_of_text_that_is_not_parallel_are_left_out() -> None:
    model, it, _ = fresh()
    texts = {"deu_Latn": ["das water", "  ", "cold"], "eng_Latn": ["the river"]}
    table = line_features(model, it, texts, tokenizer=TOKENIZER)
    assert table.line.tolist() == [0, 2, 0] and not table.is_parallel
    assert table.document.tolist() == [0, 1, 2]
    named = {"deu_Latn": "aab", "eng_Latn": "b"}
    table = line_features(model, it, texts, tokenizer=TOKENIZER, documents=named)
    assert table.document.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("texts", "documents", "message"),
    [
        ({}, None, "no language"),
        ({"deu_Latn": [" "]}, None, "deu_Latn has no line"),
        ({"deu_Latn": ["water " * 80]}, None, "deu_Latn, line 1 has .* the model takes 64"),
        ({"deu_Latn": ["water"]}, [1], "mapping language"),
        ({"deu_Latn": ["water"]}, {"deu_Latn": [1, 2]}, "2 ids for the 1 lines of deu_Latn"),
    ],
)
def test_texts_that_cannot_be_read_are_refused(texts: Any, documents: Any, message: str) -> None:
    model, it, _ = fresh()
    with pytest.raises((CorpusError, ValueError), match=message):
        line_features(model, it, texts, tokenizer=TOKENIZER, documents=documents)


def test_merged_rows_are_the_same_for_every_number_of_threads_and_checked() -> None:
    random_ = np.random.default_rng()
    n, width = 500, 40
    dense = random_.random((n, width)) < 0.2
    indptr = np.concatenate([[0], np.cumsum(dense.sum(axis=1))])
    indices = np.nonzero(dense)[1].astype(np.int32)
    values = random_.normal(size=len(indices)).astype(np.float32)
    rows, starts = random_.permutation(n), np.sort(random_.integers(0, n, 199))
    starts = np.concatenate([[0], starts, [n]])
    one, four = (
        _core.merge_rows(indptr, indices, None, values, None,
                         rows=rows, starts=starts, n_columns=width, n_threads=t)
        for t in (1, 4)
    )  # fmt: skip
    assert all((a == b).all() for a, b in zip(one, four, strict=True))
    for g in range(200):
        mine = rows[starts[g] : starts[g + 1]]
        assert (one[1][one[0][g] : one[0][g + 1]] == np.flatnonzero(dense[mine].any(axis=0))).all()
    for bad in ({"rows": rows + 1}, {"starts": starts[:-1]}, {"n_columns": 20}):
        given = {"rows": rows, "starts": starts, "n_columns": width} | bad
        with pytest.raises(ValueError, match=r"rows\[|starts|indices\["):
            _core.merge_rows(indptr, indices, None, values, None, n_threads=1, **given)
