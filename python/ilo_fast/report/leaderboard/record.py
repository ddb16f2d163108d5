"""What one model gave on one corpus, as one file: ``<model>/<revision>/<corpus>.json``.

The file is also a result of MTEB, which reads the layer that shares most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.checks import real_number, whole_number
from ilo_fast._util.files import parse_json, write_json
from ilo_fast._util.schema import check_schema, damage_refused, list_of, object_of, text_of
from ilo_fast._util.versions import versions
from ilo_fast.report.summary import most_shared_layer_index
from ilo_fast.scores.companions.result import Companions
from ilo_fast.scores.flat import layer_means
from ilo_fast.scores.result import OverlapScores

KIND: Final = "ilo_fast.result"
SCHEMA_VERSION: Final = 1
_TASK: Final = "InterlingualOverlap"


@dataclass(frozen=True)
class Result:
    """What one model gave on one corpus: means over languages, layer by layer.

    Attributes
    ----------
    model, revision, corpus : str
        Names, and the model's commit or content hash.
    experiment : mapping
        Settings that are not the default; empty for most.
    settings : mapping
        All of the run.
    languages : tuple of str
    n_sentences : int
        Of the language that has most.
    intervals : mapping or None
        ``level``, ``unit``, ``n_units``, and ``reason`` where there are none.
    layers : tuple of mappings
        ``layer``, and as `ilo_fast.scores.flat.layer_means`.
    shared : int
        Index into `layers` of the one that shares most: highest share of translations, or of text
        that is not parallel highest ILO. The first of equals.
    """

    model: str
    revision: str
    corpus: str
    experiment: Mapping[str, Any]
    settings: Mapping[str, Any]
    languages: tuple[str, ...]
    n_sentences: int
    intervals: Mapping[str, Any] | None
    layers: tuple[Mapping[str, float], ...]
    shared: int

    @property
    def highest(self) -> Mapping[str, float]:
        """The layer with the highest ILO."""
        return max(self.layers, key=lambda layer: layer["ilo"])

    @property
    def experiment_text(self) -> str:
        """``"pooling=last, n_neighbors=10"``."""
        return ", ".join(f"{key}={value}" for key, value in self.experiment.items())

    def facts(self) -> dict[str, Any]:
        """What a row of a table says of itself, whatever the layer."""
        return {
            "model": self.model,
            "revision": self.revision,
            "experiment": self.experiment_text,
            "corpus": self.corpus,
            "n_languages": len(self.languages),
            "n_sentences": self.n_sentences,
            "n_layers": len(self.layers),
            **{key: self.settings.get(key) for key in ("n_neighbors", "threshold", "metric")},
        }

    def row(self) -> dict[str, Any]:
        """The layer that shares most, and of ILO its highest and its mean over layers."""
        ilo = [layer["ilo"] for layer in self.layers]
        return {
            **self.facts(),
            **self.layers[self.shared],
            "ilo_highest": self.highest["ilo"],
            "ilo_highest_layer": self.highest["layer"],
            "ilo_mean_over_layers": math.fsum(ilo) / len(ilo),
            "seconds": self.settings.get("seconds"),
            "finished": self.settings.get("finished"),
        }

    def layer_rows(self) -> list[dict[str, Any]]:
        """Every layer."""
        return [{**self.facts(), **layer} for layer in self.layers]

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all, and MTEB's file of the model beside it."""
        shown = self.layers[self.shared]
        main = "translation_share" if "translation_share" in shown else "ilo"
        meta = path.parent / "model_meta.json"
        if not meta.exists():
            about = {"name": self.model, "revision": self.revision}
            write_json(meta, {**about, "experiment_kwargs": dict(self.experiment) or None})
        write_json(
            path,
            {
                "schema_version": SCHEMA_VERSION,
                "kind": KIND,
                "task_name": f"{_TASK}-{self.corpus}",
                "dataset_revision": str(self.settings.get("corpus_sha256", "")),
                "mteb_version": None,
                "evaluation_time": self.settings.get("seconds"),
                "scores": {
                    "test": [
                        {
                            "hf_subset": "default",
                            "languages": _bcp47(self.languages),
                            "main_score": shown[main],
                            **shown,
                        }
                    ]
                },
                "model": self.model,
                "revision": self.revision,
                "corpus": self.corpus,
                "experiment": dict(self.experiment),
                "settings": dict(self.settings),
                "languages": list(self.languages),
                "n_sentences": self.n_sentences,
                "intervals": None if self.intervals is None else dict(self.intervals),
                "shared": self.shared,
                "layers": [dict(layer) for layer in self.layers],
                "versions": versions("numpy", "torch", "transformers"),
            },
        )

    @classmethod
    def of_scores(
        cls,
        scores: OverlapScores,
        companions: Companions | None,
        *,
        model: str,
        revision: str,
        corpus: str,
        experiment: Mapping[str, Any],
        settings: Mapping[str, Any],
    ) -> Result:
        """The means of scores, and of companions of the same layers."""
        about = scores.intervals
        return cls(
            model=model,
            revision=revision,
            corpus=corpus,
            experiment=experiment,
            settings=settings,
            languages=scores.languages,
            n_sentences=max(scores.n_sentences),
            intervals=None
            if about is None
            else {
                "level": about.level,
                "unit": about.unit,
                "n_units": about.n_units,
                "reason": about.reason,
            },
            layers=tuple(
                {"layer": int(number), **layer_means(scores, row, companions)}
                for row, number in enumerate(scores.layers)
            ),
            shared=most_shared_layer_index(scores),
        )

    @classmethod
    def read(cls, path: Path) -> Result | None:
        """What `write` wrote; None for a file of another kind, as MTEB's own.

        Raises
        ------
        ValueError
            Damaged, or of another version; names the file.
        """
        try:
            raw = path.read_bytes()
            if raw.strip() and KIND.encode() not in raw:  # MTEB's may hold NaN
                return None
            data = parse_json(path)
            if not isinstance(data, Mapping) or data.get("kind") != KIND:
                return None
            check_schema(data, KIND, SCHEMA_VERSION, "measure again")
            with damage_refused("the results", "measure again"):
                return cls(**_fields(data))
        except ValueError as error:
            raise ValueError(f"{path} is not a file of results: {error}") from error


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    layers = tuple(_layer(layer) for layer in list_of("layers", data["layers"]))
    if not layers:
        raise ValueError("layers is empty")
    about = data["intervals"]
    return {
        **{name: text_of(name, data[name]) for name in ("model", "revision", "corpus")},
        **{name: object_of(name, data[name]) for name in ("experiment", "settings")},
        "languages": tuple(text_of("language", one) for one in data["languages"]),
        "n_sentences": whole_number("n_sentences", data["n_sentences"]),
        "intervals": None if about is None else object_of("intervals", about),
        "layers": layers,
        "shared": whole_number("shared", data["shared"], 0, len(layers) - 1),
    }


def _layer(layer: Any) -> Mapping[str, float]:
    found = {
        text_of("score", name): real_number(text_of("score", name), value)
        for name, value in object_of("layer", layer).items()
    }
    for name in ("ilo", "bridge", "reach"):
        if not 0 <= found[name] <= 1:
            raise ValueError(f"{name} is {found[name]:g}, wanted a share from 0 to 1")
    return {**found, "layer": whole_number("layer", layer["layer"], 0)}


def _bcp47(codes: Sequence[str]) -> list[str]:
    """``eng-Latn`` of ``eng_Latn``, as MTEB has it; codes of other forms are left out."""
    matches = [re.match(r"([a-z]{3})_([A-Z][a-z]{3})(?:_|$)", code) for code in codes]
    return list(dict.fromkeys(f"{m[1]}-{m[2]}" for m in matches if m))
