"""`line_influence`: how much each active feature has to do with what the model predicts of a line.

Influence of a feature at a token = its activation times the derivative of the line's
log-likelihood with respect to it: activation times gradient, a first-order estimate of what the
log-likelihood would lose if the feature were not active there. The feature is taken to write its
decoder vectors into the model as it runs, whose attention, norms and MLPs react: one backward
pass gives the gradient at everything that MLPs add, and its products with the decoder vectors are
the derivatives of all features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.forward import evaluating, inference, trial_output
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.multilingual.line_features import Gathering, LineFeatures
from ilo_fast.transcoders.multilingual.lines import (
    equal_batches,
    line_ids,
    numbered_lines,
    position_limit_of,
    skipped_positions,
)
from ilo_fast.transcoders.reading import MLPReader, watched
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.sparse import ActiveFeatures, decode
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

_BATCH_TOKENS: Final = 1024


def line_influence(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    *,
    tokenizer: Any,
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    skip_positions: int | None = None,
    batch_tokens: int | None = None,
    progress: bool = False,
) -> LineFeatures:
    """The influence of each feature on the log-likelihood of its line.

    The log-likelihood is the sum over the line's own tokens, each given those before it. Values are
    absolute: `sums` over the tokens of the line, `maxima` the largest, `counts` the tokens at which
    there is any. The last token of a line predicts nothing of it: features there have none.

    Parameters
    ----------
    model, transcoder, texts, tokenizer, documents, skip_positions, progress
        As `line_features` takes them. The model needs its head.
    batch_tokens
        Tokens of one forward and backward pass. None: about a thousand.

    Returns
    -------
    LineFeatures
        Of the same lines as `line_features` gives; `feature_sharing` takes it with
        ``by="influence"``.

    Raises
    ------
    CorpusError, ValueError
        As `line_features`; the model has no head.

    Notes
    -----
    To first order, of one feature at a time: features that stand in for each other have little
    influence each, and what the model would do without many of them is not their sum. What the
    transcoder leaves unexplained has influence too, and is nobody's here.
    """
    it = ReplacementModel(model, transcoder, skip_positions=skip_positions)
    skip = skipped_positions(transcoder, skip_positions)
    lines = numbered_lines(texts, documents)
    limit = position_limit_of(model, MLPReader(model, (it.parts, it.sites)))
    ids = line_ids(tokenizer, lines, skip, limit)
    most = whole_number("batch_tokens", _BATCH_TOKENS if batch_tokens is None else batch_tokens)
    device, found = input_device(it.parts), Gathering(lines, ids, transcoder, skip)
    with (
        evaluating(model),
        evaluating(transcoder),
        inference(model),
        cost_bar(progress, "reading influence", cost=len(ids), items=len(ids), unit="line") as bar,
    ):
        for rows in equal_batches(ids, most):
            batch = torch.tensor([ids[row] for row in rows], device=device)
            active, influence = feature_influence(it, batch)
            found.add(rows, active.indptr, active.indices, influence.abs())
            bar.advance(len(rows), len(rows))
    return found.table()


def feature_influence(
    it: ReplacementModel, ids: torch.Tensor
) -> tuple[ActiveFeatures, torch.Tensor]:
    """The active features of every token that is not skipped, and the influence of each.

    Parameters
    ----------
    ids : (rows, tokens)
        Nothing padded, on the model's device.

    Returns
    -------
    features
        Of rows * (tokens - skip_positions) tokens, row by row.
    influence : (entries,)
        Signed; in nats.
    """
    coder, shape = it.transcoder, (*ids.shape, -1)
    read: dict[int, torch.Tensor] = {}
    probes: dict[int, torch.Tensor] = {}

    def keep(layer: int, x: torch.Tensor) -> None:
        read[layer] = x.detach().reshape(shape).clone()  # some models write in place

    def probed(layer: int, y: torch.Tensor) -> torch.Tensor:
        probes[layer] = torch.zeros_like(y, requires_grad=True)
        return y + probes[layer]

    with torch.enable_grad(), watched(it.sites, keep, probed):
        logits = trial_output(it.model, ids).logits[:, :-1]
        chances = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), -1)
        total = chances.gather(-1, ids[:, 1:, None].to(chances.device)).sum()
        order = range(it.n_layers)
        gradients = torch.autograd.grad(total, [probes[layer] for layer in order])
    weight = coder.encoder_weight

    def stacked(values: Sequence[torch.Tensor]) -> torch.Tensor:
        """(tokens, layers, d), of those that are not skipped."""
        kept = [v.reshape(shape)[:, it.skip_positions :].flatten(0, 1) for v in values]
        return torch.stack([v.to(weight.device, weight.dtype) for v in kept], dim=1)

    with torch.no_grad():
        active = coder.encode(stacked([read[layer] for layer in order]))
    with torch.enable_grad():
        values = active.values.detach().requires_grad_()
        features = ActiveFeatures(
            active.indptr, active.indices, values, coder.n_layers, coder.n_features
        )
        weights = [w.detach() for w in coder.decoder_weights]  # these need no gradient
        given = stacked(gradients) / coder.output_scale[:, None]
        written = (decode(features, weights, torch.zeros_like(coder.decoder_bias)) * given).sum()
        (slope,) = torch.autograd.grad(written, [values])
    return active, active.values * slope
