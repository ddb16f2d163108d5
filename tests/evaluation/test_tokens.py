"""What a tokenizer gives each language: counted by hand, intervals in simulation, odd input."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import text_tokenizers, tiny_models

from ilo_fast import ParallelCorpus, TokenStatistics, token_statistics
from ilo_fast.errors import CorpusError
from ilo_fast.evaluation import compare_tokenizers
from ilo_fast.evaluation.tokens_counting import COUNTED, TokenCounts
from ilo_fast.evaluation.tokens_estimates import STATISTICS, estimates, group_means, intervals
from ilo_fast.evaluation.tokens_result import TokenComparison


def by_hand() -> ParallelCorpus:
    return ParallelCorpus.from_dict(
        {
            "eng_Latn": ["the water", "the cat the"],
            "deu_Latn": ["water, the x", "é"],
            "zho_Hans": ["漢字", "the 漢字"],
        }
    )


def test_statistics_counted_by_hand() -> None:
    # the: 1 token; water: 1; cat: c, a, t behind a mark of its own; é: 2 bytes; 漢: 3 bytes each,
    # behind a mark.
    tokenizer = text_tokenizers.byte_fallback(["the", "water"])
    found = token_statistics(tokenizer, by_hand(), n_bootstrap=50, name="mine")
    assert found.languages == ("eng_Latn", "deu_Latn", "zho_Hans")
    assert found.count("tokens").tolist() == [2 + 6, 5 + 3, 7 + 8]
    assert found.count("characters").tolist() == [9 + 11, 12 + 1, 2 + 6]
    assert found.count("bytes").tolist() == [20, 12 + 2, 6 + 10]
    assert found.count("words").tolist() == [5, 4, 0]
    assert found.count("pieces").tolist() == [1 + 1 + 1 + 3 + 1, 1 + 1 + 1 + 2, 0]
    assert found.count("single").tolist() == [4, 3, 0]
    assert found.count("partial").tolist() == [0, 1 + 2, 6 + 6]  # the comma is a byte, too
    np.testing.assert_allclose(found.of("fertility"), [7 / 5, 5 / 4, np.nan])
    np.testing.assert_allclose(found.of("single_token_words"), [4 / 5, 3 / 4, np.nan])
    np.testing.assert_allclose(found.of("characters_per_token"), [20 / 8, 13 / 8, 8 / 15])
    np.testing.assert_allclose(found.of("bytes_per_token"), [20 / 8, 14 / 8, 16 / 15])
    np.testing.assert_allclose(found.of("premium"), [1, 1, 15 / 8])
    np.testing.assert_allclose(
        found.of("premium_median"), [1, (5 / 2 + 3 / 6) / 2, (7 / 2 + 8 / 6) / 2]
    )
    np.testing.assert_allclose(found.of("partial"), [0, 3 / 8, 12 / 15])
    assert found.of("unknown").tolist() == [0, 0, 0]
    # Gini of 8, 8, 15: sum of all |x - y| is 4 x 7, over 2 n^2 times the mean.
    np.testing.assert_allclose(found.inequality, [28 / (2 * 9 * 31 / 3), 15 / 8])
    assert found.scripts == ("Latn", "Hans") and found.script == ("Latn", "Latn", "Hans")
    latin = found.script_values[0]
    np.testing.assert_allclose(latin[STATISTICS.index("premium")], 1.0)
    np.testing.assert_allclose(latin[STATISTICS.index("fertility")], (7 / 5 + 5 / 4) / 2)
    assert found.name == "mine" and found.n_documents.tolist() == [2, 2, 2]
    assert found.info["tokenizer"]["vocab_size"] == len(tokenizer)


def test_unknown_words_are_counted() -> None:
    found = token_statistics(
        text_tokenizers.wordpiece(60, ["aa bb"]), {"x": ["aa ω bb ωω"]}, n_bootstrap=2
    )
    assert found.of("unknown").tolist() == [0.5]
    assert found.of("fertility").tolist() == [1.0]


def test_nfc_and_nfd_count_as_many_characters() -> None:
    found = token_statistics(
        text_tokenizers.own_bpe(), {"a": ["café été"], "b": ["cafe\u0301 e\u0301te\u0301"]},
        n_bootstrap=2,
    )  # fmt: skip
    assert (found.counts[0] == found.counts[1]).all()


def test_text_that_is_not_parallel_has_no_premium_and_languages_do_not_wait_for_each_other() -> (
    None
):
    text = {"eng_Latn": ["the water", "the"], "deu_Latn": ["das Wasser"], "xyz": ["👍", "…"]}
    tokenizer = text_tokenizers.unigram()
    found = token_statistics(tokenizer, text, n_bootstrap=30)
    assert np.isnan(found.of("premium")).all() and np.isnan(found.inequality).all()
    assert found.reference is None
    assert np.isnan(found.of("fertility")[2]) and np.isnan(found.intervals[1]).all()
    alone = token_statistics(tokenizer, {"eng_Latn": text["eng_Latn"]}, n_bootstrap=30)
    np.testing.assert_array_equal(alone.intervals[0], found.intervals[0])


def test_documents_are_the_unit_of_intervals() -> None:
    rng = np.random.default_rng(0)
    lines = [" ".join(["the", "cat"][int(rng.integers(2))] for _ in range(6)) for _ in range(40)]
    text = {"eng_Latn": [line for line in lines for _ in range(5)]}
    tokenizer = text_tokenizers.byte_fallback()
    by_line = token_statistics(tokenizer, text)
    documents = {"eng_Latn": [at // 5 for at in range(200)]}
    by_document = token_statistics(tokenizer, text, documents=documents)
    once = token_statistics(tokenizer, {"eng_Latn": lines})

    def width(found: TokenStatistics) -> float:
        low, high = found.interval("fertility")[0]
        return float(high - low)

    assert by_document.n_documents.tolist() == [40]
    assert width(by_document) > 1.8 * width(by_line)
    assert width(by_document) == pytest.approx(width(once), rel=0.15)
    groups = ParallelCorpus.from_dict(text, groups=[str(at // 5) for at in range(200)])
    assert token_statistics(tokenizer, groups).n_documents.tolist() == [40]


def test_intervals_hold_the_truth_in_simulation() -> None:
    """Lines of random length in two languages whose true premium, fertility and Gini are known."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    trials, lines = 400, 40
    means = np.array([10.0, 16.0])  # tokens of a line
    at = {name: COUNTED.index(name) for name in COUNTED}
    hits = {"premium": 0, "fertility": 0, "gini": 0, "script": 0}
    for _ in range(trials):
        length = rng.gamma(4.0, 1 / 4.0, lines)  # both languages say the same
        tables = []
        for mean in means:
            table = np.ones((lines, len(COUNTED)), np.int64)
            table[:, at["tokens"]] = 1 + rng.poisson(length * (mean - 1))
            table[:, at["words"]] = 1 + rng.poisson(4, lines)
            table[:, at["pieces"]] = rng.poisson(2 * table[:, at["words"]])
            tables.append(table)
        counts = TokenCounts(
            ("eng_Latn", "deu_Latn"), tuple(tables), (np.arange(lines),) * 2, (True, True), True,
            True,
        )  # fmt: skip
        found = estimates(counts, reference="eng_Latn", n_bootstrap=300, seed=0)
        spans = intervals(found.draws, found.n_documents)
        gini = intervals(found.inequality_draws, lines)[0]
        _, script = group_means(found, {"Latn": counts.languages}, counts.languages)
        for name, (low, high), truth in (
            ("premium", spans[1, STATISTICS.index("premium")], 1.6),
            ("fertility", spans[0, STATISTICS.index("fertility")], 2.0),
            ("gini", gini, 6 / (2 * 26)),
            ("script", script[0, STATISTICS.index("premium")], 1.3),
        ):
            hits[name] += low <= truth <= high
    print(hits)
    # Of 400, fewer than 340 where 93 % hold the truth: less than once in 10^8.
    assert min(hits.values()) >= 340


