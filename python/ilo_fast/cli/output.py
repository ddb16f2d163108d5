"""The output folder: its name, whether it may be written, and what is left in it."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast._util.folders import refuse_other
from ilo_fast._util.messages import counted, listed
from ilo_fast.cli.console import emit

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores

logger = logging.getLogger(__name__)

RESULTS_FOLDER = Path("ilo_fast_results")
OVERWRITE = "choose another -o, or replace them with --overwrite"
OVERWRITE_SCORES = (
    "measure anew and replace the scores that OUT holds (default: keep those of the same settings "
    "and rebuild the other files from them, refuse others)"
)

# What two runs must share for their results to be the same. Names and paths are not among it where
# the content is (the text by its hash, the weights by theirs), nor is what cannot change a score.
_IDENTITY = (
    "model_name", "model_revision", "corpus_sha256", "documents_sha256", "layers", "pooling",
    "special_tokens", "prefix", "max_length", "tokenizer_languages", "dtype", "n_neighbors",
    "threshold", "metric", "backend", "parallel",
)  # fmt: skip

# What stands beside the scores and does not change them.
CERTAINTY = ("intervals", "n_permutations", "unit")

# Settings that make another folder: name, how the folder calls it, the default.
_NAMED_SETTINGS = (
    ("limit", "limit-", None),
    ("seed", "seed-", None),
    ("pooling", "pooling-", "mean"),
    ("special_tokens", "special-", "include"),
    ("prefix", "prefix-", ""),
    ("n_neighbors", "k-", 5),
    ("threshold", "t-", 3),
    ("metric", "", "cosine"),
)


def folder_name(*names: str) -> str:
    """A folder's name from the names of things: ``org/model``, ``corpus`` -> org__model__corpus."""
    parts = [re.sub(r"[^\w.+-]+", "_", n.replace("/", "__").replace("\\", "__")) for n in names]
    return "__".join(part.strip("._") or "unnamed" for part in parts)[:150]


def settings_names(args: argparse.Namespace) -> list[str]:
    """Settings that are not the default, for the name of a folder: a sweep needs no ``-o``."""
    found = []
    for name, short, usual in _NAMED_SETTINGS:
        value = getattr(args, name, usual)
        if value != usual:
            found.append(f"{short}{value}")
    return found


def refuse_other_run(
    path: Path,
    recorded: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    holds: str,
    remedy: str = OVERWRITE,
) -> None:
    """Refuse where ``path`` holds what other settings made; what either side lacks may differ.

    Raises
    ------
    ValueError
        Naming the settings that differ.
    """
    if "special_tokens" in recorded:  # made by an extraction, and before there were prefixes
        recorded = {"prefix": "", **recorded}
    # Values may differ in their last bits between machines where the weights are the same.
    both = "weights_sha256" in recorded and "weights_sha256" in settings
    keys = (*_IDENTITY, "weights_sha256" if both else "values_sha256")
    shared = [key for key in keys if key in recorded and key in settings]
    refuse_other(
        path,
        {key: recorded[key] for key in shared},
        {key: settings[key] for key in shared},
        holds=holds,
        remedy=remedy,
    )


def kept_scores(
    folder: Path, settings: Mapping[str, Any], *, overwrite: bool
) -> OverlapScores | None:
    """The scores in ``folder``, if they are of these settings and are not to be replaced.

    Called with what is known before the work, and again with all that is known after it.

    Raises
    ------
    FileExistsError
        They cannot be read.
    ValueError
        They are of other settings.
    """
    from ilo_fast.scores.result import SCORES_FILE, OverlapScores

    file = folder / SCORES_FILE
    if overwrite:
        return None
    if not file.exists():
        _refuse_foreign(folder)
        return None
    try:
        found = OverlapScores.from_json(file)
    except ValueError as error:
        raise FileExistsError(f"{folder} cannot be read: {error}; {OVERWRITE}") from error
    if not found.recorded("run"):
        raise FileExistsError(f"{file} does not say how it was made: {OVERWRITE}")
    recorded = found.recorded("run")
    refuse_other_run(folder, recorded, settings, holds="scores")
    if lacks_certainty(recorded, settings):
        return None
    if settings.get("intervals") and found.neighbors is None:
        return None  # nor can what stands beside them be measured without their graph
    return found


def lacks_certainty(recorded: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether these are the same scores, but without the intervals and tests wanted now."""
    return bool(settings.get("intervals")) and any(
        recorded.get(key) != settings[key] for key in CERTAINTY
    )


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder whose files would be replaced although no scores of ours lie beside them."""
    from ilo_fast.report.files import DRAWN_FILES, TABLE_FILE
    from ilo_fast.scores.result import SCORES_FILE

    found = [name for name in (TABLE_FILE, *DRAWN_FILES) if (folder / name).exists()]
    if found:
        raise FileExistsError(
            f"{folder} holds {listed(found)} and no {SCORES_FILE}, so they may be someone else's: "
            f"{OVERWRITE}"
        )


def draw_results(
    folder: Path,
    scores: OverlapScores,
    *,
    with_texts: bool,
    texts: Mapping[str, Sequence[str]] | None = None,
    progress: bool = False,
) -> list[Path]:
    """Write tables and figures of all that the folder holds.

    Without the libraries that draw, say how to get them.
    """
    from ilo_fast.report import files
    from ilo_fast.report.reading import read_run

    written = files.write_tables(scores, folder)
    try:
        files.check_can_draw()
    except ImportError as error:
        logger.warning("no figures: %s; then `ilo-fast report %s` draws them", error, folder)
        return written
    found = read_run(folder, with_texts=with_texts and texts is None)
    if with_texts and texts is not None:
        found = dataclasses.replace(found, texts=texts)
    return written + files.write_drawn(found, folder, progress=progress)


def show(scores: OverlapScores, written: list[Path]) -> None:
    """Print the tables, how many files there are, and last the one to open."""
    from ilo_fast.report.files import REPORT_FILE
    from ilo_fast.report.tables import text_report

    emit(text_report(scores))
    folders = sorted({str(path.parent) for path in written})
    emit(f"\n{counted(len(written), 'file')} in {listed(folders)}\n")
    emit("".join(f"open {path}\n" for path in written if path.name == REPORT_FILE))


def write_page(path: Path, make: Callable[[], str]) -> list[Path]:
    """Write an HTML page, where what draws it is installed; else say why not."""
    from ilo_fast._util.files import write_text
    from ilo_fast.report.files import check_can_draw

    try:
        check_can_draw()
    except ImportError as error:
        logger.warning("no %s: %s", path.name, error)
        return []
    write_text(path, make())
    return [path]
