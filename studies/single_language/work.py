"""One run: fine-tune with parts frozen, then measure what came of it."""

from __future__ import annotations

import gc
import math
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ilo_fast import extract, overlap
from ilo_fast._util.hashing import digest, hash_file
from ilo_fast.models.loading import open_files
from ilo_fast.models.output import suppress_output
from ilo_fast.models.structure import find_parts
from ilo_fast.training.options import resolve_precision

from .companions import companion_values
from .data import Data
from .journal import say
from .plan import CLASSIFICATION, SOURCE, Run, frozen_blocks

REPRESENTATIONS = "representations"
TUNING_SEED = 1000  # no run of the study has it
EARLY_GUESS = 4.5  # a training sentence costs so many times what measuring one does (see `cost`)


@dataclass(frozen=True)
class Options:
    """How runs train and are scored; all that a result depends on beside run and data."""

    batch_size: int
    max_length: int
    dtype: str | None
    device: str | None = field(default=None, compare=False)
    n_neighbors: int = 5
    threshold: int = 3

    @property
    def place(self) -> str:
        """The device, where none was given a GPU if there is one."""
        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; without the device, which results do not hang on."""
        return {k: v for k, v in asdict(self).items() if k != "device"}

    @property
    def precision(self) -> str:
        """What training computes in; without a dtype, that hangs on the device."""
        return resolve_precision(self.dtype, self.device)


@dataclass(frozen=True)
class Recipe:
    """How long a model trains, and how fast."""

    epochs: float
    learning_rate: float
    chosen: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What a run depends on, as JSON can hold it."""
        return {"epochs": self.epochs, "learning_rate": self.learning_rate}

    def __str__(self) -> str:
        return f"{self.epochs:g} epochs, learning rate {self.learning_rate:g} ({self.chosen})"


MEASURED_IN = torch.float32  # before training; after it the weights are the same, again in float32


def weights_hash(model: str) -> str:
    """SHA-256 over the weight files, the one that `finetune` writes on its card.

    Raises
    ------
    AccessError
        No such model.
    """
    from transformers import AutoModel

    files = open_files(model, revision=None, trust_remote_code=False)
    if not files.weight_files():  # on the Hub, not downloaded yet
        AutoModel.from_pretrained(model)
    return digest([hash_file(path) for path in files.weight_files()])


def describe_model(
    model: str, data: Data, options: Options, kept: Path | None = None
) -> dict[str, Any]:
    """Blocks and parameters of a model, and its scores before any training."""
    from transformers import AutoModel, AutoTokenizer

    with suppress_output():  # heads that are left out are no news
        module = AutoModel.from_pretrained(model, dtype=MEASURED_IN).to(options.place)
    parts = find_parts(module)
    started = time.perf_counter()
    scores = _scores(module, AutoTokenizer.from_pretrained(model), data, options, kept)
    return {
        **scores,
        "kind": parts.kind,
        "n_blocks": parts.n_blocks,
        "n_parameters": sum(p.numel() for p in module.parameters()),
        "n_sentences": data.flores.n_sentences,
        "seconds": time.perf_counter() - started,
    }


def perform(
    run: Run,
    folder: Path,
    data: Data,
    options: Options,
    *,
    recipe: Recipe,
    n_blocks: int,
    freeze_n: int,
    keep_model: bool,
    keep_representations: bool,
) -> dict[str, Any]:
    """Fine-tune, measure, test. The weights go when the scores are in, unless they are to stay."""
    started = time.perf_counter()
    blocks = frozen_blocks(run.condition, n_blocks, freeze_n, run.seed)
    trained = train(run, folder / "training", data, options, recipe, blocks)
    after_training = time.perf_counter()
    # A run that was finished before, but for its scores, comes back from disk on the CPU.
    kept = folder / REPRESENTATIONS if keep_representations else None
    after = _scores(trained.model.to(options.place), trained.tokenizer, data, options, kept)
    after_measuring = time.perf_counter()
    result: dict[str, Any] = {
        "frozen": trained.frozen and _short(trained.frozen),
        "after": after,
        "metrics": trained.metrics,
    }
    if run.task == CLASSIFICATION:
        result["transfer"] = _transfer(trained, data, options)
    ended = time.perf_counter()
    result["seconds"] = {
        "training": after_training - started,
        "measuring": after_measuring - after_training,
        "testing": ended - after_measuring,
        "all": ended - started,
    }
    result["card"] = trained.card
    if not keep_model:
        del trained
        gc.collect()
        shutil.rmtree(folder / "training", ignore_errors=True)
    return result