def test_few_documents_give_wide_intervals_and_one_gives_none() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 1, 1))
    wide = [np.ptp(intervals(draws, n)) for n in (2, 5, 20, 1000)]
    assert wide == sorted(wide, reverse=True)
    assert wide[-1] == pytest.approx(2 * 1.96, rel=0.08)
    assert np.isnan(intervals(draws, 1)).all()


def test_results_come_back_from_files(tmp_path: Path) -> None:
    found = token_statistics(text_tokenizers.gpt_bpe(), by_hand(), n_bootstrap=20)
    found.to_json(tmp_path / "tokens.json")
    for again in (
        TokenStatistics.from_json(tmp_path),
        TokenStatistics.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))),
    ):
        assert again.to_dict() == found.to_dict()
    assert "zho_Hans" in found.to_csv()
    assert [row["languages"] for row in found.script_rows()] == [2, 1]
    assert repr(found).endswith("3 languages)")
    for damage, fix in (
        ({"schema_version": 0}, "count again"),
        ({"values": [[1]]}, "values has shape"),
        ({"script": ["Latn"]}, "do not fit"),
        ({"counted": []}, "count again"),
    ):
        with pytest.raises(ValueError, match=fix):
            TokenStatistics.from_dict(found.to_dict() | damage)
    with pytest.raises(ValueError, match="incomplete"):
        TokenStatistics.from_dict(
            {key: value for key, value in found.to_dict().items() if key != "values"}
        )


