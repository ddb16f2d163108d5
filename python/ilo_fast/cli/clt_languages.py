"""``ilo-fast clt languages``: what the features of a transcoder say about languages."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from typing import Any

from ilo_fast._util.messages import counted
from ilo_fast.cli import flags
from ilo_fast.cli.clt_flags import add_transcoder_flags, opened
from ilo_fast.cli.common import finished, load_corpus, model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name, write_page
from ilo_fast.cli.parser import Commands

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "languages",
        "find features of single languages, and test what is said of them",
        run,
        description="Over how many languages the features of each layer spread; and the features "
        "that are active in one language alone, found on one half of the documents of a parallel "
        "corpus and tested on the other half. With --sharing: what translations have in common, as "
        "features and as neighbours. With --probes: how well "
        "each layer tells languages apart, and whether early layers foretell late language "
        "features. With --ablation: what switching them off does to the loss in every language. "
        "Each beside what chance gives. Writes languages.json, figures, and all of it as "
        "languages.html.",
        examples=(
            "ilo-fast clt languages --sharing --languages eng_Latn,deu_Latn,rus_Cyrl,hin_Deva",
            "ilo-fast clt languages --probes --languages eng_Latn,deu_Latn,hin_Deva --shuffles 2",
            "ilo-fast clt languages --ablation --languages eng_Latn,deu_Latn --random 4 --lines 5",
        ),
    )
    add_transcoder_flags(parser)
    flags.add_corpus_flags(parser)
    group = parser.add_argument_group("language features")
    group.add_argument(
        "--selectivity", type=float, default=0.5, metavar="S",
        help="share of a feature's rates that its language has at least (default: 0.5)",
    )  # fmt: skip
    group.add_argument(
        "--others-below", type=float, default=0.1, metavar="S",
        help="and every other language less than (default: 0.1)",
    )  # fmt: skip
    group.add_argument(
        "--min-firings", type=flags.positive_int, default=20, metavar="N",
        help="in the language, on the half that finds (default: 20)",
    )  # fmt: skip
    group.add_argument(
        "--n-per-language", type=flags.positive_int, default=10, metavar="N",
        help="so many are kept, the strongest (default: 10)",
    )  # fmt: skip
    group.add_argument(
        "--permutations", type=flags.positive_int, default=1000, metavar="N",
        help="of the labels, for p values (default: 1000)",
    )  # fmt: skip
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: 0)"
    )
    group = parser.add_argument_group("sharing")
    group.add_argument(
        "--sharing", action="store_true",
        help="measure what translations have in common, beside ILO of hidden states",
    )  # fmt: skip
    group = parser.add_argument_group("probes")
    group.add_argument("--probes", action="store_true", help="measure them")
    group.add_argument(
        "--tokens", type=flags.positive_int, metavar="N",
        help="of each language to fit on, and as many to test on (default: 3000 of all together)",
    )  # fmt: skip
    group.add_argument(
        "--shuffles", type=flags.positive_int, default=5, metavar="N",
        help="fits with permuted labels (default: 5; 20 for a paper)",
    )  # fmt: skip
    group = parser.add_argument_group("ablation")
    group.add_argument("--ablation", action="store_true", help="measure it")
    group.add_argument(
        "--sets", type=flags.positive_int, default=5, metavar="N",
        help="languages at most: those with the most features (default: 5)",
    )  # fmt: skip
    group.add_argument(
        "--random", type=flags.positive_int, default=20, metavar="N",
        help="sets of matched random features for each (default: 20; 200 for a paper)",
    )  # fmt: skip
    group.add_argument(
        "--lines", type=flags.positive_int, default=15, metavar="N",
        help="of each language (default: 15)",
    )  # fmt: skip
    flags.add_thread_flag(parser)
    flags.add_output_flags(
        parser, "ilo_fast_results/languages__TRANSCODER; files of an earlier run are replaced"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    from ilo_fast._util.files import write_json
    from ilo_fast._util.folders import made_folder
    from ilo_fast.cli.clt_language_sections import SECTIONS, Work, languages_page, write_section
    from ilo_fast.report.text_table import wrapped
    from ilo_fast.transcoders.files.opening import transcoder_name
    from ilo_fast.transcoders.multilingual.line_features import line_features

    began = time.monotonic()
    set_threads(args)
    corpus = load_corpus(args, args.languages)
    name = transcoder_name(args.transcoder)
    folder = args.output or RESULTS_FOLDER / folder_name("languages", name)
    with model_output(args.quiet), made_folder(folder, "-o"):
        it = opened(args)
        logger.info("transcoder: %s, of %s", name, it.name)
        table = line_features(
            it.model, it.transcoder, corpus, tokenizer=it.tokenizer, progress=not args.quiet
        )
        work = Work(args, it, corpus, table)
        _ = work.features  # what cannot be measured is refused before anything is written
        sections: dict[str, Any] = {}
        found = {
            "kind": "clt_languages",
            "schema_version": 1,
            "model": it.name,
            "transcoder": str(it.place.resolve()),
            "cross_layer": it.transcoder.cross_layer,
            "corpus": corpus.name,
            "corpus_sha256": corpus.fingerprint(),
            "n_tokens": int(table.tokens.sum()),
            "sections": sections,
        }
        written, measured = [], []
        kind = "cross-layer" if it.transcoder.cross_layer else "per-layer"
        title = f"{it.name} · {kind} transcoder {name}"
        subtitle = (
            f"{corpus.name} corpus: {len(corpus.languages)} languages x {corpus.n_sentences} "
            f"lines, {int(table.tokens.sum()):,} tokens; {_documents(corpus.groups)}"
        )
        if not args.json:
            emit(f"{title}\n{wrapped(subtitle)}\n")
        for wanted, measure in SECTIONS:
            if not wanted(args):
                continue
            section = measure(work)
            if section is None:
                continue
            measured.append(section)
            sections[section.name] = section.data
            written += write_section(section, folder)
            if not args.json:
                emit(f"\n{section.title}\n\n{section.text()}")
        file = folder / "languages.json"
        write_json(file, found | finished(began))
        written += write_page(
            folder / "languages.html",
            lambda: languages_page(measured, title, subtitle, _settings(args, found)),
        )
    if args.json:
        emit(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        return 0
    emit("\n" + "".join(f"{path}\n" for path in (file, *written)))
    return 0


def _documents(groups: Sequence[str] | None) -> str:
    """What intervals are over."""
    if groups is None:
        return "each line a document (no groups.txt: lines of one text make intervals too narrow)"
    return counted(len(set(groups)), "document")


def _settings(args: argparse.Namespace, found: dict[str, Any]) -> dict[str, Any]:
    """What the page ends with."""
    about = {name: value for name, value in found.items() if name != "sections"}
    asked = ("selectivity", "others_below", "min_firings", "n_per_language", "permutations",
             "shuffles", "sets", "random", "lines", "seed")  # fmt: skip
    return about | {name: getattr(args, name) for name in asked}
