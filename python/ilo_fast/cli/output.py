"""The output folder: where it is, whether it may be written, and what the run leaves in it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.cli.console import emit

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores

logger = logging.getLogger(__name__)

RESULTS_FOLDER = Path("ilo_fast_results")

# What two runs must share for their scores to be the same. Names and paths are not among it where
# the content is (the text by its hash, the weights by theirs), nor is what cannot change a score.
_IDENTITY = (
    "model_name",
    "model_revision",
    "corpus_sha256",
    "layers",
    "pooling",
    "special_tokens",
    "max_length",
    "dtype",
    "n_neighbors",
    "threshold",
    "metric",
    "backend",
    "parallel",
)


def add_overwrite_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite-strategy",
        choices=("only-missing", "always", "never"),
        default="only-missing",
        help="where OUT holds scores already: only-missing (default) keeps them if they have the "
        "same settings and rebuilds the other files from them, and refuses if they do not; "
        "always measures anew and replaces them; never refuses",
    )


def folder_name(*names: str) -> str:
    """A folder's name from the names of things: ``org/model``, ``corpus`` -> org__model__corpus."""
    parts = [re.sub(r"[^\w.+-]+", "_", n.replace("/", "__").replace("\\", "__")) for n in names]
    return "__".join(part.strip("._") or "unnamed" for part in parts)[:150]


class OutputFolder:
    """An output folder, checked before the work begins rather than after.

    Parameters
    ----------
    path
        The folder; made where it does not exist.
    strategy
        ``"only-missing"``, ``"always"`` or ``"never"``.

    Raises
    ------
    FileExistsError
        Scores are there and the strategy is never.
    OSError
        The folder cannot be made or written.
    """

    def __init__(self, path: Path, strategy: str) -> None:
        from ilo_fast.report.files import SCORES_FILE

        self.path = path
        self._strategy = strategy
        self._scores = path / SCORES_FILE
        if strategy == "never" and self._scores.exists():
            raise FileExistsError(
                f"{self._scores} exists and --overwrite-strategy is never: choose another -o"
            )
        _check_writable(path)

    def existing(self, settings: Mapping[str, Any]) -> OverlapScores | None:
        """The scores that are there, if they are of these settings and may be kept.

        Called with what is known before the work, and again with all that is known after it:
        settings that either side lacks are not compared.

        Raises
        ------
        FileExistsError
            They are of other settings, or cannot be read, and the strategy is only-missing.
        """
        if self._strategy != "only-missing" or not self._scores.exists():
            return None
        from ilo_fast.scores.result import OverlapScores

        advice = "choose another -o, or replace them with --overwrite-strategy always"
        try:
            found = OverlapScores.from_json(self._scores)
            recorded = found.info.get("run")
            if not isinstance(recorded, Mapping):
                raise ValueError("does not say how it was made")
        except (ValueError, TypeError, KeyError) as error:
            raise FileExistsError(f"{self._scores} {_reason(error)}: {advice}") from error
        # Values may differ in their last bits between machines where the weights are the same.
        both = "weights_sha256" in recorded and "weights_sha256" in settings
        keys = (*_IDENTITY, "weights_sha256" if both else "values_sha256")
        differing = [
            f"{key} was {_shown(recorded[key])}, now {_shown(settings[key])}"
            for key in keys
            if key in recorded and key in settings and recorded[key] != settings[key]
        ]
        if differing:
            raise FileExistsError(
                f"{self.path} holds scores of other settings ({'; '.join(differing)}): {advice}"
            )
        return found

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        """Take the folder away again if the work ends in an error and left nothing in it."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # not empty: something is in it that is kept
                self.path.rmdir()
                self.path.parent.rmdir() if self.path.parent.name == RESULTS_FOLDER.name else None
            raise

    def write(self, scores: OverlapScores, *, fresh: bool) -> list[Path]:
        """Write everything; without the libraries that draw, scores alone, and say so."""
        from ilo_fast.report.files import check_can_draw, write_drawn, write_scores, write_table

        if fresh:
            write_scores(scores, self.path)
        written = [self._scores, write_table(scores, self.path)]
        try:
            check_can_draw()
        except ImportError as error:
            logger.warning("no figures: %s; then `ilo-fast report %s` draws them", error, self.path)
            return written
        return written + write_drawn(scores, self.path)


def show(scores: OverlapScores, written: list[Path]) -> None:
    """Print the tables, and where the files are."""
    from ilo_fast.report.tables import text_report

    emit(text_report(scores))
    emit("\n" + "".join(f"{path}\n" for path in written))


def _check_writable(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"-o {folder} is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if text.startswith("does not") else f"cannot be read ({text})"


def _shown(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= 40 else f"{text[:16]}…"