def test_tokenizers_are_compared_on_the_same_documents() -> None:
    corpus = ParallelCorpus.demo(("eng_Latn", "deu_Latn", "hin_Deva"), limit=30)
    small, large = text_tokenizers.own_bpe(300), text_tokenizers.own_bpe(420)
    found = compare_tokenizers({"small": small, "large": large, "again": small}, corpus)
    np.testing.assert_array_equal(found.ratio[[0, 2]], 1)
    np.testing.assert_array_equal(found.ratio_intervals[[0, 2]], 1)
    counts = [own.count("tokens") for own in found.statistics.values()]
    np.testing.assert_allclose(found.ratio[1], counts[1] / counts[0])
    low, high = found.ratio_intervals[1].T
    assert (low < found.ratio[1]).all() and (found.ratio[1] < high).all() and (high < 1).all()
    # Paired: narrower than either tokenizer's own uncertainty over documents.
    own = found.statistics["large"].interval("characters_per_token")
    relative = np.ptp(own, axis=1) / found.statistics["large"].of("characters_per_token")
    assert ((high - low) / found.ratio[1] < 2 * relative).all()
    again = TokenComparison.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()
    assert len(found.rows()) == 9 and found.to_csv().count("\n") == 10
    with pytest.raises(ValueError, match="tokenizers is empty"):
        compare_tokenizers({}, corpus)


def test_a_slow_tokenizer_gives_the_same_but_for_cut_characters() -> None:
    fast = text_tokenizers.own_bpe()
    slow: Any = text_tokenizers.WithoutOffsets(fast)
    corpus = ParallelCorpus.demo(("eng_Latn", "hin_Deva", "tha_Thai"), limit=10)
    a, b = (token_statistics(own, corpus, n_bootstrap=10) for own in (fast, slow))
    same = [at for at, name in enumerate(COUNTED) if name != "partial"]
    np.testing.assert_array_equal(a.counts[:, same], b.counts[:, same])
    assert np.isnan(b.of("partial")).all() and not np.isnan(a.of("partial")).any()
    assert b.info["tokenizer"]["words_by"] == "prefixes"


def test_wrong_arguments_are_named() -> None:
    tokenizer, corpus = tiny_models.tokenizer(), by_hand()
    with pytest.raises(ValueError, match="reference='fra_Latn' is not in the corpus"):
        token_statistics(tokenizer, corpus, reference="fra_Latn")
    with pytest.raises(TypeError, match="tokenizer is a"):
        token_statistics(object(), corpus)
    with pytest.raises(ValueError, match="n_bootstrap"):
        token_statistics(tokenizer, corpus, n_bootstrap=0)
    with pytest.raises(ValueError, match="one each"):
        token_statistics(tokenizer, corpus, documents=["a"])
    with pytest.raises(ValueError, match="documents is a mapping"):
        token_statistics(
            tokenizer,
            corpus,
            documents={code: [1, 2] for code in corpus.languages},
        )
    with pytest.raises(ValueError, match="must be a mapping"):
        token_statistics(tokenizer, {"a": ["b"]}, documents=["x"])
    with pytest.raises(ValueError, match="no language"):
        token_statistics(tokenizer, {"a": ["b"]}, documents={"c": ["x"]})
    with pytest.raises(CorpusError):
        token_statistics(tokenizer, {})
    with pytest.raises(ValueError, match="statistic"):
        token_statistics(tokenizer, corpus, n_bootstrap=1).of("parity")
    no = token_statistics(tokenizer, corpus, reference=None, n_bootstrap=1)
    assert np.isnan(no.of("premium")).all() and not np.isnan(no.inequality).any()
