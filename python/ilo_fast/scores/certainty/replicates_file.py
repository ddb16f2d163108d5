"""``replicates.npz`` beside ``scores.json``: the counts that intervals and comparisons need.

Counts of a corpus without one sentence differ little from those of the whole, so that differences
are kept: small whole numbers, deflated. Nothing is pickled; the same counts give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.npz import opened_npz
from ilo_fast._util.schema import check_schema
from ilo_fast.scores.certainty.replicates import Counts, Replicates
from ilo_fast.scores.table import ScoreTable

REPLICATES_FILE: Final = "replicates.npz"
SCHEMA_VERSION: Final = 1
_KIND: Final = "ilo_fast.replicates"
_COUNTS: Final = ("points", "bridging", "reached", "translations")
_UNITS: Final = ("document", "sentence", "point")


def replicates_bytes(scores: ScoreTable) -> bytes:
    """The file, of scores that carry replicates.

    Raises
    ------
    ValueError
        They carry none.
    """
    found = scores.replicates
    if found is None:
        raise ValueError("these scores carry no replicates: measure with intervals=True")
    head = {
        "kind": _KIND,
        "schema_version": SCHEMA_VERSION,
        "scores_sha256": scores_sha256(scores),
        "units_sha256": found.units_sha256,
        "unit": found.unit,
        "n_units": found.n_units,
        "n_deletions": len(found.without_one.points),
        "n_subsets": len(found.subsets.points),
        "n_kept": found.n_kept,
        "seed": found.seed,
        "parallel": found.whole.translations is not None,
    }
    arrays: dict[str, Any] = {"head": np.array(json.dumps(head, sort_keys=True))}
    for name in _COUNTS:
        whole = getattr(found.whole, name)
        if whole is None:
            continue
        arrays[f"whole_{name}"] = whole.astype(np.int32)
        arrays[f"without_one_{name}"] = _narrow(whole - getattr(found.without_one, name))
        arrays[f"subsets_{name}"] = _narrow(whole - getattr(found.subsets, name))
    if found.strata is not None:
        arrays["strata"] = _narrow(found.strata)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def write_replicates(scores: ScoreTable, folder: Path) -> Path:
    """Write ``replicates.npz`` into the folder that holds the ``scores.json`` of these scores."""
    content = replicates_bytes(scores)
    path = folder / REPLICATES_FILE
    with replace_atomically(path, len(content)) as file:
        file.write(content)
    return path


def read_replicates(source: str | os.PathLike[str], scores: ScoreTable) -> Replicates:
    """What `write_replicates` wrote, checked.

    Parameters
    ----------
    source
        The file, or its folder.
    scores
        What ``scores.json`` beside it holds.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, of another schema, of other scores, or holds what no counting gives; names
        the file.
    """
    path = Path(source).expanduser()
    path = path / REPLICATES_FILE if path.is_dir() else path
    with opened_npz(path, "replicates") as arrays:
        return _checked(arrays, scores)


def scores_sha256(scores: ScoreTable) -> str:
    """Of all that was measured and how, so that a file is known to belong to its scores."""
    said = (
        scores.layers, scores.languages, scores.n_sentences,
        scores.n_neighbors, scores.threshold, scores.metric,
    )  # fmt: skip
    digest = hashlib.sha256(json.dumps(said).encode())
    for values in (scores.bridge, scores.reach, scores.ilo, scores.translation_share):
        if values is not None:
            digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    return digest.hexdigest()


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """The same in the smallest type that holds them."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    kinds = (np.int8, np.int16, np.int32)
    fitting = (k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max)
    return values.astype(next(fitting))


def _checked(arrays: Mapping[str, NDArray[Any]], scores: ScoreTable) -> Replicates:
    head = json.loads(str(arrays["head"]))
    check_schema(head, _KIND, SCHEMA_VERSION, "measure again")
    if head["scores_sha256"] != scores_sha256(scores):
        raise ValueError("it belongs to other scores than those of the scores.json beside it")
    if head["unit"] not in _UNITS:
        raise ValueError(f"unit={head['unit']!r} is not known: wanted one of {', '.join(_UNITS)}")
    n_units = whole_number("n_units", head["n_units"], least=2)
    n_deletions = n_units if head["n_deletions"] else 0
    n_subsets = whole_number("n_subsets", head["n_subsets"], least=0)
    n_kept = whole_number("n_kept", head["n_kept"], least=1, most=n_units - 1)
    parallel = scores.translation_share is not None
    if head["parallel"] is not parallel:
        raise ValueError("translations are counted here and not in the scores, or the reverse")
    found = Replicates(
        whole=_counts(arrays, "whole", (), scores, parallel),
        without_one=_counts(arrays, "without_one", (n_deletions,), scores, parallel),
        subsets=_counts(arrays, "subsets", (n_subsets,), scores, parallel),
        n_kept=n_kept,
        seed=whole_number("seed", head["seed"], least=0),
        unit=head["unit"],
        strata=_strata(arrays, head["unit"], n_units, len(scores.languages)),
        n_neighbors=scores.n_neighbors,
        units_sha256=head["units_sha256"],
    )
    for name, values in found.whole.scores(scores.n_neighbors).items():
        if not np.array_equal(values, scores.values(name)):
            raise ValueError(f"{name} of the counts is not that of the scores")
    return found


def _counts(
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    samples: tuple[int, ...],
    scores: ScoreTable,
    parallel: bool,
) -> Counts:
    """Counts of one kind of sample, in the ranges that any counting gives."""
    n_languages = len(scores.languages)
    of_languages = (*samples, n_languages)
    of_layers = (*samples, len(scores.layers), n_languages)

    def read(what: str, shape: tuple[int, ...], most: NDArray[Any] | int) -> NDArray[np.int32]:
        stored = arrays[f"{name}_{what}"]
        if stored.shape != shape or stored.dtype.kind != "i":
            raise ValueError(
                f"{name}_{what} is {stored.dtype} of shape {stored.shape}, wanted whole numbers of "
                f"{shape}"
            )
        values = stored.astype(np.int64)
        if samples:
            values = arrays[f"whole_{what}"].astype(np.int64) - values
        if (values < 0).any() or (values > most).any():
            raise ValueError(f"{name}_{what} holds a count that no sample of this corpus has")
        return values.astype(np.int32)

    points = read("points", of_languages, np.asarray(scores.n_sentences))
    of_points = points[..., None, :]
    translations = min(scores.n_neighbors, n_languages - 1) * of_points.astype(np.int64)
    return Counts(
        points=points,
        bridging=read("bridging", of_layers, of_points),
        reached=read("reached", of_layers, n_languages - 1),
        translations=read("translations", of_layers, translations) if parallel else None,
    )


def _strata(
    arrays: Mapping[str, NDArray[Any]], unit: str, n_units: int, n_languages: int
) -> NDArray[np.int32] | None:
    if unit != "point":
        return None
    stored = arrays["strata"]
    if stored.shape != (n_units,) or stored.dtype.kind != "i":
        raise ValueError(f"strata is of shape {stored.shape}, wanted {(n_units,)} whole numbers")
    if (stored < 0).any() or (stored >= n_languages).any():
        raise ValueError(f"strata names a language outside 0 to {n_languages - 1}")
    return stored.astype(np.int32)
