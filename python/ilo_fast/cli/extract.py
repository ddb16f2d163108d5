"""``ilo-fast extract``: from a model and parallel text to a folder of representations."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast._util.files import add_to_folder, finish_folder, is_leftover, read_json
from ilo_fast._util.folders import made_folder
from ilo_fast.cli import common, flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import (
    OVERWRITE,
    RESULTS_FOLDER,
    folder_name,
    refuse_other_run,
    settings_names,
)
from ilo_fast.cli.parser import Commands

if TYPE_CHECKING:
    from ilo_fast.representations.result import Representations

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "extract",
        "run a model over text and keep the representations, for `score`",
        run,
        description="Run a model over parallel text and write the sentence representations of its "
        "layers: a folder with a manifest and one .npy file (layers, sentences, dim) per language.",
        examples=(
            "ilo-fast extract --limit 10",
            "ilo-fast extract -l paper31 --limit 10 --layers 0,-1 --special-tokens exclude -o ends",
            "ilo-fast extract -m ./my-model --corpus ./my-texts --max-length 64",
        ),
        when_interrupted=common.when_interrupted,
    )
    flags.add_model_flags(parser)
    flags.add_corpus_flags(parser)
    flags.add_sample_flag(parser)
    flags.add_extract_flags(parser)
    flags.add_thread_flag(parser)
    flags.add_output_flags(
        parser,
        f"{RESULTS_FOLDER}/MODEL__CORPUS/representations",
        "replace the representations that OUT holds (default: keep those of the same settings, "
        "refuse others)",
    )


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    corpus = common.load_corpus(args, args.languages)
    names = common.model_name(args), corpus.name, *settings_names(args)
    output: Path = args.output or RESULTS_FOLDER / folder_name(*names) / "representations"
    settings = common.extract_settings(args, corpus)
    with made_folder(output, "-o"):
        # Before the long work what is known, after it the model's weights too.
        _holds_the_same(output, settings, overwrite=args.overwrite)
        representations = common.extract_representations(args, corpus)
        weights = {"weights_sha256": representations.info.get("weights_sha256")}
        if _holds_the_same(output, settings | weights, overwrite=args.overwrite):
            logger.info("%s has these representations already; they are kept", output)
        else:
            representations.info["run"] = settings | common.finished(began)
            _write(representations, output)
    emit(f"{output}\n")
    return 0


def _holds_the_same(output: Path, settings: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Whether ``output`` holds representations of these settings that are to be kept.

    Anything else that it holds is refused.
    """
    from ilo_fast._util.arrays import DamagedFileError
    from ilo_fast.representations.result import KIND, MANIFEST, Representations

    finish_folder(output, last=MANIFEST)  # what a killed process had begun
    manifest = read_json(output / MANIFEST) or {}
    if not (output / MANIFEST).is_file() or manifest.get("kind") != KIND:
        if any(not is_leftover(entry) for entry in output.iterdir()):
            raise FileExistsError(
                f"{output} is not empty and holds no representations: choose another -o"
            )
        return False
    if overwrite:
        return False
    info = manifest.get("info")
    recorded = info.get("run") if isinstance(info, Mapping) else None
    if not isinstance(info, Mapping) or not isinstance(recorded, Mapping):
        raise FileExistsError(
            f"{output} does not say how its representations were made: {OVERWRITE}"
        )
    recorded = {**recorded, "weights_sha256": info.get("weights_sha256")}
    refuse_other_run(output, recorded, settings, holds="representations")
    try:
        Representations.load(output)
    except DamagedFileError as error:
        logger.warning("%s; it is written again", error)
        return False
    return True


def _write(representations: Representations, output: Path) -> None:
    """Replace the representations in ``output``, and nothing else that lies there."""
    from ilo_fast.representations.result import MANIFEST

    before = (read_json(output / MANIFEST) or {}).get("languages")
    with add_to_folder(output, last=MANIFEST) as folder:
        representations.save(folder)
    for code in before if isinstance(before, Mapping) else ():
        if code not in representations:  # of a language that is no longer among them
            (output / f"{Path(code).name}.npy").unlink(missing_ok=True)
