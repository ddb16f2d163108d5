#!/usr/bin/env python3
"""Make the demo's transcoders: a cross-layer and a per-layer one of the demo model, and their card.

    python tools/train_demo_transcoders.py CORPORA --run RUNDIR \\
        --out python/ilo_fast/demo/transcoders

CORPORA holds bible_nt, nllb_seed, mono_commonvoice (to train on) and flores200_devtest (to evaluate
on: neither the model nor a transcoder saw any of it). Goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ilo_fast import __version__
from ilo_fast.corpora.languages import describe_language
from ilo_fast.models.demo import demo_model_path
from ilo_fast.transcoders import (
    TopK,
    TranscoderScores,
    evaluate_folder,
    load_transcoder,
    save_transcoder,
    train_transcoder,
)

KINDS = {"cross_layer": True, "per_layer": False}
TEXTS = ("bible_nt", "nllb_seed", "mono_commonvoice")  # the New Testament first: its lines align
FEATURES, K, TOKENS, SEED = 256, 16, 2_000_000, 1
WINDOWS = 23 * 6  # to evaluate on
LANGUAGES = (
    "ban_Latn,ben_Beng,bjn_Latn,ces_Latn,dan_Latn,deu_Latn,eng_Latn,fra_Latn,hin_Deva,ind_Latn,"
    "jpn_Jpan,nld_Latn,pol_Latn,rus_Cyrl,slv_Latn,spa_Latn,srp_Cyrl,swe_Latn,swh_Latn,tel_Telu,"
    "tgl_Latn,ukr_Cyrl,zho_Hans"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder for the training runs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cards, scores = {}, {}
    for kind, cross_layer in KINDS.items():
        trained = train_transcoder(
            "demo", [args.corpora / name for name in TEXTS], args.run / kind,
            languages=LANGUAGES, n_features=FEATURES, activation=TopK(K), cross_layer=cross_layer,
            tokens=TOKENS, seed=SEED, progress=True,
        )  # fmt: skip
        cards[kind] = trained.card
        transcoder = load_transcoder(trained.path)
        save_transcoder(transcoder.half(), args.out / kind)
        scores[kind] = evaluate_folder(
            args.out / kind, model=demo_model_path(), text=args.corpora / "flores200_devtest",
            languages=LANGUAGES, windows=WINDOWS, progress=True,
        )  # fmt: skip
        (args.out / kind / "metrics.json").unlink()
    (args.out / "README.md").write_text(card(cards, scores), encoding="utf-8")


def card(cards: dict[str, dict], scores: dict[str, TranscoderScores]) -> str:
    """The model card: how they were made, and the figures, as Markdown."""
    one = scores["cross_layer"]
    settings = cards["cross_layer"]["settings"]
    layers = [
        f"| {layer} | "
        + " | ".join(
            f"{s.explained_variance[0, layer]:.3f} | {s.l0[0, layer]:.1f} | "
            f"{100 * s.dead_share[0, layer]:.1f} % | {s.kl[0, layer]:.4f}"
            for s in scores.values()
        )
        + " |"
        for layer in range(one.n_layers)
    ]
    cascade = "| cascade | " + " | ".join(
        f"{s.explained_variance[0].mean():.3f} | {s.l0[0].sum():.1f} | "
        f"{100 * s.dead_share[0].mean():.1f} % | {s.kl[0, -1]:.4f}"
        for s in scores.values()
    )
    languages = [
        f"| {describe_language(code)['name']} | {one.n_tokens[1 + at]} | "
        f"{one.ce_model[1 + at]:.2f} | "
        + " | ".join(
            f"{s.explained_variance[1 + at].mean():.3f} | {s.kl[1 + at, -1]:.3f} | "
            f"{s.recovered_mean[1 + at, -1]:.3f}"
            for s in scores.values()
        )
        + " |"
        for at, code in enumerate(one.languages)
    ]
    runs = "\n".join(
        f"- `{kind}`: {c['tokens']:,} tokens ({c['passes']:.2f} passes), {c['steps']} steps, "
        f"{c['seconds'] / 60:.0f} minutes on {c['threads']} thread(s)"
        for kind, c in cards.items()
    )
    ce = ", ".join(
        f"{kind} {s.ce_replacement[0, -1]:.3f} (recovers {s.recovered_mean[0, -1]:.3f} of what the "
        f"MLPs do, against their mean)"
        for kind, s in scores.items()
    )
    shown = {k: settings[k] for k in sorted(settings) if not k.endswith("sha256")}
    return f"""---
license: cc-by-sa-4.0
library_name: ilo_fast
---

# The demo's transcoders

Two transcoders of the [demo model](../model/README.md), {FEATURES} features in each of its
{one.n_layers} layers, {K} active for a token: `cross_layer`, whose features write into their own
and all later layers, and `per_layer`, the control, whose features write into their own layer alone.
`load_transcoder("demo")` and `load_transcoder("demo-per-layer")` load them; `ilo-fast clt eval`
evaluates both. Weights are stored as float16 and computed with as float32.

They are there to try the tools on, offline. The model is an exhibit: its layer 3 was *trained* to
mix languages by meaning, and as a language model it is weak. What its features share across
languages says nothing about models at large. Train your own on your own model.

## Training

{runs}

Minutes are by the clock, whatever else the machine did.

Text: New Testament, NLLB-Seed and Common Voice prompts in the model's 23 languages, at their
lengths (sources and licences: the model's card). Most of these lines were trained on by the model,
too. Held out: blocks of ten lines, the same in every language. Settings:

```json
{json.dumps(shown)}
```

## Evaluation

On FLORES-200 devtest, of which neither the model nor the transcoders saw a line: {WINDOWS} windows
of {settings["context_length"]} tokens, {int(one.n_tokens[0]):,} tokens, {len(one.languages)}
languages. Explained variance (EV), L0, the share of features silent on this text, KL(model ||
replacement) in nats, of one layer replaced at a time and of the full cascade (EV there: mean over
layers; L0: sum):

| layer | EV, cross-layer | L0 | silent | KL | EV, per-layer | L0 | silent | KL |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(layers)}
{cascade} |

Cross-entropy of the model {one.ce_model[0]:.3f} nats per token, with all MLPs at their mean
{one.ce_mean[0, -1]:.3f}; replaced: {ce}.

By language: cross-entropy of the model, then for each transcoder EV (mean over layers, about the
language's own mean), KL of the cascade, and the share of cross-entropy recovered against the mean:

| language | tokens | CE | EV, cross-layer | KL | recovered | EV, per-layer | KL | recovered |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(languages)}

{int(one.n_documents[1])} to {int(one.n_documents[1:].max())} sentences of each language are few:
differences between languages of a few hundredths mean nothing.

Made with ilo_fast {__version__} by `tools/train_demo_transcoders.py`, seed {SEED}. Licence: CC
BY-SA 4.0, after the model and the text.
"""


if __name__ == "__main__":
    main()
