"""Checks on a few sentences before the work starts: that the hooks of PooledForward see the model's
own hidden states, and whether sentences may be padded to one length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast.errors import CorpusError
from ilo_fast.models.forward import by_sentence, callers_hooks, working_device
from ilo_fast.models.structure import ModelParts
from ilo_fast.representations.pooling import PooledForward
from ilo_fast.representations.tokens import TokenizedText

# "none": only sentences of one length share a batch; "alone": no two sentences do.
Padding = Literal["right", "none", "alone"]

# Relative distance allowed between a batch and one sentence at a time. In half precision the
# shape of a product chooses its kernel and so its rounding; a wrong mask or position is far worse.
_PADDING_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4}
_HALF_TOLERANCE = 0.15

# The longest sentence that is tried: all of its hidden states are held at once.
_LONGEST = 2048


def choose_samples(texts: Sequence[TokenizedText]) -> list[Sequence[int]]:
    """A short, a long and the longest sentence, of those with a bounded number of tokens.

    Some faults of padding show only where a sentence is longer than a window or than the budget of
    a sparse attention, so the lengths are those of the corpus.
    """
    rows = sorted((row for text in texts for row in text.ids), key=len)
    rows = [row for row in rows if len(row) <= _LONGEST] or rows[:1]
    chosen = [rows[len(rows) // 10], rows[len(rows) * 9 // 10], rows[-1]]
    return list({len(row): row for row in chosen}.values())


def check_vocabulary(
    vocabulary: int | None, backbone: str, texts: Mapping[str, TokenizedText]
) -> None:
    """Every token id has a row in the embeddings.

    Parameters
    ----------
    vocabulary
        The number of rows; None: not known.
    backbone
        The name of the model's class.

    Raises
    ------
    CorpusError
        One has none; names language, line and id.
    """
    if vocabulary is None:
        return
    for code, text in texts.items():
        for line, row in enumerate(text.ids, start=1):
            if len(row) and max(row) >= vocabulary:
                raise CorpusError(
                    f"{code}, line {line} has token id {max(row)}, but the embeddings of "
                    f"{backbone} have {vocabulary} rows: pass the "
                    "tokenizer that the model was trained with, or give added tokens a row by "
                    "model.resize_token_embeddings(len(tokenizer))"
                )


def verify(
    parts: ModelParts,
    layers: Sequence[int],
    pad_id: int,
    sentences: Sequence[Sequence[int]],
) -> None:
    """Compare the hooks with the model's own ``output_hidden_states`` of the same forward pass.

    The last layer is what the model returns as last, after its final norm; a few models end their
    ``hidden_states`` before that norm (CLIP), and a few leave the embeddings out (Mamba).

    Parameters
    ----------
    sentences
        Token ids of at least one sentence.

    Raises
    ------
    ValueError
        The hooks see something else, which is named; or a sentence is too long for the model.
    """
    name = type(parts.backbone).__name__
    hooked = callers_hooks(parts.backbone)
    if parts.confirmed is False and hooked:
        raise ValueError(
            f"{name}: a hook of yours on {hooked[0]} changes what the next layer takes, and the "
            "model's hidden_states do not show it: remove it, or pass verify=False to measure what "
            "the layers take"
        )
    if parts.confirmed is False:
        raise ValueError(
            f"{name}: no list of its layers takes its hidden_states one after the other, so which "
            "layer is which is not known and nothing was computed: pool its hidden_states "
            "yourself, and pass {language: array of shape (layers, sentences, dim)} to overlap()"
        )
    with PooledForward(parts, layers, pad_id) as forward:
        for ids in sentences:
            ours, states = _alone(forward, ids, forward.with_states)
            if states is None:
                raise ValueError(
                    f"{name} returns no hidden_states to verify against; pass verify=False to "
                    "trust the layers that were found"
                )
            theirs = [_mean(state, parts, len(ids)) for state in states]
            mismatches = [_mismatch(ours, theirs, layers, parts.n_blocks, left) for left in (0, 1)]
            if None not in mismatches:
                raise ValueError(
                    f"{name}: {mismatches[0]}. Representations would be wrong, so nothing was "
                    "computed; please report the architecture, or pass the module inside it whose "
                    "hidden_states you want"
                )
            again = forward([ids])
            if max(map(_distance, again[:, 0], ours[:, 0])) > _tolerance(parts):
                raise ValueError(
                    f"{name} gives other hidden states each time it reads the same sentence: "
                    "switch off what is random in its configuration, or pass verify=False and seed "
                    "torch yourself"
                )


def find_padding(
    parts: ModelParts,
    layers: Sequence[int],
    pad_id: int,
    sentences: Sequence[Sequence[int]],
) -> Padding:
    """How sentences may share a batch so that each gets the numbers that it has alone.

    Padding leaks where a model ignores the mask or shifts positions (FNet, ConvBERT): then only
    sentences of one length share a batch.
    """
    limit = _tolerance(parts)
    with PooledForward(parts, layers, pad_id) as forward:
        try:
            alone = [_alone(forward, ids, lambda ids: forward([ids]))[:, 0] for ids in sentences]
        except torch.cuda.OutOfMemoryError:
            return "none"  # it is told with its line when its turn comes

        def leaks(batch: Sequence[Sequence[int]], expected: Sequence[NDArray[np.float32]]) -> bool:
            try:
                together = forward(batch)
            except torch.cuda.OutOfMemoryError:
                return True  # too much at once to find out
            return any(
                _distance(together[row, column], single[row]) > limit
                for column, single in enumerate(expected)
                for row in range(len(layers))
            )

        if len(sentences) > 1 and leaks(sentences, alone):
            turned = list(sentences[0])[::-1]
            pair = [alone[0], forward([turned])[:, 0]]
            return "alone" if leaks([sentences[0], turned], pair) else "none"
    return "right"


def _alone(forward: PooledForward, ids: Sequence[int], read: Callable[[Sequence[int]], Any]) -> Any:
    """One sentence alone; says what to do where the model cannot take its length."""
    try:
        return read(ids)
    except torch.cuda.OutOfMemoryError:
        raise
    except (IndexError, RuntimeError) as error:
        fits = _longest_that_runs(forward, ids)
        if fits == 0:
            raise ValueError(
                f"{type(forward.parts.backbone).__name__} fails on a sentence of {len(ids)} tokens "
                f"alone ({' '.join(str(error).split())}): leave such sentences out"
            ) from error
        raise ValueError(
            f"{type(forward.parts.backbone).__name__} takes at most {fits} tokens, and a sentence "
            f"of the corpus has {len(ids)}: pass max_length={fits} to truncate it"
        ) from error


def _longest_that_runs(forward: PooledForward, ids: Sequence[int]) -> int:
    """The largest number of tokens that the model takes; 0 where it is no matter of length."""
    if not ids or working_device(forward.parts.backbone).type == "cuda":
        return 0  # after an index out of range, a GPU answers nothing more
    fits, fails = 0, len(ids)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        try:
            forward([ids[:middle]])
            fits = middle
        except (IndexError, RuntimeError):
            fails = middle
    return fits


def _mean(state: torch.Tensor, parts: ModelParts, tokens: int) -> NDArray[np.float32] | None:
    """The mean over tokens of one of the model's own states; None where it is of another form."""
    if state.dim() > 3:
        state = by_sentence(state.detach(), parts.axes)
    if state.dim() != 3 or state.shape[0] != 1 or state.shape[1] < tokens:
        return None
    # Some pad to a multiple of their window, on the right; the trial saw what they take unpadded.
    mean: NDArray[np.float32] = state[0, :tokens].detach().float().mean(dim=0).cpu().numpy()
    return mean


