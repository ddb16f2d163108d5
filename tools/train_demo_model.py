#!/usr/bin/env python3
"""Train the small multilingual causal language model that ships with ilo_fast.

    python tools/train_demo_model.py CORPORA --out python/ilo_fast/demo/model --run runs/demo

CORPORA is a folder with bible_ot/, bible_nt/, nllb_seed/ and mono_commonvoice/, one
``<code>.txt`` a language.  The defaults are the settings of the shipped weights.  Stages, each
kept in the run folder and skipped when its file is there, so that an interrupted run goes on:

1. tokenizer     byte-level BPE on an equal number of lines a language
2. warm start    word vectors shared across languages (sentence-id factorisation, then ranking)
3. training      next-token loss + translation-ranking loss (InfoNCE) on the mean of a middle layer
4. export        float16 safetensors in plain transformers format, and the training curve

Checkpoints hold the optimizer, and the batches of step s depend on (seed, s) alone.
Needs: numpy, scipy, torch, transformers, tokenizers, safetensors.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demo_model import data, evaluate, network, vocabulary, warmstart
from demo_model.losses import ranking_loss
from tokenizers import Tokenizer

log = logging.getLogger("train_demo_model")


def parse_arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("corpora", type=Path)
    p.add_argument("--run", type=Path, required=True, help="folder for stages and checkpoints")
    p.add_argument("--out", type=Path, help="export the model here at the end")
    p.add_argument("--export-only", action="store_true", help="export the newest checkpoint")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    g = p.add_argument_group("data")
    g.add_argument("--heldout-verses", type=int, default=300)
    g.add_argument("--vocab-size", type=int, default=24576)
    g.add_argument("--tokenizer-lines", type=int, default=5000, help="of each kind, a language")
    g.add_argument("--max-tokens", type=int, default=48)
    g = p.add_argument_group("warm start")
    g.add_argument("--vector-dim", type=int, default=128)
    g.add_argument("--vector-steps", type=int, default=1500)
    g.add_argument("--vector-lr", type=float, default=0.004)
    g = p.add_argument_group("model")
    g.add_argument("--hidden-size", type=int, default=192)
    g.add_argument("--layers", type=int, default=6)
    g.add_argument("--heads", type=int, default=6)
    g.add_argument("--kv-heads", type=int, default=2)
    g.add_argument("--mlp-size", type=int, default=512)
    g.add_argument("--meaning-norm", type=float, default=8.0)
    g.add_argument("--language-norm", type=float, default=6.5)
    g = p.add_argument_group("training")
    g.add_argument("--steps", type=int, default=600)
    g.add_argument("--decay-share", type=float, default=0.3, help="last part: rate falls to 0")
    g.add_argument("--lr", type=float, default=1.5e-3)
    g.add_argument("--embedding-lr", type=float, default=1e-3)
    g.add_argument("--ranking-layers", type=int, nargs="+", default=[3])
    g.add_argument("--ranking-weight", type=float, default=1.0)
    g.add_argument("--temperature", type=float, default=0.05)
    g.add_argument("--passages", type=int, default=40)
    g.add_argument("--views", type=int, default=4)
    g.add_argument("--lm-lines", type=int, default=32)
    g.add_argument("--evaluate-every", type=int, default=100)
    return p.parse_args()


def prepare(args: argparse.Namespace) -> tuple[data.Text, Tokenizer, data.Encoded]:
    """Stage 1: held-out split, tokenizer, token arrays."""
    text = data.load_text(args.corpora, heldout_verses=args.heldout_verses, seed=args.seed)
    folder = args.run / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        tokenizer = vocabulary.train_tokenizer(
            text,
            vocab_size=args.vocab_size,
            lines_per_language=args.tokenizer_lines,
            seed=args.seed,
        )
        vocabulary.save_tokenizer(tokenizer, folder, max_length=512)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cache = args.run / "encoded.pickle"  # read back only by the run that wrote it
    if cache.exists():
        encoded = pickle.loads(cache.read_bytes())
    else:
        encoded = data.encode_text(tokenizer, text)
        cache.write_bytes(pickle.dumps(encoded))
    return text, tokenizer, encoded


def aligned_sampler(encoded: data.Encoded, max_tokens: int) -> data.AlignedSampler:
    return data.AlignedSampler(
        encoded.aligned,
        {"bible_ot": 0.5, "bible_nt": 0.35, "nllb_seed": 0.15},
        run=4,
        max_tokens=max_tokens,
        part_tokens=(5, 24),
        whole_share=0.2,
    )


def warm_start(args: argparse.Namespace, encoded: data.Encoded) -> np.ndarray:
    """Stage 2: (vocab, vector_dim) word vectors."""
    path = args.run / "word_vectors.npy"
    if path.exists():
        return np.load(path)
    vectors = warmstart.sentence_id_vectors(
        encoded.aligned,
        vocab_size=args.vocab_size,
        dim=args.vector_dim,
        tokens_per_passage=15,
        seed=args.seed,
    )
    vectors = warmstart.refine(
        vectors,
        aligned_sampler(encoded, max_tokens=64),
        encoded.plain,
        steps=args.vector_steps,
        passages=384,
        views=4,
        plain_lines=256,
        plain_weight=0.3,
        lr=args.vector_lr,
        temperature=args.temperature,
        seed=args.seed,
    )
    np.save(path, vectors)
    return vectors


def rate(step: int, args: argparse.Namespace) -> float:
    """Share of the full learning rate: warm-up, constant, then linear to zero."""
    left = (args.steps - step) / max(1.0, args.decay_share * args.steps)
    return min(1.0, (step + 1) / 30, left)


def train(
    args: argparse.Namespace, text: data.Text, tokenizer: Tokenizer, encoded: data.Encoded
) -> Any:
    """Stage 3.  Returns the model; writes curve.csv and checkpoint.pt in the run folder."""
    model = network.build(
        warm_start(args, encoded),
        *data.token_use(encoded, args.vocab_size),
        hidden_size=args.hidden_size,
        n_layers=args.layers,
        n_heads=args.heads,
        n_kv_heads=args.kv_heads,
        mlp_size=args.mlp_size,
        max_length=512,
        meaning_norm=args.meaning_norm,
        language_norm=args.language_norm,
        seed=args.seed,
    )
    log.info("%d parameters", sum(p.numel() for p in model.parameters()))
    table = model.model.embed_tokens.weight
    blocks = [p for p in model.parameters() if p is not table]
    groups = [
        {"params": blocks, "full_lr": args.lr, "weight_decay": 0.01},
        {"params": [table], "full_lr": args.embedding_lr, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98), fused=True)
    aligned = aligned_sampler(encoded, args.max_tokens)
    plain = data.PlainSampler(encoded, alpha=0.5, plain_share=0.5)
    heldout = {code: lines[:60] for code, lines in text.heldout.items()}

    checkpoint, curve = args.run / "checkpoint.pt", args.run / "curve.csv"
    step, minutes = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, minutes = state["step"], state["minutes"]
        log.info("resumed at step %d", step)

    running: list[tuple[float, float]] = []
    evaluated = step if step else -1  # a checkpoint is written where its evaluation was
    layers = tuple(args.ranking_layers)
    while True:
        if step != evaluated and (step % args.evaluate_every == 0 or step == args.steps):
            evaluated = step
            scores = evaluate.layer_scores(model, tokenizer, heldout)
            lm, ranking = np.mean(running, axis=0) if running else (float("nan"),) * 2
            record(curve, step, minutes, lm, ranking, scores)
            running = []
            if step:
                state = {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "minutes": minutes,
                }
                torch.save(state, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
        if step >= args.steps:
            return model
        began = time.perf_counter()
        rng = np.random.default_rng([args.seed, step])
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * rate(step, args)
        lm_loss = network.language_model_loss(
            model, plain.draw(rng, args.lm_lines, args.max_tokens), chunks=2
        )
        lm_loss.backward()
        sequences, passage = aligned.draw(rng, args.passages, args.views)
        means = network.sentence_means(model, sequences, layers, chunks=3)
        losses = [
            ranking_loss(means[h], torch.from_numpy(passage), args.temperature) for h in layers
        ]
        rank_loss = torch.stack(losses).mean()
        (args.ranking_weight * rank_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        running.append((lm_loss.item(), rank_loss.item()))
        minutes += (time.perf_counter() - began) / 60
        step += 1
        if step % 20 == 0:
            lm, ranking = np.mean(running[-20:], axis=0)
            log.info("step %d, %.1f min: LM %.3f, ranking %.3f", step, minutes, lm, ranking)


def record(
    path: Path, step: int, minutes: float, lm: float, ranking: float, scores: list[dict[str, Any]]
) -> None:
    """Append one line to the training curve."""
    row = {
        "step": step,
        "minutes": f"{minutes:.2f}",
        "lm_loss": f"{lm:.4f}",
        "ranking_loss": f"{ranking:.4f}",
    }
    for h, score in enumerate(scores):
        row[f"heldout_ilo_{h}"] = f"{np.mean(score['ilo']):.4f}"
    for h, score in enumerate(scores):
        row[f"heldout_translations_{h}"] = f"{np.mean(score['translations']):.4f}"
    row["heldout_chance"] = f"{scores[0]['chance']:.5f}"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    log.info("held out: %s", row)


def export(args: argparse.Namespace, model: Any) -> None:
    """Stage 4: the folder that AutoModelForCausalLM and AutoTokenizer load."""
    args.out.mkdir(parents=True, exist_ok=True)
    model.to(torch.float16).save_pretrained(args.out)
    # Half precision is for the disk only; transformers 5 would otherwise compute in it, too.
    config = json.loads((args.out / "config.json").read_text())
    config["dtype"] = "float32"
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (args.out / "model.safetensors").chmod(0o644)  # the library writes it for its owner alone
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(args.run / "tokenizer" / name, args.out / name)
    shutil.copyfile(args.run / "curve.csv", args.out / "training_curve.csv")


def save_settings(args: argparse.Namespace) -> None:
    paths = ("corpora", "run", "out", "export_only")
    settings = {k: v for k, v in vars(args).items() if k not in paths}
    (args.run / "settings.json").write_text(json.dumps(settings, indent=1) + "\n")


def main() -> None:
    args = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    if args.export_only:
        args.steps = 0  # any checkpoint's step is past it, so train() returns at once
    else:
        save_settings(args)
    text, tokenizer, encoded = prepare(args)
    model = train(args, text, tokenizer, encoded)
    if args.out:
        export(args, model)


if __name__ == "__main__":
    main()
