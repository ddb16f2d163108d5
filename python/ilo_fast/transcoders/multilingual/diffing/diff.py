"""`diff_models`: what training has changed, feature by feature, beyond what seeds alone change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ilo_fast._util.checks import share, whole_number
from ilo_fast._util.versions import versions
from ilo_fast.models.identity import NUMERIC_PACKAGES
from ilo_fast.transcoders.files.opening import Opened
from ilo_fast.transcoders.multilingual.diffing.events import feature_events
from ilo_fast.transcoders.multilingual.diffing.pair import Correspondence, PairDiff, compare_pair
from ilo_fast.transcoders.multilingual.diffing.reading import Documents, Readings, Texts
from ilo_fast.transcoders.multilingual.diffing.result import ModelDiff


def diff_models(
    base: Opened,
    tuned: Opened,
    texts: Texts,
    *,
    controls: Sequence[Opened | tuple[Opened, Opened]] = (),
    documents: Documents = None,
    correspondence: Correspondence | None = None,
    prompts: int | Sequence[Any] = 16,
    prompt_tokens: int = 16,
    match_tokens: int = 4096,
    min_firings: int = 20,
    null_share: float = 0.01,
    n_boot: int = 1000,
    seed: int = 0,
    batch_tokens: int | None = None,
    progress: bool = False,
) -> ModelDiff:
    """Compare a model with one that was trained on, through transcoders, on the same text.

    Open both with `open_transcoder`. The tuned model's transcoder may be the base's own
    (``open_transcoder(base_folder, model=tuned, allow_other_weights=True)``), the base's refitted
    on the tuned model (``train_transcoder(tuned, ..., initial=base_folder)``), or a fresh one,
    whose features are matched.

    Parameters
    ----------
    base, tuned
        Before and after.
    texts, documents
        As for `line_features`: text that neither was trained on. Intervals are by document.
    controls
        Fits that differ in their seeds alone, compared in the same way: pairs, or one, which is
        compared with `base` (its transcoder refitted on the base model with another seed, beside a
        refitted one; one of another seed, beside a fresh one). Without any, nothing can be told
        beyond intervals over documents.
    correspondence
        ``"number"`` or ``"match"``; None: by number, unless neither transcoder was fitted from the
        other's weights.
    prompts
        To trace: how many beginnings of lines, or texts or token ids themselves; 0: none.
    prompt_tokens
        Tokens of a beginning.
    match_tokens
        About so many tokens to match features on.
    min_firings
        Features that fire less often on this text, before or after, are not judged.
    null_share
        Of the features of the controls, so many may be beyond a threshold.
    n_boot, seed
        Of the bootstraps, and of what is drawn.
    batch_tokens
        As for `line_features`.
    progress
        Bars on stderr.

    Returns
    -------
    ModelDiff

    Raises
    ------
    CorpusError
        As for `line_features`.
    ValueError
        Text of one document; models of different shapes or tokenizers; a control that is compared
        in another way than the models.
    """
    if not isinstance(prompts, Sequence):
        whole_number("prompts", prompts, least=0)
    whole_number("prompt_tokens", prompt_tokens, least=3)
    whole_number("match_tokens", match_tokens, least=2)
    whole_number("min_firings", min_firings)
    whole_number("n_boot", n_boot, least=2)
    share("null_share", null_share)
    if isinstance(prompts, str):
        raise TypeError("prompts is one text: pass a list")
    readings = Readings(
        texts, documents,
        prompts=prompts, prompt_tokens=prompt_tokens, match_tokens=match_tokens,
        seed=seed, batch_tokens=batch_tokens, progress=progress,
    )  # fmt: skip
    main = compare_pair(
        base, tuned, readings, correspondence=correspondence, n_boot=n_boot, seed=seed
    )
    others: list[PairDiff] = []
    for at, control in enumerate(controls):
        before, after = control if isinstance(control, tuple) else (base, control)
        found = compare_pair(
            before, after, readings, correspondence=correspondence, n_boot=n_boot, seed=seed
        )
        if found.correspondence != main.correspondence:
            raise ValueError(
                f"controls[{at}] is compared by {found.correspondence} ({found.fit} transcoder), "
                f"base and tuned by {main.correspondence} ({main.fit}): pass a control of the same "
                f'kind, or correspondence="{found.correspondence}"'
            )
        others.append(found)
    masks, events = feature_events(
        main.changes, [one.changes for one in others],
        min_firings=min_firings, null_share=null_share,
    )  # fmt: skip
    table = readings.table(base)
    return ModelDiff(
        main,
        tuple(others),
        masks,
        events,
        {
            "languages": list(table.languages),
            "lines": len(table),
            "documents": len(np.unique(table.document)),
            "tokens": int(table.tokens.sum()),
            "parallel": table.is_parallel,
            "n_layers": table.n_layers,
            "n_features": table.n_features,
            "prompts": 0 if main.edges is None else main.edges.n_prompts,
            "prompt_tokens": prompt_tokens,
            "match_tokens": match_tokens,
            "min_firings": min_firings,
            "null_share": null_share,
            "n_boot": n_boot,
            "seed": seed,
            "versions": versions(*NUMERIC_PACKAGES),
        },
    )
