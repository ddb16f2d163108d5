#!/usr/bin/env python3
"""Train the small multilingual causal language model that ships with ilo_fast.

    python tools/train_demo_model.py CORPORA --out python/ilo_fast/demo/model --run runs/demo

CORPORA is a folder with bible_ot/, bible_nt/, nllb_seed/ and mono_commonvoice/, one
``<code>.txt`` per language.  The defaults are the settings of the shipped weights.  Stages, each
kept in the run folder and skipped when its file is there, so that an interrupted run goes on.
What the first two depend on is kept beside them (settings.json), and a run folder with other
settings is refused:

1. tokenizer     byte-level BPE on an equal number of lines per language
2. warm start    word vectors shared across languages (sentence-id factorisation, then ranking)
3. training      next-token loss + translation-ranking loss (InfoNCE) on the mean of a middle layer
4. export        float16 safetensors in plain transformers format, and the training curve

The third stage runs the loop of ``ilo_fast.training``, with the demo's own batches and losses.
Needs: ilo_fast[train], scipy.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demo_model import data, network, training, vocabulary, warmstart
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from ilo_fast._util.files import write_json
from ilo_fast._util.hashing import digest
from ilo_fast._util.messages import differences
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.training.options import TrainingOptions

SETTINGS = "settings.json"
STAGES = ("tokenizer", "encoded.npz", "word_vectors.npy")
# What they depend on, besides the text; the run folder of the third stage compares its own.
DECISIVE = (
    "seed",
    "eval_verses",
    "vocab_size",
    "tokenizer_lines",
    "vector_dim",
    "vector_steps",
    "vector_lr",
    "temperature",
)

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
    g.add_argument("--eval-verses", type=int, default=300)
    g.add_argument("--vocab-size", type=int, default=24576)
    g.add_argument("--tokenizer-lines", type=int, default=5000, help="of each kind, per language")
    g.add_argument("--max-tokens", type=int, default=48)
    g = p.add_argument_group("warm start")
    g.add_argument("--vector-dim", type=int, default=128)
    g.add_argument("--vector-steps", type=int, default=1500)
    g.add_argument("--vector-lr", type=float, default=0.004)
    g = p.add_argument_group("model")
    g.add_argument("--hidden-size", type=int, default=192)
    g.add_argument("--num-hidden-layers", type=int, default=6)
    g.add_argument("--num-attention-heads", type=int, default=6)
    g.add_argument("--num-key-value-heads", type=int, default=2)
    g.add_argument("--intermediate-size", type=int, default=512)
    g.add_argument("--meaning-norm", type=float, default=8.0)
    g.add_argument("--language-norm", type=float, default=6.5)
    g = p.add_argument_group("training")
    g.add_argument("--max-steps", type=int, default=600)
    g.add_argument("--decay-share", type=float, default=0.3, help="last part: rate falls to 0")
    g.add_argument("--learning-rate", type=float, default=1.5e-3)
    g.add_argument("--embedding-lr", type=float, default=1e-3)
    g.add_argument("--ranking-layers", type=int, nargs="+", default=[3])
    g.add_argument("--ranking-weight", type=float, default=1.0)
    g.add_argument("--temperature", type=float, default=0.05)
    g.add_argument("--passages", type=int, default=40)
    g.add_argument("--views", type=int, default=4)
    g.add_argument("--lm-lines", type=int, default=32)
    g.add_argument("--every", type=int, default=100)
    return p.parse_args()


def keep_settings(args: argparse.Namespace, text: data.Text) -> None:
    """Write what stages 1 and 2 depend on; or compare it, where the run folder has them already.

    Raises
    ------
    ValueError
        They were made with other settings, or other text.
    """
    corpora = {**text.aligned, data.PLAIN: text.plain, "heldout": text.heldout}
    hashes = {name: fingerprint(corpus) for name, corpus in corpora.items()}
    now = {name: getattr(args, name) for name in DECISIVE} | {"text_sha256": digest(hashes)[:16]}
    path = args.run / SETTINGS
    if path.exists():
        before = json.loads(path.read_text())
        other = differences(before, now)
    else:
        made = [name for name in STAGES if (args.run / name).exists()]
        other = [f"{name} is there, but no {SETTINGS}" for name in made]
    if other:
        raise ValueError(
            f"--run {args.run} holds stages of other settings ({'; '.join(other)}): choose another "
            "--run, or remove it"
        )
    write_json(path, now)


def prepare(args: argparse.Namespace) -> tuple[data.Text, Tokenizer, data.Encoded]:
    """Stage 1: held-out split, tokenizer, token arrays."""
    text = data.load_text(args.corpora, eval_verses=args.eval_verses, seed=args.seed)
    keep_settings(args, text)
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
    cache = args.run / "encoded.npz"
    if not cache.exists():
        data.encode_text(tokenizer, text).save(cache)
    return text, tokenizer, data.Encoded.load(cache)


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


def train(
    args: argparse.Namespace, text: data.Text, tokenizer: Tokenizer, encoded: data.Encoded
) -> Any:
    """Stage 3.  Returns the model; writes curve.csv in the run folder."""
    model = network.build(
        warm_start(args, encoded),
        *data.token_use(encoded, args.vocab_size),
        hidden_size=args.hidden_size,
        num_hidden_layers=args.num_hidden_layers,
        num_attention_heads=args.num_attention_heads,
        num_key_value_heads=args.num_key_value_heads,
        intermediate_size=args.intermediate_size,
        max_length=512,
        meaning_norm=args.meaning_norm,
        language_norm=args.language_norm,
        seed=args.seed,
    )
    batches = training.Batches(
        data.PlainSampler(encoded, alpha=0.5, plain_share=0.5),
        aligned_sampler(encoded, args.max_tokens),
        steps=args.max_steps,
        lines=args.lm_lines,
        max_tokens=args.max_tokens,
        passages=args.passages,
        views=args.views,
        seed=args.seed,
    )
    losses = training.Losses(
        args.ranking_layers, ranking_weight=args.ranking_weight, temperature=args.temperature
    )
    heldout = {code: lines[:60] for code, lines in text.heldout.items()}
    curve = training.Curve(args.run / "curve.csv", tokenizer, heldout, losses, every=args.every)
    paths = ("corpora", "run", "out", "export_only", "threads", "every")
    options = TrainingOptions(
        max_steps=args.max_steps,
        learning_rate=args.learning_rate,
        weight_decay=0.0,  # the optimizer below has its own
        warmup_steps=30,
        batch_size=1,
        gradient_accumulation_steps=1,
        max_grad_norm=1.0,
        seed=args.seed,
        device=None,
        dtype="float32",
        every=None,
        save_steps=args.every,
        logging_steps=None,
        keep_checkpoints=False,
        report_to="none",
        progress=False,
    )
    model.to(options.place)
    training.fit(
        model,
        batches,
        losses,
        training.optimizer(model, lr=args.learning_rate, embedding_lr=args.embedding_lr),
        args.run / "training",
        options,
        decay_share=args.decay_share,
        settings={k: v for k, v in vars(args).items() if k not in paths},
        callbacks=[curve],
    )
    return newest(args)


def newest(args: argparse.Namespace) -> Any:
    """The trained model, or that of the newest checkpoint."""
    folder = args.run / "training"
    found = [folder / "model"] if (folder / "model").exists() else []
    found = found or [path.parent for path in folder.glob("checkpoint-*/complete.json")]
    if not found:
        raise FileNotFoundError(f"--export-only: no model and no checkpoint in {folder}")
    path = max(found, key=lambda p: int(p.name.partition("-")[2] or 0))
    return AutoModelForCausalLM.from_pretrained(path)


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


def main() -> None:
    args = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    model = newest(args) if args.export_only else train(args, *prepare(args))
    if args.out:
        export(args, model)


if __name__ == "__main__":
    main()
