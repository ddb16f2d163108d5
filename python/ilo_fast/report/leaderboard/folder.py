"""A folder of results, laid out as MTEB's: where each lies, which there are, what failed."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.checks import choice, path_of
from ilo_fast._util.files import is_leftover, read_json, write_json
from ilo_fast._util.hashing import digest
from ilo_fast._util.messages import plain
from ilo_fast._util.optional import data_frame, require
from ilo_fast.errors import AccessError
from ilo_fast.report.leaderboard.record import Result

logger = logging.getLogger(__name__)

STATE: Final = ".ilo_fast"  # locks, and what failed
_EXPERIMENTS: Final = "experiments"
_META: Final = "model_meta"
_MOST_BYTES: Final = 160  # of a name in a path; file systems take 255, and temporary names add some
_KEPT: Final = 40  # characters of a longer one


def result_path(
    folder: Path, model: str, revision: str, experiment: Mapping[str, Any], corpus: str
) -> Path:
    """The file of one result; what else was measured lies in a folder of the same name.

    Names are made safe as MTEB does, ``/`` as ``__``. Settings that are not the default have a
    folder below ``experiments``.
    """
    top = safe_name(model)
    if top.startswith("leaderboard."):  # a file of that name lies beside it
        top += "_"
    place = folder / top / safe_name(revision)
    if experiment:
        words = "__".join(f"{key}_{value}" for key, value in experiment.items())
        place = place / _EXPERIMENTS / safe_name(words)
    name = safe_name(corpus)
    return place / (f"{name}_.json" if name in (_EXPERIMENTS, _META) else f"{name}.json")


def safe_name(name: str) -> str:
    """`name` as part of a path; with a hash where other names would become the same."""
    slashes = name.replace("/", "__").replace("\\", "__")
    safe = re.sub(r"[^\w.,=+-]", "_", slashes)
    same = safe == slashes.replace(" ", "_") and len(safe.encode()) <= _MOST_BYTES
    if same and safe and not safe.startswith("."):
        return safe
    return f"{safe[:_KEPT].strip('._')}-{digest(name)[:8]}".lstrip("-")


def find_results(folder: Path) -> list[Result]:
    """All results of a folder, by corpus, then model. Damaged ones are left out, with a warning."""
    patterns = ("*/*/*.json", f"*/*/{_EXPERIMENTS}/*/*.json")
    found = []
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.stem == _META or is_leftover(path):
            continue
        try:
            result = Result.read(path)
        except (OSError, ValueError) as error:
            logger.warning("left out: %s", error)
            continue
        if result is not None:
            found.append(result)
    return sorted(found, key=lambda one: (one.corpus, one.model, one.experiment_text, one.revision))


def load_results(folder: str | os.PathLike[str], *, by: str = "run") -> Any:
    """The results of ``ilo-fast run --config`` as a pandas DataFrame (needs pandas).

    Parameters
    ----------
    folder
        The folder of results. Files of other programs in it are left alone.
    by
        ``"run"``: a row for each model and corpus, of the layer that shares most (highest share
        of translations; of text that is not parallel, highest ILO), with ILO's highest value, the
        layer of that, and its mean over layers. ``"layer"``: a row for each layer.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``revision``, ``experiment`` (settings that are not the default), ``corpus``,
        ``n_languages``, ``n_sentences``, ``layer``, and means over languages: ``ilo``,
        ``ilo_low``, ``ilo_high``, ``bridge``, ``reach``, ``translation_share``, what chance and
        random neighbours give, companions with ``_chance``. NaN stands for what was not measured.

    Raises
    ------
    AccessError
        There is no such folder, or no result in it.
    ImportError
        pandas is missing.
    ValueError
        Another `by`.

    Examples
    --------
    >>> frame = load_results("results")  # doctest: +SKIP
    >>> frame.pivot(index="model", columns="corpus", values="translation_share")  # doctest: +SKIP
    """
    require("pandas")
    choice("by", by, ("run", "layer"))
    path = path_of("folder", folder)
    if not path.is_dir():
        raise AccessError(f"folder {str(path)!r} does not exist; `ilo-fast run --config` makes one")
    found = find_results(path)
    if not found:
        raise AccessError(
            f"folder {str(path)!r} holds no results (<model>/<revision>/<corpus>.json, as "
            "`ilo-fast run --config` writes them)"
        )
    if by == "run":
        return data_frame([one.row() for one in found])
    return data_frame([row for one in found for row in one.layer_rows()])


class Attempts:
    """What was begun in a folder and did not end well: a file for each, gone when it succeeds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / STATE / "attempts"

    def begin(self, key: str, about: Mapping[str, Any]) -> None:
        """Note that the work begins: who is killed leaves this."""
        self.fail(key, about, "the process ended without a word: killed, or out of memory", 1)

    def fail(self, key: str, about: Mapping[str, Any], error: str, status: int) -> None:
        """Note why the work failed."""
        # Paths and names may hold what is no UTF-8.
        said = {name: plain(text) for name, text in {**about, "error": error}.items()}
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / f"{key}.json", {**said, "status": status, "when": when})

    def clear(self, key: str) -> None:
        """Forget it: the work is done, or was interrupted by its user."""
        (self.folder / f"{key}.json").unlink(missing_ok=True)

    def get(self, key: str) -> dict[str, Any] | None:
        """What was noted, or None."""
        return read_json(self.folder / f"{key}.json")
