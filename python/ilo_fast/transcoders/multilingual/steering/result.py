"""`SteeringResult`: what steering did, pair by pair of languages; records, JSON, tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.files import write_json
from ilo_fast._util.optional import data_frame
from ilo_fast._util.schema import check_schema, damage_refused, read_result
from ilo_fast.transcoders.multilingual.steering.language_id import IdentifierAccuracy
from ilo_fast.transcoders.multilingual.steering.measures import (
    Floats,
    Measures,
    document_interval,
)

KIND: Final = "steering"
SCHEMA_VERSION: Final = 1
STEERING_FILE: Final = "steering.json"
SUBSTITUTION: Final = "substitution"
SUPPRESSION: Final = "suppression"
_FIX: Final = "steer again"


@dataclass(frozen=True)
class ModeResult:
    """One way of steering, at every strength and at the one that was chosen.

    Attributes
    ----------
    mode : str
    strength : float
        The one of the most successes on the validation half; of equals the weakest.
    layer : int or None
        Behind which a vector is added, chosen likewise; None: features, wherever they are.
    n_sets : int
        Of random features; else 1.
    validation : tuple of float
        Share of successes on the validation half at each strength.
    curve : tuple of (float, Measures)
        Strength and measures on the test half.
    success : tuple of float
        Of each test prompt at the chosen strength: 0 or 1, or the mean over random sets.
    """

    mode: str
    strength: float
    layer: int | None
    n_sets: int
    validation: tuple[float, ...]
    curve: tuple[tuple[float, Measures], ...]
    success: tuple[float, ...]

    @property
    def measures(self) -> Measures:
        """At the chosen strength, on the test half."""
        return dict(self.curve)[self.strength]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        curve = [{"strength": s, **m.to_dict()} for s, m in self.curve]
        lists = {"validation": list(self.validation), "success": list(self.success)}
        return {**vars(self), **lists, "curve": curve}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModeResult:
        """Of what `to_dict` gave."""
        curve = []
        for point in data["curve"]:
            plain = dict(point)
            curve.append((plain.pop("strength"), Measures.from_dict(plain)))
        lists = {name: tuple(data[name]) for name in ("validation", "success")}
        return cls(**{**data, **lists, "curve": tuple(curve)})


@dataclass(frozen=True)
class Contrast:
    """How much more often one way succeeds than its best baseline, on the same test prompts.

    Attributes
    ----------
    baseline : str
        The one of the most successes on the validation half.
    difference, low, high : float
        Of the shares of successes, with a 95 % interval by paired bootstrap over documents.
    verdict : str
        ``"more"``, ``"less"``, or ``"cannot tell"`` where the interval holds 0.
    """

    baseline: str
    difference: float
    low: float
    high: float
    verdict: str

    @classmethod
    def of(cls, baseline: str, difference: Floats, document: NDArray[Any], seed: int) -> Contrast:
        """difference, document: of each pair of runs of one prompt."""
        low, high = document_interval(difference, document, seed=seed, within=1.0)
        verdict = "more" if low > 0 else "less" if high < 0 else "cannot tell"
        return cls(baseline, float(difference.mean()), low, high, verdict)


@dataclass(frozen=True)
class SteeringExample:
    """One test prompt and how it goes on.

    Attributes
    ----------
    prompt, reference : str
        In the source; how the translation goes on.
    continuations : mapping
        ``"unsteered"`` or a mode -> text.
    """

    prompt: str
    reference: str
    continuations: Mapping[str, str]


@dataclass(frozen=True)
class PairResult:
    """From one language into another.

    Attributes
    ----------
    source, target : str
    n_source, n_target : int
        Features of each that were changed.
    unsteered : Measures
        The model as it is.
    modes : mapping
        Mode -> result.
    contrasts : mapping
        ``"substitution"`` and ``"suppression"`` -> against the best baseline of each.
    document : tuple of int
        Of each test prompt.
    examples : tuple of SteeringExample
    """

    source: str
    target: str
    n_source: int
    n_target: int
    unsteered: Measures
    modes: Mapping[str, ModeResult]
    contrasts: Mapping[str, Contrast]
    document: tuple[int, ...]
    examples: tuple[SteeringExample, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            **vars(self),
            "unsteered": self.unsteered.to_dict(),
            "modes": {name: mode.to_dict() for name, mode in self.modes.items()},
            "contrasts": {name: vars(one) for name, one in self.contrasts.items()},
            "document": list(self.document),
            "examples": [
                {**vars(e), "continuations": dict(e.continuations)} for e in self.examples
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PairResult:
        """Of what `to_dict` gave."""
        return cls(
            **{
                **data,
                "unsteered": Measures.from_dict(data["unsteered"]),
                "modes": {k: ModeResult.from_dict(v) for k, v in data["modes"].items()},
                "contrasts": {k: Contrast(**v) for k, v in data["contrasts"].items()},
                "document": tuple(data["document"]),
                "examples": tuple(SteeringExample(**e) for e in data["examples"]),
            }
        )


@dataclass(frozen=True)
class SteeringResult:
    """What steering did.

    Attributes
    ----------
    languages : tuple of str
    pairs : tuple of PairResult
    skipped : mapping
        ``"eng_Latn>deu_Latn"`` -> why there is no result of the pair.
    identifier : IdentifierAccuracy
        On pieces of the lines that prompts are of; it was fitted on others.
    columns : mapping
        Language -> its features (layer * n_features + feature).
    info : mapping
        Settings, seeds, sizes of samples; JSON-able.
    """

    languages: tuple[str, ...]
    pairs: tuple[PairResult, ...]
    skipped: Mapping[str, str]
    identifier: IdentifierAccuracy
    columns: Mapping[str, tuple[int, ...]]
    info: Mapping[str, Any]

    def pair(self, source: str, target: str) -> PairResult:
        """One pair; KeyError where there is none."""
        for one in self.pairs:
            if (one.source, one.target) == (source, target):
                return one
        raise KeyError(f"no pair {source}>{target}; skipped: {dict(self.skipped)}")

    def matrix(self, mode: str = SUBSTITUTION) -> NDArray[np.float64]:
        """(languages, languages): share of the target's language, source by row; NaN: no result.

        mode: ``"unsteered"``, a mode; or ``"contrast"``, substitution minus its best baseline.
        """
        found = np.full((len(self.languages),) * 2, np.nan)
        for one in self.pairs:
            at = self.languages.index(one.source), self.languages.index(one.target)
            if mode == "contrast":
                if SUBSTITUTION in one.contrasts:
                    found[at] = one.contrasts[SUBSTITUTION].difference
            elif mode == "unsteered":
                found[at] = one.unsteered.target.share
            elif mode in one.modes:
                found[at] = one.modes[mode].measures.target.share
        return found

    def overall(self, mode: str = SUBSTITUTION) -> Contrast | None:
        """All pairs together, against each pair's best baseline; None without baselines.

        Documents are drawn for all pairs at once: a line is a prompt in every language.
        """
        pairs = [one for one in self.pairs if mode in one.contrasts]
        if not pairs:
            return None
        differences, documents = [], []
        for one in pairs:
            best = one.modes[one.contrasts[mode].baseline]
            differences.append(np.subtract(one.modes[mode].success, best.success))
            documents.append(one.document)
        return Contrast.of(
            "each pair's best",
            np.concatenate(differences),
            np.concatenate(documents),
            int(self.info["seed"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        overall = {mode: self.overall(mode) for mode in (SUBSTITUTION, SUPPRESSION)}
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "languages": list(self.languages),
            "pairs": [one.to_dict() for one in self.pairs],
            "skipped": dict(self.skipped),
            "identifier": self.identifier.to_dict(),
            "columns": {code: list(own) for code, own in self.columns.items()},
            "overall": {k: None if one is None else vars(one) for k, one in overall.items()},
            "info": dict(self.info),
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write ``steering.json``, or another file, whole or not at all."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> SteeringResult:
        """Of a file, its folder, or its text.

        Raises
        ------
        FileNotFoundError, ValueError
            There is none; it is another file, of another version, or damaged.
        """
        return read_result(source, STEERING_FILE, "steering", cls.from_dict)

    @classmethod
    def from_dict(cls, data: Any) -> SteeringResult:
        """Of what `to_dict` gave."""
        check_schema(data, KIND, SCHEMA_VERSION, _FIX)
        with damage_refused("the steering results", _FIX):
            accuracy = data["identifier"]
            return cls(
                tuple(data["languages"]),
                tuple(PairResult.from_dict(one) for one in data["pairs"]),
                dict(data["skipped"]),
                IdentifierAccuracy(
                    tuple(accuracy["languages"]),
                    tuple(accuracy["lengths"]),
                    np.array(accuracy["confusion"], np.int64),
                ),
                {code: tuple(own) for code, own in data["columns"].items()},
                dict(data["info"]),
            )

    def to_dataframe(self) -> Any:
        """A row for each pair, mode and strength: measures on the test half."""
        rows = []
        for one in self.pairs:
            head = {"source": one.source, "target": one.target}
            rows.append({**head, "mode": "unsteered", "strength": 0.0, **_flat(one.unsteered)})
            for mode in one.modes.values():
                for strength, measures in mode.curve:
                    chosen = {"layer": mode.layer, "chosen": strength == mode.strength}
                    rows.append(
                        {**head, "mode": mode.mode, "strength": strength, **chosen}
                        | _flat(measures)
                    )
        return data_frame(rows)


def _flat(measures: Measures) -> dict[str, Any]:
    plain = {k: v for k, v in vars(measures).items() if k != "said"}
    for name in ("target", "source", "neither"):
        share = plain.pop(name)
        plain |= {name: share.share, f"{name}_low": share.low, f"{name}_high": share.high}
    return plain
