"""``ilo-fast run``: from a model and parallel text to scores, tables and figures."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ilo_fast._util.folders import made_folder
from ilo_fast.cli import common, flags
from ilo_fast.cli import run_many as many
from ilo_fast.cli.output import (
    OVERWRITE_SCORES,
    RESULTS_FOLDER,
    folder_name,
    kept_scores,
    settings_names,
    show,
)
from ilo_fast.cli.parser import Commands


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "run",
        "measure a model on parallel text: scores, tables, figures, HTML report",
        run,
        description="Measure the Interlingual Local Overlap of a model on parallel text. Without "
        "flags: the embedded model on the embedded corpus, offline.",
        examples=(
            "ilo-fast run --limit 10",
            "ilo-fast run -l eng_Latn,deu_Latn,fra_Latn,ces_Latn --layers 0,-1 -o results/four",
            "ilo-fast run -m ./my-model --corpus ./my-texts -k 10",
        ),
        when_interrupted=when_interrupted,
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="measure several models on several corpora, as the file says, into one folder with a "
        "leaderboard; only -o, --overwrite, --cache and --no-cache may stand beside it",
    )
    flags.add_measurement_flags(parser)
    flags.add_output_flags(
        parser,
        f"{RESULTS_FOLDER}/MODEL__CORPUS, and settings that are not the default; with --config its "
        f"output, else {RESULTS_FOLDER}/NAME",
        OVERWRITE_SCORES,
    )


def when_interrupted(args: argparse.Namespace) -> str:
    return many.when_interrupted(args) if args.config else common.when_interrupted(args)


def run(args: argparse.Namespace) -> int:
    if args.config is not None:
        usual = argparse.ArgumentParser(add_help=False)
        flags.add_measurement_flags(usual)
        many.refuse_other_flags(args, usual.parse_args([]))
        return many.run_many(args)
    began = time.monotonic()
    corpus = common.load_corpus(args, args.languages)
    common.check_scorable(args, corpus)
    common.check_unit(args, corpus)
    path = args.output or RESULTS_FOLDER / folder_name(
        common.model_name(args), corpus.name, *settings_names(args)
    )
    with made_folder(path, "-o"):
        settings = common.extract_settings(args, corpus) | common.overlap_settings(args)
        kept_scores(path, settings, overwrite=args.overwrite)  # refuses before the long work
        representations = common.extract_representations(args, corpus)
        scores, written = common.score_into(
            path, representations, settings, args, began, texts=corpus.sentences
        )
    show(scores, written)
    return 0
