"""Points, their neighbours and their texts, thinned to what a page has room for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.report.packing import packed, packed_codes, packed_size, packed_texts

if TYPE_CHECKING:
    from ilo_fast.report.run_data import RunData

_TEXT_SHARE: Final = 0.6  # of the room, up to which texts of all sentences are kept
_LEAST_SENTENCES: Final = 12  # of each language, however little room there is
_PLACES: Final = 2000  # along a side of the map: a pixel or two
_MOST_POINTS: Final = 40_000  # that a browser draws in a blink


def point_data(run: RunData, room: int) -> dict[str, Any] | None:
    """What can be said of single sentences; None where nothing is known of them.

    Parameters
    ----------
    room
        Bytes. Every second sentence is left out, or two of three, ... until the rest fits in; of
        all languages the same, so that translations stay together. The texts of sentences that are
        left out stay, since they are neighbours of others, unless they alone fill the page.
    """
    scores = run.scores
    neighbors = scores.neighbors
    if neighbors is None and run.positions is None:
        return None
    sizes = np.asarray(scores.n_sentences)
    everywhere = np.arange(int(sizes.max()))
    all_texts = _texts(run, everywhere)
    whole = packed_size(all_texts) <= _TEXT_SHARE * room
    stride = max(1, math.ceil(int(sizes.sum()) / _MOST_POINTS))
    while True:
        kept = everywhere[::stride]
        geometry = _geometry(run, kept, sizes)
        texts = all_texts if whole else _texts(run, kept)
        size = packed_size(texts) + sum(packed_size(part) for part in geometry.values())
        if size <= room or len(kept) <= _LEAST_SENTENCES:
            break
        stride = min(stride + 1 + stride // 4, math.ceil(len(everywhere) / _LEAST_SENTENCES))
    return {
        **geometry,
        "texts": texts,
        "stride": stride,
        "text_stride": 1 if whole else stride,
        "parallel": scores.translation_share is not None,
        "n_neighbors": 0 if neighbors is None else int(neighbors.indices.shape[-1]),
    }


def kept_rows(sizes: NDArray[Any], kept: NDArray[Any]) -> NDArray[np.int64]:
    """Rows of the pool of the kept sentences, one language after the other."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rows = [start + kept[kept < size] for start, size in zip(starts, sizes, strict=True)]
    return np.concatenate(rows).astype(np.int64)


def _geometry(run: RunData, kept: NDArray[Any], sizes: NDArray[Any]) -> dict[str, Any]:
    rows = kept_rows(sizes, kept)
    found: dict[str, Any] = dict.fromkeys(("x", "y", "neighbor_language", "neighbor_step", "label"))
    if run.positions is not None:
        found["x"] = packed(run.positions[:, rows, 0], n_steps=_PLACES)
        found["y"] = packed(run.positions[:, rows, 1], n_steps=_PLACES)
    if run.scores.neighbors is not None:
        starts = np.concatenate([[0], np.cumsum(sizes)])
        language_of = np.repeat(np.arange(len(sizes)), sizes)
        sentence_of = np.arange(int(sizes.sum())) - starts[language_of]
        lists = np.asarray(run.scores.neighbors.indices)[:, rows]
        languages = language_of[lists]
        # Of a translation 0, whatever the sentence: that is what deflates well.
        steps = (sentence_of[lists] - sentence_of[rows][:, None]) % int(sizes.max())
        found["neighbor_language"] = packed_codes(languages)
        found["neighbor_step"] = packed_codes(steps)
    if run.structure is not None and run.structure.labels is not None:
        labels = run.structure.labels[:, rows]
        found["label"] = packed_codes(np.clip(labels + 1, 0, 65535))
    return found


def _texts(run: RunData, kept: NDArray[Any]) -> dict[str, Any] | None:
    """The kept sentences of each language, one language after the other."""
    if run.texts is None:
        return None
    return packed_texts(
        [
            run.texts[code][i]
            for code, n in zip(run.scores.languages, run.scores.n_sentences, strict=True)
            for i in kept
            if i < n
        ]
    )
