"""The files of a zero-shot evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.scores import overlap_scores, transfer_scores

from ilo_fast.report.transfer_files import write_transfer

ACCURACY = {"eng_Latn": 0.9, "deu_Latn": 0.8}


def test_figure_is_the_same_each_time_and_gone_with_new_scores(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    scores, overlap = transfer_scores(ACCURACY), overlap_scores(codes=tuple(ACCURACY))
    written = write_transfer(scores, tmp_path, before=overlap, after=overlap)
    names = {"transfer.json", "transfer.csv", "transfer.png", "transfer.svg", "transfer.pdf"}
    assert {path.name for path in written} == names == {p.name for p in tmp_path.iterdir()}
    picture = (tmp_path / "transfer.svg").read_bytes()
    write_transfer(scores, tmp_path, before=overlap, after=overlap)
    assert (tmp_path / "transfer.svg").read_bytes() == picture
    # A figure of other scores does not stay beside the new ones.
    write_transfer(scores, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"transfer.json", "transfer.csv"}


def test_one_of_before_and_after_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give both, or neither"):
        write_transfer(transfer_scores(ACCURACY), tmp_path, before=overlap_scores())
    assert list(tmp_path.iterdir()) == []
