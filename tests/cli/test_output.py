"""The output folder."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from ilo_fast.cli import build_parser
from ilo_fast.cli.common import load_corpus, model_name, model_title
from ilo_fast.cli.output import folder_name, kept_scores, settings_names
from ilo_fast.cli.parser import UsageError
from ilo_fast.corpora.parallel import ParallelCorpus


def parsed(*argv: str) -> argparse.Namespace:
    return build_parser().parse_args([*argv])


def test_folder_names_are_safe() -> None:
    assert folder_name("org/model-1.5", "flores+") == "org__model-1.5__flores+"
    assert folder_name("../../etc", "a b\n<c>") == "etc__a_b_c"
    assert folder_name("...") == "unnamed"
    assert len(folder_name("x" * 999)) <= 150


def test_settings_that_are_not_the_default_are_in_the_name() -> None:
    assert settings_names(parsed("run")) == []
    flags = ("-k", "10", "--metric", "euclidean", "--special-tokens", "exclude")
    assert settings_names(parsed("run", *flags)) == ["special-exclude", "k-10", "euclidean"]
    assert settings_names(parsed("run", "--limit", "9", "--seed", "0")) == ["limit-9", "seed-0"]
    assert settings_names(parsed("score", "x", "--threshold", "2")) == ["t-2"]


def test_run_folder_gives_its_model_its_name(tmp_path: Path) -> None:
    run = tmp_path / "my-run"
    (run / "model").mkdir(parents=True)
    (run / "model" / "config.json").touch()
    (run / "run_card.json").touch()
    for given in (run, run / "model"):
        assert model_title(parsed("run", "-m", str(given))) == "my-run"
    assert model_title(parsed("run", "-m", str(run), "--name", "mine")) == "mine"
    assert model_name(parsed("run")) == "demo"
    assert model_name(parsed("run", "--name", "mine")) == "mine"


def test_limit_with_a_seed_draws_the_same_sentences_of_every_language() -> None:
    def loaded(*more: str) -> ParallelCorpus:
        return load_corpus(parsed("run", "-q", *more), "eng_Latn,deu_Latn")

    whole, first = loaded(), loaded("--limit", "9", "--seed", "1")
    assert first.sentences == whole.sample(9, seed=1).sentences
    assert first.sentences != loaded("--limit", "9").sentences
    with pytest.raises(UsageError, match="--seed draws the sentences of --limit"):
        loaded("--seed", "1")


def test_files_without_our_scores_beside_them_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").touch()
    with pytest.raises(FileExistsError, match=r"scores\.csv and no scores\.json"):
        kept_scores(tmp_path, {}, overwrite=False)
    assert kept_scores(tmp_path, {}, overwrite=True) is None
