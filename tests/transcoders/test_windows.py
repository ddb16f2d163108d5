"""Windows of text: the label of every token, what is held out, what is too short."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from helpers import tiny_models
from helpers.transcoders import lines

from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.transcoders.windows import (
    BLOCK_LINES,
    Windows,
    draw_windows,
    is_held_out,
    read_windows,
    transcoder_texts,
)

BOS, EOS = 0, 2


def random_texts() -> dict[str, list[str]]:
    seed = random.randrange(2**32)
    print("seed", seed)
    random.seed(seed)
    texts = {}
    for code in ("deu_Latn", "eng_Latn", "fra_Latn"):
        sizes = [random.randrange(1, 30) for _ in range(random.randrange(210, 300))]
        texts[code] = [
            "" if random.random() < 0.1 else "".join(random.choices("abc xyz", k=size))
            for size in sizes
        ]
    return texts


def token_labels(windows: Windows) -> list[tuple[str, int, int]]:
    """Language, line, id of every token, in order; without BOS tokens."""
    return [
        (windows.languages[language], line, token)
        for language, row, of_row in zip(
            windows.language.tolist(), windows.ids.tolist(), windows.document.tolist(), strict=True
        )
        for token, line in zip(row, of_row, strict=True)
        if token != BOS
    ]


@pytest.mark.parametrize("specials", [True, False])
def test_labels_of_every_token_are_those_of_a_tokenisation_by_line(specials: bool) -> None:
    texts = random_texts()
    tokenizer = tiny_models.tokenizer(specials=specials)
    for side, windows in enumerate(
        read_windows(tokenizer, texts, context_length=13, eval_fraction=0.25, seed=3)
    ):
        held = {n for n in range(300) if is_held_out(n, seed=3, eval_fraction=0.25)}
        found = token_labels(windows)
        for code, text in texts.items():
            forbidden = set() if side else {text[n].strip() for n in held if n < len(text)}
            wanted = []
            for n, line in enumerate(text):
                normal = " ".join(line.split())
                if not normal or (n in held) != bool(side):
                    continue
                if normal in {" ".join(other.split()) for other in forbidden}:
                    continue
                ids = [t for t in tokenizer(line)["input_ids"] if t not in (BOS, EOS)]
                wanted += [(code, n, token) for token in (*ids, EOS)]
            mine = [entry for entry in found if entry[0] == code]
            assert mine == wanted[: len(mine)]
            assert len(wanted) - len(mine) < 13
    assert windows.ids.shape == windows.document.shape


def test_windows_begin_with_bos_where_the_tokenizer_adds_it_and_have_it_nowhere_else() -> None:
    texts = {"eng_Latn": lines(300)}
    with_bos, _ = read_windows(tiny_models.tokenizer(), texts, context_length=9)
    assert (with_bos.ids[:, 0] == BOS).all()
    assert not (with_bos.ids[:, 1:] == BOS).any()  # it would be a sink amid tokens that count
    without, _ = read_windows(tiny_models.tokenizer(specials=False), texts, context_length=9)
    assert not (without.ids == BOS).any()


def test_held_out_lines_are_whole_blocks_the_same_in_every_language_and_never_trained_on() -> None:
    n = 400
    texts = {"deu_Latn": lines(n, "das"), "eng_Latn": lines(n, "the")}
    texts["eng_Latn"][7] = "Again and  again"
    held = [line for line in range(n) if is_held_out(line, seed=5, eval_fraction=0.1)]
    assert len(held) == n // 10
    assert all(
        is_held_out(line // BLOCK_LINES * BLOCK_LINES, seed=5, eval_fraction=0.1) for line in held
    )
    texts["eng_Latn"][held[0]] = "again and again"  # line 7, but for case and spaces
    tokenizer = tiny_models.tokenizer()
    train, held_out = read_windows(tokenizer, texts, context_length=9, eval_fraction=0.1, seed=5)
    assert 7 not in held
    for code in (0, 1):
        trained = set(train.document[train.language == code].flatten().tolist())
        kept = set(held_out.document[held_out.language == code].flatten().tolist())
        assert not trained & set(held)
        assert kept <= set(held)
        assert (7 in trained) == (code == 0)
    assert held != [line for line in range(n) if is_held_out(line, seed=6, eval_fraction=0.1)]
    # A text that grows keeps them.
    assert [line for line in range(2 * n) if is_held_out(line, seed=5, eval_fraction=0.1)][
        : len(held)
    ] == held


def test_text_too_short_is_named_with_its_language_and_counts() -> None:
    tokenizer = tiny_models.tokenizer()
    texts = {"deu_Latn": lines(300), "eng_Latn": ["one line"]}
    with pytest.raises(CorpusError, match=r"eng_Latn: its .* 10 tokens in 1 lines \(of 1\).*64"):
        read_windows(tokenizer, texts)
    with pytest.raises(CorpusError, match=r"deu_Latn: its held-out text is .*raise eval_fraction"):
        read_windows(tokenizer, {"deu_Latn": lines(9)}, context_length=8)
    with pytest.raises(ValueError, match=r"eval_fraction=0\.7"):
        read_windows(tokenizer, texts, eval_fraction=0.7)


def test_one_plain_file_is_text_of_the_language_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "my notes.txt"
    file.write_text("first\n\nthird\n")
    assert transcoder_texts(file) == {"und": ["first", "", "third"]}
    assert list(transcoder_texts(file, language="en")) == ["eng_Latn"]
    with pytest.raises(CorpusError, match="languages='deu_Latn' chooses files of a folder"):
        transcoder_texts(file, "deu_Latn")
    with pytest.raises(CorpusError, match="language='en' is of one plain text file"):
        transcoder_texts({"eng_Latn": ["a"]}, language="en")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "en.txt").write_text("a\n\nb\n")
    assert transcoder_texts(tmp_path / "folder") == {"eng_Latn": ["a", "", "b"]}


def test_an_absent_path_is_said_to_be_absent_whatever_else_is_asked(tmp_path: Path) -> None:
    for language in (None, "en"):
        with pytest.raises(AccessError, match=r"text: there is no file or folder '.*mine\.txt'"):
            transcoder_texts(tmp_path / "mine.txt", language=language)


def test_windows_are_drawn_in_equal_shares_and_stay_in_order() -> None:
    language = torch.tensor([0] * 3 + [1] * 40 + [2] * 30)
    ids = torch.arange(73)[:, None].expand(73, 2)
    windows = Windows(ids, language, torch.zeros_like(ids), ("deu_Latn", "eng_Latn", "fra_Latn"))
    drawn = draw_windows(windows, 23, seed=4)
    assert drawn.language.bincount().tolist() == [3, 10, 10]
    rows = drawn.ids[:, 0]
    assert (rows.diff() > 0).all() and torch.equal(drawn.language, language[rows])
    assert torch.equal(rows, draw_windows(windows, 23, seed=4).ids[:, 0])
    assert not torch.equal(rows, draw_windows(windows, 23, seed=5).ids[:, 0])
    assert draw_windows(windows, 73) is draw_windows(windows, None) is windows
    with pytest.raises(ValueError, match="windows=2: wanted one or more for each of 3 languages"):
        draw_windows(windows, 2)
