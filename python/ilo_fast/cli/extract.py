"""``ilo-fast extract``: from a model and parallel text to a folder of representations."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name
from ilo_fast.cli.run import (
    extract_representations,
    extract_settings,
    finished,
    load_corpus,
    model_name,
    when_interrupted,
)

if TYPE_CHECKING:
    from ilo_fast.representations.result import Representations

MANIFEST = "manifest.json"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = flags.new_command(
        commands,
        "extract",
        "run a model over text and keep the representations, for `score`",
        run,
        description="Run a model over parallel text and write the sentence representations of its "
        "layers: a folder with a manifest and one .npy file (layers, sentences, dim) a language.",
        when_interrupted=when_interrupted,
    )
    flags.add_model_flags(parser)
    flags.add_corpus_flags(parser)
    flags.add_extract_flags(parser)
    flags.add_thread_flag(parser)
    flags.add_output_flag(parser, f"{RESULTS_FOLDER}/MODEL__CORPUS/representations")
    parser.add_argument(
        "--overwrite-strategy",
        choices=("never", "always"),
        default="never",
        help="where OUT holds representations already: never (default) refuses, always replaces",
    )


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    corpus = load_corpus(args)
    default = RESULTS_FOLDER / folder_name(model_name(args.model), corpus.name) / "representations"
    output: Path = args.output or default
    _check_output(output, args.overwrite_strategy)
    representations = extract_representations(args, corpus)
    settings = extract_settings(args, corpus) | finished(began)
    representations.info["run"] = settings
    _replace(representations, output)
    emit(f"{output}\n")
    return 0


def _check_output(output: Path, strategy: str) -> None:
    """Refuse before the long work what would be refused after it."""
    if output.is_dir():
        ours = (output / MANIFEST).is_file()
        if ours and strategy == "never":
            raise FileExistsError(
                f"{output} holds representations: choose another -o, or replace them with "
                "--overwrite-strategy always"
            )
        if not ours and any(output.iterdir()):
            raise FileExistsError(
                f"{output} is not empty and holds no representations: choose another -o"
            )
    elif output.exists():
        raise NotADirectoryError(f"-o {output} is a file; give a folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=output.parent):
        pass


def _replace(representations: Representations, output: Path) -> None:
    """Save beside ``output`` and rename, so that a folder of that name is always whole."""
    aside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        representations.save(aside / "new")
        if output.exists():
            os.replace(output, aside / "old")
        try:
            os.replace(aside / "new", output)
        except BaseException:
            with contextlib.suppress(OSError):
                os.replace(aside / "old", output)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
