"""Features that fire on the last piece of a word and carry the whole word's identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.transcoders.multilingual.lines import (
    Integers,
    Lines,
    line_ids,
    numbered_lines,
    position_limit_of,
    skipped_positions,
)
from ilo_fast.transcoders.multilingual.words.word_information import permuted_words, word_entropy
from ilo_fast.transcoders.multilingual.words.word_occurrences import (
    ReadText,
    WordOccurrences,
    active_at,
    find_occurrences,
    read_words,
)
from ilo_fast.transcoders.multilingual.words.word_tests import (
    Decoded,
    Selected,
    Swapped,
    decode_words,
    select_and_test,
    shares,
)
from ilo_fast.transcoders.multilingual.words.words_result import WordFeature, WordFeatures
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

_BATCH_TOKENS: Final = 2048


def word_features(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    *,
    tokenizer: Any,
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    skip_positions: int | None = None,
    min_count: int = 4,
    n_selected: int = 20,
    n_permutations: int = 500,
    n_null: int = 10,
    n_swaps: int = 2000,
    n_bootstrap: int = 1000,
    seed: int = 0,
    batch_tokens: int | None = None,
    progress: bool = False,
) -> WordFeatures:
    """Which features at a word's last piece tell the word, and how much a layer's tell together.

    Two controls say what "tell" is worth. Words are permuted among the occurrences of one last
    piece: what is left tells nothing of words. And the earlier pieces of a word are put in place of
    those of another that ends in the same piece, in text that stays as it is: what follows the
    pieces reads words, what stays with the text reads the context.

    Parameters
    ----------
    model, transcoder, tokenizer
        As `open_transcoder` gives them; the tokenizer is a fast one.
    texts, documents, skip_positions, batch_tokens
        As `line_features`. Languages that put no space between words are left out.
    min_count
        Documents of either half that a word must be in.
    n_selected
        Features of each layer.
    n_permutations
        For p values; none is below 1 / (1 + n_permutations).
    n_null
        Decoders on permuted words; they take most of the time behind the reading.
    n_swaps
        Occurrences of the second half whose earlier pieces are replaced, drawn at random; 0: none.
    n_bootstrap, seed
        Of intervals; of the halves and of all that is drawn.
    progress
        A bar on stderr.

    Raises
    ------
    CorpusError
        As `line_features`.
    ValueError
        No word occurs often enough; the tokenizer does not say which characters a token holds.
    """
    for name, value, least in (
        ("min_count", min_count, 1), ("n_selected", n_selected, 1),
        ("n_permutations", n_permutations, 1), ("n_null", n_null, 1), ("n_swaps", n_swaps, 0),
        ("n_bootstrap", n_bootstrap, 1), ("seed", seed, 0),
    ):  # fmt: skip
        whole_number(name, value, least=least)
    batch = whole_number("batch_tokens", _BATCH_TOKENS if batch_tokens is None else batch_tokens)
    reader = MLPReader(model)
    lines = numbered_lines(texts, documents)
    skip = skipped_positions(transcoder, skip_positions)
    limit = position_limit_of(model, reader)
    line_ids(tokenizer, lines, skip, limit)  # refuses lines that the model cannot take
    read = read_words(tokenizer, lines)
    found = find_occurrences(read, lines, skip=skip, min_count=min_count, seed=seed)
    ends: dict[int, list[tuple[int, int]]] = {}
    for number, (line, end) in enumerate(zip(found.line.tolist(), found.end.tolist(), strict=True)):
        ends.setdefault(line, []).append((end, number))
    rows, inserted = drawn_swaps(found, n_swaps, seed)
    cut = [swapped_ids(read, found, row, word) for row, word in zip(rows, inserted, strict=True)]
    fit = [at for at, ids in enumerate(cut) if limit is None or len(ids) <= limit]
    rows, inserted, cut = rows[fit], inserted[fit], [cut[at] for at in fit]
    total = len(ends) + len(cut)
    with cost_bar(progress, "reading words", cost=total, items=total, unit="line") as bar:
        active = active_at(reader, transcoder, read.ids, ends, batch_tokens=batch, bar=bar)
        swapped = None
        if cut:
            last = {at: [(len(ids) - 1, at)] for at, ids in enumerate(cut)}
            of_swaps = active_at(reader, transcoder, cut, last, batch_tokens=batch, bar=bar)
            swapped = Swapped(rows, inserted, of_swaps)
    selected = select_and_test(
        found, active, swapped, n_selected=n_selected, n_permutations=n_permutations, seed=seed
    )
    decoded, told_swaps = decode_words(found, active, swapped, n_null=n_null, seed=seed)
    as_inserted, as_original, likeliest = told_swaps
    kept = np.flatnonzero([code not in read.without_words for code in lines.languages])
    counts = _by_language(found, decoded, kept, n_bootstrap, seed)
    # A word that was drawn for itself is no swap.
    other = inserted != found.word[rows] if len(rows) else np.zeros(0, bool)
    of_swap = found.document[rows][other] if len(rows) else np.zeros(0, np.int64)
    pieces, pieces_span = shares(
        as_inserted[other], of_swap, n_bootstrap=n_bootstrap, seed=(seed, 4)
    )
    context, context_span = shares(
        as_original[other], of_swap, n_bootstrap=n_bootstrap, seed=(seed, 4)
    )
    test = found.half == 1
    place = np.searchsorted(np.flatnonzero(test), rows[other] if len(rows) else rows)
    nothing = np.full(transcoder.n_layers, np.nan), np.full((transcoder.n_layers, 2), np.nan)
    unswapped, of_pieces, of_context = (
        nothing if told is None else (told.by_layer, told.null)
        for told in (selected.unswapped, selected.of_pieces, selected.of_context)
    )
    return WordFeatures(
        languages=tuple(lines.languages[at] for at in kept),
        without_words=read.without_words,
        fertility=read.fertility[kept],
        **counts,
        entropy=word_entropy(found.word[test], found.group),
        features=_named(selected, found, lines, tokenizer),
        information=selected.told.by_layer,
        information_null=selected.told.null,
        of_unswapped=unswapped[0],
        of_unswapped_null=unswapped[1],
        of_pieces=of_pieces[0],
        of_pieces_null=of_pieces[1],
        of_context=of_context[0],
        of_context_null=of_context[1],
        accuracy_null=decoded.null,
        as_inserted=pieces,
        as_inserted_interval=pieces_span,
        as_original=context,
        as_original_interval=context_span,
        unswapped=decoded.right[place].mean(axis=0) if len(place) else nothing[0],
        swap_majority=float(likeliest[other].mean()) if other.any() else float("nan"),
        n_swaps=int(other.sum()),
        min_count=min_count,
        n_selected=n_selected,
        n_permutations=n_permutations,
        n_bootstrap=n_bootstrap,
        seed=seed,
        info={"n_lines": len(lines.texts), "n_documents": int(lines.document.max()) + 1},
    )


def drawn_swaps(found: WordOccurrences, n: int, seed: int) -> tuple[Integers, Integers]:
    """Occurrences of the second half, and for each the word that is put there.

    The words are those of the drawn occurrences, permuted within last pieces: what is inserted is
    as frequent as what was there, and independent of the text around it.
    """
    random = np.random.default_rng((seed, 3))
    tested = np.flatnonzero(found.half == 1)
    rows = np.sort(random.permutation(tested)[:n])
    if not len(rows):
        return rows, rows
    return rows, next(permuted_words(found.word[rows], found.group, 1, (seed, 9)))


def swapped_ids(read: ReadText, found: WordOccurrences, row: int, word: int) -> list[int]:
    """The line up to the last piece of an occurrence, with the pieces of another word there."""
    end, length = int(found.end[row]), len(found.pieces[int(found.word[row])])
    before = read.ids[int(found.line[row])][: end + 1 - length]
    return [*before, *found.pieces[int(word)]]


def _by_language(
    found: WordOccurrences, decoded: Decoded, kept: Integers, n_bootstrap: int, seed: int
) -> dict[str, Any]:
    """Counts and accuracies, of all languages and of each."""
    tested = found.half == 1
    document, language = found.document[tested], found.language[found.word[tested]]
    masks = [np.ones(len(language), bool), *(language == at for at in kept)]
    accuracy, spans = zip(
        *(
            shares(decoded.right[m], document[m], n_bootstrap=n_bootstrap, seed=(seed, 5))
            for m in masks
        ),
        strict=True,
    )
    return {
        "n_words": np.array([(found.language == at).sum() for at in kept], np.int64),
        "n_last_pieces": np.array(
            [len(np.unique(found.group[found.language == at])) for at in kept], np.int64
        ),
        "n_tested": np.array([m.sum() for m in masks[1:]], np.int64),
        "accuracy": np.stack(accuracy),
        "accuracy_interval": np.stack(spans),
        "majority": np.array([decoded.guessed[m].mean() if m.any() else np.nan for m in masks]),
    }


def _named(
    selected: Selected, found: WordOccurrences, lines: Lines, tokenizer: Any
) -> tuple[WordFeature, ...]:
    told, pieces_told, context_told = selected.told, selected.of_pieces, selected.of_context
    order = np.lexsort((-told.information, told.p))
    named = []
    for at in order.tolist():
        word = int(selected.word[at])
        pieces = list(found.pieces[word])
        named.append(
            WordFeature(
                layer=int(selected.layer[at]),
                feature=int(selected.feature[at]),
                information=float(told.information[at]),
                p=float(told.p[at]),
                of_pieces=None if pieces_told is None else float(pieces_told.information[at]),
                p_of_pieces=None if pieces_told is None else float(pieces_told.p[at]),
                of_context=None if context_told is None else float(context_told.information[at]),
                language=lines.languages[int(found.language[word])],
                word=str(tokenizer.decode(pieces)).strip(),
                last_piece=str(tokenizer.decode(pieces[-1:])),
                rate=float(selected.rate[at]),
                rate_others=float(selected.rate_others[at]),
            )
        )
    return tuple(named)
