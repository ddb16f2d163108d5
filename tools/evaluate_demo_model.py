#!/usr/bin/env python3
"""Score the shipped demo model: the tables of its model card, as Markdown and JSON.

    python tools/evaluate_demo_model.py CORPORA --model python/ilo_fast/demo/model \\
        --demo python/ilo_fast/demo/corpus --json tables.json

Scores three texts that no training step saw: held-out Bible verses, FLORES-200 devtest, and the
everyday sentences of the demo.  The neighbours are computed in plain NumPy, by code that shares
nothing with ilo_fast.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demo_model import data, evaluate
from transformers import AutoModelForCausalLM, AutoTokenizer


def score(model: Any, tokenizer: Any, text: dict[str, list[str]], seen: set[str]) -> dict[str, Any]:
    """Per layer: means over the languages, seen and unseen apart, and the shuffled control."""
    vectors = {
        code: evaluate.sentence_vectors(model, tokenizer, lines) for code, lines in text.items()
    }
    rows = []
    for h in range(model.config.num_hidden_layers + 1):
        layer = {code: v[h] for code, v in vectors.items()}
        true = evaluate.ilo(layer)
        row = {
            "layer": h,
            "per_language": true,
            "chance": true["chance"],
            "shuffled": true["shuffled"],
        }
        for name, group in (("all", set(text)), ("seen", seen), ("unseen", set(text) - seen)):
            chosen = [i for i, code in enumerate(true["languages"]) if code in group]
            for key in ("bridge", "reach", "ilo", "translations"):
                values = np.array(true[key])[chosen]
                row[f"{key}_{name}"] = float(values.mean()) if len(chosen) else None
        rows.append(row)
    return {"languages": len(text), "sentences": len(next(iter(text.values()))), "layers": rows}


def markdown(name: str, result: dict[str, Any]) -> str:
    n = result["languages"] * result["sentences"]
    lines = [
        f"**{name}**: {result['languages']} languages x {result['sentences']} sentences "
        f"= {n} points; chance {100 * result['layers'][0]['chance']:.2f} %.",
        "",
        "| layer | bridge | reach | ILO | ILO, seen | ILO, unseen | translations | seen | unseen "
        "| shuffled |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]

    def number(value: float | None, percent: bool = False) -> str:
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if percent else f"{value:.2f}"

    for r in result["layers"]:
        cells = [str(r["layer"])]
        cells += [
            number(r[k]) for k in ("bridge_all", "reach_all", "ilo_all", "ilo_seen", "ilo_unseen")
        ]
        cells += [
            number(r[k], True)
            for k in ("translations_all", "translations_seen", "translations_unseen", "shuffled")
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("corpora", type=Path)
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--demo", type=Path, help="folder with <code>.txt, the demo corpus")
    p.add_argument("--flores", type=int, default=150, help="FLORES sentences a language")
    p.add_argument("--eval-verses", type=int, default=300, help="as in training")
    p.add_argument("--seed", type=int, default=1, help="as in training")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    torch.set_num_threads(args.threads)

    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model).backend_tokenizer
    text = data.load_text(args.corpora, eval_verses=args.eval_verses, seed=args.seed)
    seen = set(text.languages)
    texts = {"Held-out verses": text.heldout}
    if args.demo:
        texts["Demo corpus"] = {f.stem: data.read_lines(f) for f in sorted(args.demo.glob("*.txt"))}
    texts["FLORES-200 devtest"] = {
        f.stem: data.read_lines(f)[: args.flores]
        for f in sorted((args.corpora / "flores200_devtest").glob("*.txt"))
    }
    results: dict[str, Any] = {}
    for name, lines in texts.items():
        results[name] = score(model, tokenizer, lines, seen)
        print(markdown(name, results[name]), "\n", flush=True)
        best = max(results[name]["layers"], key=lambda r: r["translations_all"])
        per = best["per_language"]
        print(
            f"Layer {best['layer']} by language (ILO / translations):",
            ", ".join(
                f"{c} {i:.2f} / {100 * t:.0f} %"
                for c, i, t in zip(per["languages"], per["ilo"], per["translations"], strict=True)
            ),
            "\n",
            flush=True,
        )

    encoded = data.encode_text(tokenizer, text)
    counts = np.ones(model.config.vocab_size)
    for corpus in (*encoded.aligned.values(), encoded.plain):
        for ragged in corpus.values():
            counts += np.bincount(ragged.ids, minlength=len(counts))
            counts[2] += len(ragged)  # </s>
    bits = evaluate.bits_per_byte(
        model,
        tokenizer,
        {c: lines[:40] for c, lines in text.heldout.items()},
        counts / counts.sum(),
    )
    results["bits_per_byte"] = bits
    print(
        "Bits per byte, 40 held-out verses a language (model / unigram / uniform tokens):",
        ", ".join(
            f"{c} {b['model']:.2f} / {b['unigram']:.2f} / {b['uniform']:.2f}"
            for c, b in bits.items()
        ),
    )
    print(
        "mean:",
        {
            k: round(float(np.mean([b[k] for b in bits.values()])), 3)
            for k in ("model", "unigram", "uniform")
        },
    )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
