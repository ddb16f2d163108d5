"""Where in some text which features are active: their strongest contexts, how often, by language.

One pass over the text. Of each feature so many contexts are held, whatever the length of the text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.models.forward import evaluating, inference
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.sparse import ActiveFeatures
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import Windows

BEFORE: Final = 12
AFTER: Final = 6
"""Tokens of a context around the one it was chosen for, where the window has them."""

_BATCH_TOKENS: Final = 2048
_BATCH_BYTES: Final = 1e9  # of pre-activations, where they are computed one and all
_MERGED: Final = 1 << 18  # contexts that may wait

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureActivity:
    """What was seen of features in some windows.

    Attributes
    ----------
    windows : Windows
    features : (features,) int64
        layer * n_features + feature, ascending.
    firings : (languages, features) int64
        Tokens at which a feature is active.
    tokens : (languages,) int64
        Tokens that were looked at.
    contexts : (contexts,) int64
        Index into `features`, ascending; those of one feature from the strongest on, no two in one
        line of text. Of equal ones the first in the text.
    window, position : (contexts,) int64
        The place.
    activations : (contexts, BEFORE + 1 + AFTER) float32
        Of the feature, around the place; NaN where the window has no token.
    """

    windows: Windows
    features: Integers
    firings: Integers
    tokens: Integers
    contexts: Integers
    window: Integers
    position: Integers
    activations: NDArray[np.float32]

    @property
    def rates(self) -> NDArray[np.float64]:
        """(languages, features): shares of the tokens of a language."""
        return self.firings / self.tokens[:, None]


def feature_activity(
    reader: MLPReader,
    transcoder: CrossLayerTranscoder,
    windows: Windows,
    *,
    features: Collection[tuple[int, int]] | None = None,
    n_contexts: int = 10,
    skip_positions: int | None = None,
    batch_tokens: int | None = None,
    progress: bool = False,
) -> FeatureActivity:
    """Where in the windows features are active.

    Parameters
    ----------
    reader
        Of the model that the transcoder is of.
    features
        (layer, feature) of those wanted. None: all.
    n_contexts
        At most so many of each feature.
    skip_positions
        So many tokens at the beginning of each window do not count. None: as in the transcoder's
        training; 1 where it does not say.
    batch_tokens
        Tokens of one forward pass. None: some thousands.
    progress
        A bar on stderr.

    Raises
    ------
    ValueError
        There is no such feature; windows shorter than what is skipped, or without a language.
    """
    if skip_positions is None:
        skip_positions = 1 if transcoder.info is None else transcoder.info.skip_positions
    whole_number("skip_positions", skip_positions, 0, windows.ids.shape[1] - 1)
    width = transcoder.n_layers * transcoder.n_features
    if batch_tokens is None:
        batch_tokens = min(_BATCH_TOKENS, max(1, int(_BATCH_BYTES // (4 * width))))
    rows = max(1, whole_number("batch_tokens", batch_tokens) // windows.ids.shape[1])
    of_language = np.bincount(windows.language.numpy(), minlength=len(windows.languages))
    if not of_language.all():
        code = windows.languages[int(of_language.argmin())]
        raise ValueError(f"windows hold none of {code}: leave the language out")
    found = _Gathering(windows, skip_positions, chosen(transcoder, features), width, n_contexts)
    weight, device = transcoder.encoder_weight, input_device(reader.parts)
    with (
        evaluating(transcoder),
        inference(transcoder),
        cost_bar(
            progress, "finding contexts", cost=len(windows), items=len(windows), unit="window"
        ) as bar,
    ):
        for at in range(0, len(windows), rows):
            batch = windows.ids[at : at + rows]
            x, _ = reader.read(batch.to(device))
            x = x[:, skip_positions:].flatten(0, 1)
            found.add(at, transcoder.encode(x.to(weight.device, weight.dtype)))
            bar.advance(len(batch), len(batch))
    return found.result()


def chosen(
    transcoder: CrossLayerTranscoder, features: Collection[tuple[int, int]] | None
) -> Integers:
    """layer * n_features + feature of these, ascending, each once; of all for None."""
    if features is None:
        return np.arange(transcoder.n_layers * transcoder.n_features)
    pairs = np.array(sorted(set(features)), dtype=np.int64).reshape(-1, 2)
    most = np.array([transcoder.n_layers, transcoder.n_features])
    wrong = ((pairs < 0) | (pairs >= most)).any(axis=1)
    if wrong.any():
        layer, feature = pairs[int(wrong.argmax())].tolist()
        raise ValueError(
            f"features names feature {feature} of layer {layer}, the transcoder has {most[0]} "
            f"layers of {most[1]}"
        )
    flat: Integers = pairs[:, 0] * most[1] + pairs[:, 1]
    return flat


@dataclass(frozen=True)
class _Places:
    """Candidates for contexts."""

    slot: Integers  # index of the feature among those chosen
    line: Integers
    value: NDArray[np.float32]
    token: Integers  # counted over all windows
    around: NDArray[Any]

    def __len__(self) -> int:
        return len(self.slot)

    def __getitem__(self, which: Any) -> _Places:
        return _Places(*(values[which] for values in vars(self).values()))


def _joined(parts: list[_Places]) -> _Places:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return _Places(*map(np.concatenate, columns))


class _Gathering:
    """What has been seen so far."""

    def __init__(
        self, windows: Windows, skip: int, features: Integers, width: int, n_contexts: int
    ) -> None:
        self.windows, self.skip, self.features, self.width = windows, skip, features, width
        self.n_contexts = whole_number("n_contexts", n_contexts)
        self.slots = np.full(width, -1)
        self.slots[features] = np.arange(len(features))
        self.language = windows.language.numpy()
        self.n_lines = int(windows.document.max()) + 1
        self.firings = np.zeros((len(windows.languages), len(features)), np.int64)
        # The weakest of a feature's contexts, once it has all that it may have.
        self.floor = np.full(len(features), -np.inf, np.float32)
        none = np.empty(0, np.int64)
        around = np.empty((0, BEFORE + 1 + AFTER), np.float32)
        self.kept = _Places(none, none, none.astype(np.float32), none, around)
        self.waiting: list[_Places] = []

    def add(self, first: int, active: ActiveFeatures) -> None:
        """Active features of the windows from `first` on."""
        token, index = active.tokens.cpu().numpy(), active.indices.cpu().numpy().astype(np.int64)
        value = active.values.float().cpu().numpy()
        slot = self.slots[index]
        on = (slot >= 0) & (value > 0)
        token, slot, value = token[on], slot[on], value[on]
        keys = token * self.width + slot  # ascending: entries are, and so are slots
        length = self.windows.ids.shape[1] - self.skip
        window = first + token // length
        position = token % length + self.skip
        n = len(self.features)
        flat = np.bincount(self.language[window] * n + slot, minlength=self.firings.size)
        self.firings += flat.reshape(self.firings.shape)
        strong = np.flatnonzero(value > self.floor[slot])
        window, position = window[strong], position[strong]
        new = _Places(
            slot[strong],
            self.language[window] * self.n_lines + self.windows.document.numpy()[window, position],
            value[strong],
            window * self.windows.ids.shape[1] + position,
            strong[:, None],  # for the time being
        )
        new = self._strongest(new)
        entry = new.around[:, 0]
        by = np.argsort(entry)  # ascending, they are found several times faster
        around = np.empty((len(new), BEFORE + 1 + AFTER), np.float32)
        around[by] = self._around(keys, value, token[entry[by]], new.slot[by])
        self.waiting.append(_Places(new.slot, new.line, new.value, new.token, around))
        if sum(map(len, self.waiting)) >= max(_MERGED, len(self.kept)) or first == 0:
            self._merge()

    def _around(
        self, keys: Integers, value: NDArray[np.float32], token: Integers, slot: Integers
    ) -> NDArray[np.float32]:
        """What the features of these slots are at the tokens around."""
        length = self.windows.ids.shape[1] - self.skip
        found = np.zeros((len(token), BEFORE + 1 + AFTER), np.float32)
        position = token % length
        for column, step in enumerate(range(-BEFORE, AFTER + 1)):
            wanted = (token + step) * self.width + slot
            place = np.searchsorted(keys, wanted)
            place[place == len(keys)] = 0
            is_there = position + step
            here = (keys[place] == wanted) & (is_there >= 0) & (is_there < length)
            found[here, column] = value[place[here]]
            found[(is_there >= length) | (is_there < -self.skip), column] = np.nan
        return found

    def _strongest(self, places: _Places) -> _Places:
        """The best of each line of each feature, and of those the best of each feature.

        Of equal ones the first in the text: they come in that order, and stay in it.
        """
        # Positive numbers are in the order of their bits.
        weakness = 0x7FFFFFFF - places.value.view(np.int32).astype(np.int64)
        order = np.argsort((places.slot << 32) | weakness, kind="stable")
        slot = places.slot[order]
        pair = slot * (len(self.windows.languages) * self.n_lines) + places.line[order]
        by_pair = np.argsort(pair, kind="stable")
        best = np.zeros(len(order), dtype=bool)
        best[by_pair[_firsts(pair[by_pair])]] = True
        order, slot = order[best], slot[best]
        starts = np.flatnonzero(_firsts(slot))
        rank = np.arange(len(slot)) - np.repeat(starts, np.diff(np.append(starts, len(slot))))
        return places[order[rank < self.n_contexts]]

    def _merge(self) -> None:
        self.kept = self._strongest(_joined([self.kept, *self.waiting]))
        self.waiting.clear()
        slot = self.kept.slot
        full = np.flatnonzero(np.bincount(slot, minlength=len(self.features)) == self.n_contexts)
        last = np.searchsorted(slot, full, side="right") - 1
        self.floor[full] = self.kept.value[last]

    def result(self) -> FeatureActivity:
        self._merge()
        window, position = np.divmod(self.kept.token, self.windows.ids.shape[1])
        tokens = np.bincount(self.language, minlength=len(self.windows.languages))
        tokens *= self.windows.ids.shape[1] - self.skip
        return FeatureActivity(
            windows=self.windows,
            features=self.features,
            firings=self.firings,
            tokens=tokens,
            contexts=self.kept.slot,
            window=window,
            position=position,
            activations=self.kept.around,
        )


def _firsts(values: Integers) -> NDArray[np.bool_]:
    """Where a value differs from the one before."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]