def train(
    run: Run,
    folder: Path,
    data: Data,
    options: Options,
    recipe: Recipe,
    blocks: tuple[int, ...] | None,
    *,
    tuning: bool = False,
) -> Any:
    """One call of `finetune`; with ``tuning`` a classifier is evaluated on the dev split."""
    from ilo_fast.training.finetune.finetune import finetune

    labelled = run.task == CLASSIFICATION
    return finetune(
        run.model,
        (data.tuning if tuning else data.training) if labelled else list(data.lines),
        folder,
        language=SOURCE,
        task="classification" if labelled else "causal-lm",
        freeze=blocks,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        batch_size=options.batch_size,
        max_length=options.max_length,
        seed=run.seed,
        device=options.device,
        dtype=options.dtype,
        progress=False,
    )


def tune(
    run: Run, folder: Path, data: Data, options: Options, epochs: float, rates: list[float]
) -> dict[str, Any]:
    """The best of some learning rates, with nothing frozen, on held-out English.

    By accuracy on the dev split; for a language model, by the loss of held-out lines. What is not
    finite is worse than anything that is.

    Raises
    ------
    ValueError
        No rate ends in a finite score.
    """
    tried = []
    for rate in rates:
        trial = replace(run, condition="none", seed=TUNING_SEED)
        place = folder / f"{trial.name}-{rate:g}"
        trained = train(trial, place, data, options, Recipe(epochs, rate), None, tuning=True)
        metrics = trained.metrics
        found = metrics["accuracy"] if run.task == CLASSIFICATION else -metrics["token_loss"]
        say(f"tuning {run.task}, {run.label}: rate {rate:g}: {found:.3f}")
        tried.append({"rate": rate, "score": found})
        shutil.rmtree(place, ignore_errors=True)
    finite = [trial for trial in tried if math.isfinite(trial["score"])]
    if not finite:
        raise ValueError(f"--tune: {run.task}, {run.label} diverges with each of {rates}")
    best = max(finite, key=lambda trial: trial["score"])
    return {"best": best["rate"], "tried": tried}


def cost(run: Run, before: dict[str, Any], data: Data, epochs: float) -> float:
    """Rough seconds of a run, from how long measuring the model took before training.

    What is frozen at the front needs no backward pass.
    """
    each = before["seconds"] / (len(data.flores.languages) * data.flores.n_sentences)
    labelled = run.task == CLASSIFICATION
    sentences = data.training.n(SOURCE, "train") if labelled else len(data.lines)
    share = {"head": 0.25, "first": 0.6}.get(run.condition, 1.0)
    total = EARLY_GUESS * share * sentences * epochs * each + before["seconds"]
    if labelled:
        total += each * len(data.testing.languages) * data.testing.n(SOURCE, "test")
    return total


def _scores(
    module: Any, tokenizer: Any, data: Data, options: Options, kept: Path | None = None
) -> dict[str, Any]:
    representations = extract(
        module, data.flores, tokenizer=tokenizer, max_length=options.max_length, progress=False
    )
    if kept is not None:
        shutil.rmtree(kept, ignore_errors=True)  # of a run that was killed here
        representations.save(kept)
    scores = overlap(representations, n_neighbors=options.n_neighbors, threshold=options.threshold)
    assert scores.translation_share is not None  # parallel text
    return {
        "layers": list(scores.layers),
        "languages": list(scores.languages),
        "bridge": scores.bridge.tolist(),
        "reach": scores.reach.tolist(),
        "ilo": scores.ilo.tolist(),
        "translation_share": scores.translation_share.tolist(),
        **companion_values(representations),
    }


def _transfer(trained: Any, data: Data, options: Options) -> dict[str, Any]:
    from ilo_fast.evaluation.transfer import transfer

    found = transfer(
        trained.model,
        data.testing,
        tokenizer=trained.tokenizer,
        max_length=options.max_length,
        n_boot=1,  # its intervals are not used
        progress=False,
    )
    pairs = zip(found.predictions, found.targets, strict=True)
    return {
        "languages": list(found.languages),
        "accuracy": found.accuracy.tolist(),
        "macro_f1": found.macro_f1.tolist(),
        "correct": [(predicted == target).astype(int).tolist() for predicted, target in pairs],
    }


def _short(frozen: dict[str, Any]) -> dict[str, Any]:
    """Without the names of all tensors."""
    return {k: v for k, v in frozen.items() if k not in ("names", "ties")}
