"""Transfer scores from predictions and from files, and whether they make sense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import share, whole_number
from ilo_fast._util.messages import listed, plain
from ilo_fast._util.statistics import wilson_interval
from ilo_fast.evaluation.statistics import confusion_matrix, macro_f1

MEASURES: Final = ("accuracy", "macro_f1")
_ROUNDING: Final = 1e-6


def read_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `TransferScores` that `TransferScores.to_dict` wrote, checked.

    Raises
    ------
    ValueError
        What is missing, or does not follow from the targets and predictions; names it.
    """
    if not data.get("rows") or not data.get("labels") or not data.get("settings"):
        raise ValueError("the transfer scores are incomplete: no rows, labels or settings")
    try:
        labels = tuple(data["labels"])
        if not all(isinstance(label, str) for label in labels) or len(set(labels)) < len(labels):
            raise ValueError(f"labels are {listed(labels, repr)}: wanted different names")
        rows = [_row(row, len(labels)) for row in data["rows"]]
        languages = tuple(row["language"] for row in rows)
        if len(set(languages)) < len(languages):
            raise ValueError(f"a language stands there twice: {listed(languages)}")
        return {
            "languages": languages,
            "labels": labels,
            "info": dict(data.get("info", {})),
            **_settings(data["settings"]),
            **columns(rows),
        }
    except KeyError as error:
        raise ValueError(f"the transfer scores are incomplete: there is no {error}") from error
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the transfer scores are damaged: {error}") from error


def measured(counts: NDArray[np.int64]) -> dict[str, Any]:
    """What follows from the counts of one language without a draw."""
    n = int(counts.sum())
    accuracy = float(np.trace(counts) / n)
    return {
        "accuracy": accuracy,
        "accuracy_interval": wilson_interval(accuracy, n),
        "macro_f1": macro_f1(counts),
        "majority": float(counts.sum(axis=1).max() / n),
    }


def check_predictions(
    code: str, true: NDArray[Any], predicted: NDArray[Any], n_labels: int
) -> None:
    if true.ndim != 1 or not len(true) or true.shape != predicted.shape:
        raise ValueError(
            f"{code}: predictions of shape {predicted.shape} for targets of shape {true.shape}; "
            "wanted one number per example, and at least one example"
        )
    for name, values in (("targets", true), ("predictions", predicted)):
        whole = np.issubdtype(values.dtype, np.integer)
        if not whole or values.min() < 0 or values.max() >= n_labels:
            raise ValueError(
                f"{code}: {name} must be whole numbers from 0 to {n_labels - 1}, positions in "
                f"labels; got {listed(sorted(set(values.tolist())))}"
            )


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Arrays over languages from one mapping per language."""
    names = (*MEASURES, *(f"{name}_interval" for name in MEASURES), "majority")
    numbers = {name: np.array([row[name] for row in rows], np.float64) for name in names}
    numbered = {
        name: tuple(np.array(row[name], np.int64) for row in rows)
        for name in ("targets", "predictions")
    }
    return {**numbers, **numbered}


def _row(row: Mapping[str, Any], n_labels: int) -> dict[str, Any]:
    code = row["language"]
    if not isinstance(code, str) or not code:
        raise ValueError(f"language {code!r} is no language code")
    shown = plain(code)
    true, predicted = np.array(row["targets"]), np.array(row["predictions"])
    check_predictions(shown, true, predicted, n_labels)
    if row["n"] != len(true):
        raise ValueError(f"{shown}: n is {row['n']!r}, but there are {len(true)} targets")
    follows = measured(confusion_matrix(true, predicted, n_labels))
    for name in (*MEASURES, "majority"):
        value = share(f"{name} of {shown}", row[name])
        if not math.isclose(value, follows[name], rel_tol=0, abs_tol=_ROUNDING):
            raise ValueError(
                f"{shown}: {name} is {value:.6g}, but the predictions give {follows[name]:.6g}"
            )
    found = dict(row)
    for name in MEASURES:
        low, high = (
            share(f"{name}_{end} of {shown}", row[f"{name}_{end}"]) for end in ("low", "high")
        )
        if low > high:
            raise ValueError(f"{shown}: the interval of {name} runs from {low:g} to {high:g}")
        found[f"{name}_interval"] = (low, high)
    if not np.allclose(found["accuracy_interval"], follows["accuracy_interval"], atol=_ROUNDING):
        raise ValueError(f"{shown}: the interval of accuracy is not that of the predictions")
    return found


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(settings["split"], str) or not isinstance(
        settings["source"], (str, type(None))
    ):
        raise TypeError("settings must name a split and a source")
    return {
        "split": settings["split"],
        "source": settings["source"],
        "seed": whole_number("seed", settings["seed"], least=0),
        "n_boot": whole_number("n_boot", settings["n_boot"]),
    }