def _mismatch(
    ours: NDArray[np.float32],
    theirs: Sequence[NDArray[np.float32] | None],
    layers: Sequence[int],
    n_blocks: int,
    left_out: int,
) -> str | None:
    """What differs, when the first `left_out` layers are not among the model's states."""
    if not n_blocks - left_out <= len(theirs) <= n_blocks + 1:
        return f"it returns {len(theirs)} hidden states where {n_blocks} layers ran"
    for row, layer in enumerate(layers):
        if not left_out <= layer < n_blocks:
            continue  # the last is what the model returns, whatever its hidden_states are
        state = theirs[layer - left_out]
        if state is None or _distance(ours[row, 0], state) > 1e-5:
            return (
                f"what enters layer {layer} is not hidden_states[{layer}], or that is no state of "
                "every token"
            )
    return None


def _tolerance(parts: ModelParts) -> float:
    weight = next(p for p in parts.backbone.parameters() if p.is_floating_point())
    return _PADDING_TOLERANCE.get(weight.dtype, _HALF_TOLERANCE)


def _distance(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Relative Euclidean distance; NaN on both sides counts as equal (reported elsewhere)."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return 0.0
    scale = float(np.linalg.norm(theirs.astype(np.float64))) or 1.0
    return float(np.linalg.norm(ours.astype(np.float64) - theirs)) / scale
