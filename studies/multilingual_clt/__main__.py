"""What the features of multilingual language models say: the claims of arXiv 2511.10840, tested.

    python studies/multilingual_clt CORPORA --out STUDY
    python studies/multilingual_clt CORPORA --out STUDY --seeds 0 1 2 --hidden-size 256 \\
        --max-steps 4000 --features 4096 --transcoder-tokens 5000000

Small language models at mixtures of languages (20, 50, 70, 90 % English, none; all in Latin script;
with a tokenizer of English) are trained from nothing on verses of the Bible, two seeds each, and
for each of them, and for models that stay random, a cross-layer and a per-layer transcoder.

Small models train faster as one process a core than as one on all: start the command as often as
there are cores, with OMP_NUM_THREADS=1; each takes pieces that no other is at. A study that was
stopped goes on where it was when it is called again.

CORPORA holds ``bible_ot/`` and ``bible_nt/``, verse-aligned. Needs the extras ``train`` and
``romanise``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ilo_fast._util.versions import versions
from multilingual_clt.analysing import VERSES
from multilingual_clt.figures import write_figures
from multilingual_clt.findings import findings
from multilingual_clt.making import Making
from multilingual_clt.pieces import Pieces, say
from multilingual_clt.plan import CONDITIONS, LANGUAGES, Plan, Sizes
from multilingual_clt.report import markdown
from multilingual_clt.verses import read_verses
from multilingual_clt.work import all_pieces


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("corpora", type=Path)
    add("--out", type=Path, required=True, metavar="STUDY")
    add("--seeds", type=int, nargs="+", default=[0, 1], metavar="SEED")
    add("--languages", nargs="+", default=list(LANGUAGES), metavar="CODE")
    add("--conditions", nargs="+", default=list(CONDITIONS), metavar="NAME")
    add("--report-only", action="store_true", help="of what there is")
    for name, value in asdict(Sizes()).items():
        flag = "--" + name.replace("_", "-").replace("n-features", "features")
        add(flag, type=type(value), default=value, dest=name, help=f"default: {value}")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    args = arguments(given)
    try:
        return study(args)
    except (ValueError, OSError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 130


def study(args: argparse.Namespace) -> int:
    from ilo_fast._util.files import write_json, write_text

    sizes = Sizes(**{name: getattr(args, name) for name in asdict(Sizes())})
    plan = Plan(tuple(args.seeds), tuple(args.languages), tuple(args.conditions), sizes=sizes)
    verses = read_verses(args.corpora, plan.languages)
    making = Making(plan, args.out, *verses.split(plan.held_out_every))
    pieces, every = Pieces(args.out), all_pieces(plan, making)
    failed = [] if args.report_only else pieces.work(every)
    made = pieces.made(every)
    read = {name: piece["result"] for name, piece in made.items()}.get
    found = findings(plan, read)
    held_out = making.held_out(CONDITIONS["equal"])
    about = {
        "command": " ".join(
            ["python studies/multilingual_clt"]
            + [Path(word).name for word in sys.argv[1:] if word != "--report-only"]
        ),
        "verses": len(held_out),
        "chapters": len(set(held_out.chapters)),
        "measured": VERSES,
        "seconds": sum(piece["seconds"] for piece in made.values()),
        "missing": sorted({piece.name for piece in every} - set(made)),
        "plan": plan.to_dict(),
        "versions": versions("numpy", "torch", "transformers"),
    }
    rows = [one.to_dict() for one in found]
    write_json(args.out / "results.json", {"study": "multilingual_clt", **about, "findings": rows})
    write_text(args.out / "table.md", markdown(plan, read, found, about))
    write_figures(plan, read, args.out)
    say(f"{args.out / 'table.md'}: {len(made)} of {len(every)} pieces")
    return 1 if failed else 0


if __name__ == "__main__":
    logging.getLogger("ilo_fast").setLevel(logging.ERROR)
    sys.exit(main())
