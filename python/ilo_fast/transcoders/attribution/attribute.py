"""`attribution_graph`: trace prompts through a model and its transcoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ilo_fast._util.checks import share, whole_number
from ilo_fast._util.memory import available_memory
from ilo_fast._util.progress import cost_bar
from ilo_fast.models.forward import as_written, working_device
from ilo_fast.transcoders.attribution.draft import Draft
from ilo_fast.transcoders.attribution.edges import Tracer
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.attribution.preparing import check_traceable, prepared
from ilo_fast.transcoders.attribution.targets import Wanted, explained
from ilo_fast.transcoders.prompts import Prompt, prompt_batches, prompt_ids
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

# More at once would not be faster: a shorter prompt is computed with as if it were the longest.
_BATCH_TOKENS: Final = 256
_LONGER: Final = 1.2


def attribution_graph(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    prompt: Prompt,
    *,
    tokenizer: Any = None,
    targets: Wanted = None,
    probability: float = 0.95,
    max_features: int = 8192,
    skip_positions: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> AttributionGraph:
    """The graph of one prompt: see `attribution_graphs`."""
    (graph,) = attribution_graphs(
        model, transcoder, [prompt],
        tokenizer=tokenizer, targets=targets, probability=probability, max_features=max_features,
        skip_positions=skip_positions, dtype=dtype,
    )  # fmt: skip
    return graph


def attribution_graphs(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    prompts: Sequence[Prompt],
    *,
    tokenizer: Any = None,
    targets: Wanted = None,
    probability: float = 0.95,
    max_features: int = 8192,
    skip_positions: int | None = None,
    dtype: torch.dtype = torch.float64,
    progress: bool = False,
) -> list[AttributionGraph]:
    """What made each active feature of each prompt, and what is predicted after it.

    Attention, norms and MLPs are held as they are on the prompt; what is left is linear, so that
    the contributions to every feature's pre-activation and to every target add up to it exactly
    (`AttributionGraph.residual`). Prompts of like lengths go together.

    Parameters
    ----------
    model
        A causal language model with its head. It is neither moved nor changed.
    transcoder
        Of this model.
    prompts
        Texts, or token ids. A text begins with the tokenizer's BOS token, where it has one and puts
        it there.
    tokenizer
        Needed for texts; names tokens.
    targets
        Tokens that may come next (ids or texts), a `Difference`, or a `Direction`; None: the most
        probable tokens that together have `probability`, at most ten.
    max_features
        Of more active features, those of the largest influence are nodes, of each layer in
        proportion to its active ones; what the others write is kept as sources of their layer and
        position (`rest`), which count as unexplained.
    skip_positions
        So many positions at the beginning have no features. None: as in the transcoder's training.
    dtype
        To compute in; the model is copied where it is in another. torch.float32 takes half the
        memory and time, and rows add up to some 1e-4 instead of 1e-9.
    progress
        A bar on stderr.

    Raises
    ------
    ValueError
        A prompt is empty, too long or has an unknown token; a target is unknown; the transcoder is
        of another model; or the model is not affine with attention, norms and MLPs held.
    """
    share("probability", probability)
    whole_number("max_features", max_features)
    if isinstance(prompts, str):
        raise TypeError("prompts is one text: pass a list, or call attribution_graph()")
    prompts = list(prompts)
    if any(isinstance(prompt, (int, np.integer)) for prompt in prompts):
        raise TypeError(
            "prompts is one prompt's token ids: pass a list of it, or call attribution_graph()"
        )
    check_traceable(model, transcoder)
    # Whatever the caller is in: gradients are wanted.
    with torch.inference_mode(False), as_written(model):
        return _graphs(
            *prepared(dtype, model, transcoder), prompts,
            tokenizer, targets, probability, max_features, skip_positions, progress,
        )  # fmt: skip


def _graphs(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    prompts: Sequence[Prompt],
    tokenizer: Any,
    targets: Wanted,
    probability: float,
    max_features: int,
    skip_positions: int | None,
    progress: bool,
) -> list[AttributionGraph]:
    """As `attribution_graphs`, of a model in the type to compute in."""
    replacement = ReplacementModel(model, transcoder, skip_positions=skip_positions)
    ids = [
        prompt_ids(
            "prompt" if len(prompts) == 1 else f"prompts[{at}]", prompt, tokenizer, replacement
        )
        for at, prompt in enumerate(prompts)
    ]
    graphs: dict[int, AttributionGraph] = {}
    config = getattr(model, "config", None)
    cost = sum(len(row) ** 2 for row in ids)  # rows times what one costs
    with cost_bar(progress, "graphs", cost=cost, items=len(ids), unit="prompt") as bar:
        for batch in prompt_batches([*map(len, ids)], _BATCH_TOKENS, config, longer=_LONGER):
            rows = [ids[at] for at in batch]
            size = sum(len(row) ** 2 for row in rows)

            def advance(share: float, size: int = size) -> None:
                bar.advance(share * size, 0)

            found = _traced(
                replacement, rows, tokenizer, targets, probability, max_features, advance
            )
            for at, graph in zip(batch, found, strict=True):
                graphs[at] = graph
            bar.advance(0, len(batch))
    return [graphs[at] for at in range(len(ids))]


def _traced(
    replacement: ReplacementModel,
    ids: Sequence[Sequence[int]],
    tokenizer: Any,
    targets: Wanted,
    probability: float,
    max_features: int,
    advance: Callable[[float], None],
) -> list[AttributionGraph]:
    """The graphs of some prompts that go together; `advance` is told each share of the work."""
    lengths = [len(row) for row in ids]
    device = working_device(replacement.model)
    filled = torch.zeros(len(ids), max(lengths), dtype=torch.int64, device=device)
    for row, tokens in enumerate(ids):
        filled[row, : len(tokens)] = torch.tensor(tokens)
    local = LocalModel(replacement, filled, torch.tensor(lengths))
    coder = replacement.transcoder
    tracer = Tracer(local, coder, lengths, replacement.skip_positions)
    if not bool(tracer.errors.isfinite().all()):
        raise ValueError(
            "transcoder gives numbers that are not finite on this prompt: a weight, bias or scale "
            "of it is NaN, infinite or zero; load or train it again"
        )
    wanted = [explained(local, row, targets, probability, tokenizer) for row in range(len(ids))]
    _check_memory(tracer, max_features)
    found = tracer.target_rows([w.scores for w in wanted], [w.final for w in wanted])
    drafts = [
        Draft(tracer, row, rows, of, max_features)
        for row, (rows, of) in enumerate(zip(found, wanted, strict=True))
    ]
    for layer in range(coder.n_layers - 1, -1, -1):
        chosen = [draft.choose(layer) for draft in drafts]
        step = tracer.rows_at_once()
        for start in range(0, max(map(len, chosen)), step):
            part = [index[start : start + step] for index in chosen]
            for draft, index, rows in zip(
                drafts, part, tracer.feature_rows(layer, part), strict=True
            ):
                draft.add(index, rows)
            advance(sum(map(len, part)) / sum(min(len(f), max_features) for f in tracer.features))
    return [
        draft.graph(row, tokenizer, replacement) for draft, row in zip(drafts, ids, strict=True)
    ]


def _check_memory(tracer: Tracer, max_features: int) -> None:
    size = tracer.local.adds.element_size()
    need = sum(min(len(f), max_features) * len(f) * size * 3 for f in tracer.features)
    free = available_memory()
    if free is not None and need > free:
        raise ValueError(
            f"the graph takes {need / 1e9:.1f} GB, {free / 1e9:.1f} are free: lower max_features="
            f"{max_features}, shorten the prompt, or trace fewer at once"
        )
