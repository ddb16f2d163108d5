"""``ilo-fast run``: from a model and parallel text to scores, tables and figures."""

from __future__ import annotations

import argparse
import time

from ilo_fast._util.folders import made_folder
from ilo_fast.cli import common, flags
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
        when_interrupted=common.when_interrupted,
    )
    flags.add_model_flags(parser)
    flags.add_corpus_flags(parser)
    flags.add_sample_flag(parser)
    flags.add_extract_flags(parser)
    flags.add_overlap_flags(parser)
    flags.add_certainty_flags(parser)
    flags.add_thread_flag(parser)
    flags.add_text_flag(parser)
    flags.add_output_flags(
        parser,
        f"{RESULTS_FOLDER}/MODEL__CORPUS, and settings that are not the default",
        OVERWRITE_SCORES,
    )


def run(args: argparse.Namespace) -> int:
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
