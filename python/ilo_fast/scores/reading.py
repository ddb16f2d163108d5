"""Scores from a file: whether they make sense, beyond having the right form.

A file may have been edited, merged by hand or damaged where a checksum does not look. What cannot
be the result of a measurement is refused with the row and the value; it is never drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import share, whole_number
from ilo_fast._util.messages import listed, plain
from ilo_fast._util.schema import damage_refused, object_of
from ilo_fast.scores.certainty.file import read_intervals, read_test
from ilo_fast.scores.certainty.limits import Limits

_METRICS: Final = ("cosine", "euclidean")
# A harmonic mean that was computed elsewhere may differ in its last bits.
_ROUNDING: Final = 1e-6
# Settings that a command also writes under info["run"]; the two must agree.
_TWICE: Final = ("n_neighbors", "threshold", "metric")


def read_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `OverlapScores` that `OverlapScores.to_dict` wrote, checked.

    Raises
    ------
    ValueError
        Rows that are missing, values that no measurement gives, or settings that contradict each
        other; names them.
    """
    rows, settings, info = data.get("rows"), data.get("settings"), data.get("info", {})
    if not rows or not settings:
        raise ValueError("the scores are incomplete: no rows or no settings")
    with damage_refused("the scores", "score again"):
        object_of("settings", settings)
        object_of("info", info)
        fields = {**_columns(rows), **_settings(settings)}
        fields |= _certainty(data, rows, fields, info)
        _check_record(fields, info, settings)
    return {**fields, "info": dict(info)}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    layers = tuple(dict.fromkeys(row["layer"] for row in rows))
    languages = tuple(dict.fromkeys(row["language"] for row in rows))
    for layer in layers:
        whole_number("layer", layer, least=0)
    for code in languages:
        if not isinstance(code, str) or not code:
            raise ValueError(f"language {code!r} is no language code")
    shape = (len(layers), len(languages))
    if [(row["layer"], row["language"]) for row in rows] != [
        (h, c) for h in layers for c in languages
    ]:
        raise ValueError(
            f"the scores are incomplete: {len(rows)} rows for {shape[0]} layers x {shape[1]} "
            "languages"
        )

    def column(name: str) -> NDArray[np.float64]:
        return np.array([_share(row, name) for row in rows], np.float64).reshape(shape)

    fields = {name: column(name) for name in ("bridge", "reach", "ilo")}
    _check_harmonic_mean(rows)
    parallel = rows[0]["translation_share"] is not None
    per_language = {
        name: _one_per_language(rows, name, len(languages))
        for name in ("n_sentences", "translation_chance")
    }
    for n in per_language["n_sentences"]:
        whole_number("n_sentences", n)
    _check_translations(rows, parallel)
    return {
        **fields,
        "layers": layers,
        "languages": languages,
        "n_sentences": tuple(per_language["n_sentences"]),
        "translation_share": column("translation_share") if parallel else None,
        "translation_chance": column("translation_chance")[0] if parallel else None,
    }


def _certainty(
    data: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    fields: Mapping[str, Any],
    info: Mapping[str, Any],
) -> dict[str, Any]:
    """Limits, intervals and tests; version 1 of the file had none, and of it limits are made."""
    shape = fields["bridge"].shape
    whole = "selected_from" not in info  # of some of the languages, no limits can be computed
    sizes, k, t = fields["n_sentences"], fields["n_neighbors"], fields["threshold"]
    # Nor can they of a file that somebody has cut or merged by hand.
    known = whole and len(sizes) > 1 and t <= min(k, len(sizes) - 1) and k < sum(sizes)
    limits = Limits.of(sizes, k, t) if known else None
    if "intervals" not in data:
        return {"limits": limits}
    if not whole:
        limits = Limits.of_rows(rows[: shape[1]])
    given = [row["translation_chance_given_graph"] for row in rows]
    return {
        "limits": limits,
        "intervals": read_intervals(data["intervals"], rows, shape),
        "mixing_test": read_test(data["mixing_test"], rows, shape),
        "translation_chance_given_graph": (
            None
            if None in given
            else np.array([share("translation_chance_given_graph", v) for v in given]).reshape(
                shape
            )
        ),
    }


def _share(row: Mapping[str, Any], name: str) -> float:
    return share(f"{name} of {_place(row)}", row[name])


def _place(row: Mapping[str, Any]) -> str:
    return f"layer {row['layer']}, {plain(row['language'])}"


def _one_per_language(rows: Sequence[Mapping[str, Any]], name: str, n: int) -> list[Any]:
    """A value that each language has once, whatever the layer."""
    for i, row in enumerate(rows):
        if row[name] != rows[i % n][name]:
            raise ValueError(
                f"{name} of {_place(row)} is {row[name]!r}, and {rows[i % n][name]!r} at layer "
                f"{rows[0]['layer']}"
            )
    return [row[name] for row in rows[:n]]


def _check_harmonic_mean(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        total = row["bridge"] + row["reach"]
        wanted = 2 * row["bridge"] * row["reach"] / total if total else 0.0
        if not math.isclose(row["ilo"], wanted, rel_tol=0, abs_tol=_ROUNDING):
            raise ValueError(
                f"ilo of {_place(row)} is {row['ilo']:.6g}, but the harmonic mean of bridge and "
                f"reach is {wanted:.6g}"
            )


def _check_translations(rows: Sequence[Mapping[str, Any]], parallel: bool) -> None:
    for row in rows:
        for name in ("translation_share", "translation_chance"):
            if (row[name] is not None) != parallel:
                raise ValueError(
                    f"{name} of {_place(row)} is {row[name]!r}: wanted one in every row, or in none"
                )


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    metric = settings["metric"]
    if metric not in _METRICS:
        raise ValueError(f"metric={metric!r} is not known: wanted {' or '.join(_METRICS)}")
    return {
        "n_neighbors": whole_number("n_neighbors", settings["n_neighbors"]),
        "threshold": whole_number("threshold", settings["threshold"]),
        "metric": metric,
    }


def _check_record(
    fields: Mapping[str, Any], info: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """What the scores say of themselves in two places must be the same in both."""
    run = info.get("run")
    run = run if isinstance(run, Mapping) else {}
    for name in _TWICE:
        if name in run and run[name] != fields[name]:
            raise ValueError(f"{name} is {fields[name]!r} in settings and {run[name]!r} in the run")
    if settings.get("backend") != info.get("backend"):
        raise ValueError(
            f"backend is {settings.get('backend')!r} in settings and {info.get('backend')!r} in "
            "info"
        )
    if "selected_from" in info:
        return
    named = run.get("languages")
    if isinstance(named, list) and sorted(named) != sorted(fields["languages"]):
        odd = sorted(set(named) ^ set(fields["languages"]))
        raise ValueError(f"rows and run are of different languages ({listed(odd)} only in one)")
    described = info.get("layers")
    if described and tuple(layer["layer"] for layer in described) != fields["layers"]:
        raise ValueError(
            f"rows are of layers {listed(fields['layers'])}, info of "
            f"{listed([layer['layer'] for layer in described])}"
        )
